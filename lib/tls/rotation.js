'use strict'
/** Keeps the certificate of a server, and the authorities node:tls verifies with, at what its source says. */

const tls = require('node:tls')
const { reason } = require('../native/errors')
const { contextOptions, forgetSessions, sealedOptions, secureContext } = require('./secure-contexts')
const { currentContext } = require('./source')

/** @typedef {import('./secure-contexts').Plan} Plan */

class Rotation {
  #server
  #source
  #plan
  #closed = false
  /**
   * The revision that is being served; `null` when nothing is.
   * @type {import('../../types/tls').TlsSourceContext | null | undefined}
   */
  #served
  /** The revision that could not be served. @type {import('../../types/tls').TlsSourceContext | null | undefined} */
  #failed
  /** Whether this runtime lets servers share a context. */
  #shares = false

  /**
   * @param {import('node:tls').Server} server
   * @param {import('../../types/tls').TlsSource} source
   * @param {Plan} plan
   */
  constructor(server, source, plan) {
    this.#server = server
    this.#source = source
    this.#plan = plan
  }

  /**
   * Take what the source holds now. Costs next to nothing when that is what is being served.
   * @returns {Error & { code: string } | undefined} why nothing is served
   */
  refresh() {
    let context
    try {
      context = this.#closed ? undefined : currentContext(this.#source)
    } catch (error) {
      this.#serve(null)
      return /** @type {any} */ (error)
    }
    this.#serve(context ?? null)
    return undefined
  }

  /** @param {import('../../types/tls').TlsSourceContext | null} context */
  #serve(context) {
    if (context === this.#served || (context !== null && context === this.#failed)) return
    const first = this.#served === undefined
    try {
      if (first || !this.#shares) this.#replace(context)
      if (this.#shares)
        this.#held().context = (
          context ? secureContext(this.#plan, context) : tls.createSecureContext(sealedOptions(this.#plan))
        ).context
      this.#served = context
    } catch (error) {
      // While a server is being set up it is an error. Later, what was served goes on: ClientVerifier makes it only
      // get stricter.
      if (first) throw error
      this.#failed = context
      process.emitWarning(`a rotated identity cannot be served: ${reason(error)}`, 'CountersignWarning')
    }
  }

  /**
   * By the public way, in full.
   * @param {import('../../types/tls').TlsSourceContext | null} context
   */
  #replace(context) {
    const before = this.#held()
    this.#server.setSecureContext(context ? contextOptions(this.#plan, context) : sealedOptions(this.#plan))
    const after = this.#held()
    // A context of its own for each of a hundred servers would hold up the event loop for a tenth of a second. Where it
    // shows that the server keeps its context in this place, later ones go there, made once for all.
    this.#shares =
      !process.versions.bun &&
      typeof after === 'object' &&
      after !== null &&
      after !== before &&
      typeof after.context === 'object'
  }

  #held() {
    return /** @type {any} */ (this.#server)._sharedCreds
  }

  /** Before a handshake: it is the last one for its sessions. */
  forgetSessions() {
    if (this.#shares) forgetSessions(this.#held().context)
  }

  /** Show no certificate and accept no client any more. */
  close() {
    this.#closed = true
    this.refresh()
  }
}

module.exports = { Rotation }
