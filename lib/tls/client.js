'use strict'
/** How a client proves its identity and verifies servers, whatever library makes the connection. */

const tls = require('node:tls')
const { invalidArgument, shown } = require('../native/errors')
const { ownOptions } = require('../internal/options')
const { compile, domainsOf, anybody } = require('../spiffe/authorizer')
const { untrusted } = require('./client-verifier')
const { chainOf, refusal, verifyChain } = require('./verify')
const { Lifetimes, readLifetimes } = require('./lifetimes')
const { Peer, setPeer, setPeerByOptions } = require('./peer')
const { report } = require('./rejection')
const { forgetSessions, sealedOptions, secureContext } = require('./secure-contexts')
const { SETTINGS, checkChoice, checkFunction, readSettings } = require('./settings')
const { checkSource, currentContext } = require('./source')

/** @typedef {import('node:tls').TLSSocket} TLSSocket */
/** @typedef {import('node:tls').ConnectionOptions} ConnectionOptions */
/** @typedef {import('node:tls').DetailedPeerCertificate} DetailedPeerCertificate */
/** @typedef {{ error?: any, peer?: InstanceType<typeof Peer>, chain?: readonly Uint8Array[] }} Outcome */

const OPTIONS = ['certificate', 'servers', 'ca', 'onReject', 'principal', ...SETTINGS]
const CERTIFICATES = ['svid', 'none']
const SERVERS = ['spiffe', 'web']

class Client {
  #source
  #authorizer
  #plan
  #web
  #onReject
  #principal
  #lifetimes
  #unsubscribe = () => {}
  /**
   * Those that were there last: of a withdrawn identity, nothing else is kept.
   * @type {import('../../index').BundleSet | undefined}
   */
  #bundles
  /**
   * What a connection gets that must not come about.
   * @type {{ bundles: unknown, context: tls.SecureContext } | undefined}
   */
  #sealed
  /** Why the newest revision cannot be shown. @type {unknown} */
  #unusable

  /**
   * @param {unknown} source
   * @param {unknown} authorize
   * @param {unknown} options
   * @param {readonly string[]} [others] further options that the caller reads
   */
  constructor(source, authorize, options, others = []) {
    const given = ownOptions(options, [...OPTIONS, ...others], 'options')
    this.#web = checkChoice(given.servers, SERVERS, 'options.servers') === 'web'
    const shows = checkChoice(given.certificate, CERTIFICATES, 'options.certificate') === 'svid'
    if (this.#web && authorize !== null)
      throw invalidArgument(
        `authorize: expected null, because with servers: 'web' a server has a host name and no SPIFFE ID, got ` +
          `${shown(authorize)}`
      )
    if (given.ca !== undefined && !this.#web)
      throw invalidArgument(
        `options.ca: it is for servers: 'web'; who vouches for SPIFFE servers is said by the source`
      )
    this.#source = checkSource(source)
    this.#authorizer = this.#web ? anybody : compile(authorize, 'authorize')
    /** @type {import('./secure-contexts').Plan} */
    this.#plan = {
      side: 'client',
      settings: readSettings(given),
      domains: this.#web ? undefined : domainsOf(this.#authorizer),
      shows,
      certificate: undefined,
      trusts: this.#web ? 'web' : 'spiffe',
      webRoots: given.ca === undefined ? undefined : [given.ca].flat()
    }
    this.#onReject = checkFunction(given.onReject, 'options.onReject')
    this.#principal = checkFunction(given.principal, 'options.principal')
    this.#lifetimes = new Lifetimes(this.#source, 'client', readLifetimes(given), this.#onReject)
    if (this.#lifetimes.watches)
      this.#unsubscribe = this.#source.subscribe((event) => this.#lifetimes.sourceChanged(event))
  }

  close() {
    this.#unsubscribe()
    this.#unsubscribe = () => {}
  }

  /**
   * What every library takes that hands its options to tls.connect. The context is looked up for each connection, so
   * that it is always that of the newest revision.
   * @returns {import('../../types/tls').ClientTlsOptions}
   */
  options() {
    const client = this
    // There is no other way to have a context that lives: libraries copy options, and look at the context again.
    const live = tls.createSecureContext({ ca: [] })
    Object.defineProperty(live, 'context', { get: () => client.#native(), enumerable: true })
    const options = {
      secureContext: live,
      rejectUnauthorized: /** @type {const} */ (true),
      maxCachedSessions: /** @type {const} */ (0)
    }
    if (this.#web) return options
    return {
      ...options,
      /**
       * @this {unknown}
       * @param {string} _host
       * @param {import('node:tls').PeerCertificate} certificate
       */
      checkServerIdentity(_host, certificate) {
        const { error, peer } = client.verify(/** @type {DetailedPeerCertificate} */ (certificate), {})
        // Called as a method of the options that node:tls keeps with the socket.
        if (peer && typeof this === 'object' && this !== null) setPeerByOptions(this, peer)
        return error
      }
    }
  }

  /** The native context for one connection. */
  #native() {
    let made
    try {
      const context = currentContext(this.#source)
      this.#bundles = context.bundles
      made = secureContext(this.#plan, context)
      this.#unusable = undefined
    } catch (error) {
      // Not from here: a library that reconnects by itself would end the process. The handshake fails, and says why.
      this.#unusable = error
      made = this.#sealedContext()
    }
    const native = /** @type {any} */ (made).context
    forgetSessions(native)
    return native
  }

  #sealedContext() {
    const bundles = this.#bundles
    if (!this.#sealed || this.#sealed.bundles !== bundles)
      this.#sealed = { bundles, context: tls.createSecureContext(sealedOptions(this.#plan, bundles)) }
    return this.#sealed.context
  }

  /**
   * Verify a server. Never throws: what is thrown into node:tls leaves the connection open.
   * @param {DetailedPeerCertificate} certificate
   * @param {{ remoteAddress?: string | undefined, remotePort?: number | undefined }} socket
   * @returns {Outcome}
   */
  verify(certificate, socket) {
    let error
    try {
      const context = currentContext(this.#source)
      if (this.#unusable !== undefined) throw this.#unusable
      const verification = verifyChain(chainOf(certificate), context, this.#authorizer, 'serverAuth')
      if (!verification.error)
        return { peer: new Peer('x509', verification.svid, this.#principal), chain: verification.chain }
      error = verification.error
    } catch (thrown) {
      error = refusal(thrown)
    }
    report({ side: 'client', error, leaf: certificate?.raw, socket }, this.#onReject)
    return { error }
  }

  /**
   * A connection of our own, watched from the beginning.
   * @param {ConnectionOptions} wanted
   * @param {ConnectionOptions} options those of {@link Client.options}, made once
   * @param {object} [hooks]
   * @param {(peer: InstanceType<typeof Peer>) => void} [hooks.proven]
   * @param {(connection: import('./lifetimes').Connection) => void} [hooks.opened]
   * @returns {TLSSocket}
   */
  connect(wanted, options, hooks) {
    /** @type {Outcome} */
    let outcome = {}
    /** @type {TLSSocket} */
    let socket
    const { session, pfx, cert, key, ca, checkServerIdentity, ...rest } = wanted
    /** @type {ConnectionOptions} */
    const all = { ...rest, ...options }
    if (!this.#web) {
      all.checkServerIdentity = (_host, certificate) => {
        outcome = this.verify(/** @type {DetailedPeerCertificate} */ (certificate), socket)
        return outcome.error
      }
    }
    socket = tls.connect(all)
    socket.prependListener('secure', () => this.#beforeNode(socket))
    socket.prependListener('secureConnect', () => {
      const { peer, chain } = outcome
      // Neither can happen with these options; if one does, no server was verified.
      if (socket.isSessionReused() || (!peer && !this.#web)) {
        socket.destroy(untrusted('session_reused', 'the server resumed a session instead of proving who it is'))
        return
      }
      if (peer) {
        setPeer(socket, peer)
        hooks?.proven?.(peer)
      }
      const connection = this.#lifetimes.add(socket, { peer, chain })
      if (connection) hooks?.opened?.(connection)
    })
    return socket
  }

  /**
   * When node:tls is about to refuse the server, `checkServerIdentity` is not called: this is the last moment at which
   * the identity it claimed can be read.
   * @param {TLSSocket} socket
   */
  #beforeNode(socket) {
    const code = /** @type {any} */ (socket)._handle?.verifyError?.()?.code
    if (code === undefined) return
    if (this.#web) {
      // The server is fine; it is we who have nothing to show.
      if (this.#unusable)
        socket.prependOnceListener('error', (refused) => {
          refused.cause ??= this.#unusable
        })
      return
    }
    const certificate = socket.getPeerCertificate(true)
    if (!certificate?.raw) return
    const { error, chain } = this.verify(certificate, socket)
    const why = error ?? untrusted('tls_verification', `node:tls does not accept the chain: ${code}`)
    if (!error) report({ side: 'client', error: why, leaf: chain?.[0], socket }, this.#onReject)
    // What node:tls says is passed on as it is; this says the same in our words.
    socket.prependOnceListener('error', (refused) => {
      refused.cause ??= why
    })
  }
}

module.exports = { Client }
