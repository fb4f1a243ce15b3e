'use strict'
/** A workload's X509-SVID and the bundles to verify peers, kept fresh. */

const { CountersignError } = require('../../native/errors')
const { publish } = require('../../internal/diagnostics')
const { checkOptions } = require('../../internal/options')
const { TrustDomain } = require('../trust-domain')
const { Message, X509Context } = require('../workload-api/x509-context')
const { Live } = require('./live')
const { PICKS, compilePick } = require('./pick')

const inspect = Symbol.for('nodejs.util.inspect.custom')
const OPTIONS = ['endpoint', 'withdrawGrace', ...PICKS]

/**
 * The messages of this thread by what they were told with: sources of one endpoint share their objects.
 * @type {WeakMap<import('../../../types/native').X509Context, InstanceType<typeof Message>>}
 */
const messages = new WeakMap()

class X509Source extends Live {
  #pick
  /** What was last looked at. @type {import('./feed').Snapshot | undefined} */
  #seen
  /** @type {InstanceType<typeof X509Context> | undefined} */
  #context
  /** @type {unknown} */
  #failure
  /** The first moment the picked SVID is no longer valid. */
  #ends = 0
  /** @type {string | undefined} */
  #serial

  /** @param {import('../../../index').X509SourceOptions} [options] */
  constructor(options) {
    const given = checkOptions(options, OPTIONS, 'options')
    const pick = compilePick(given)
    super('x509', given)
    this.#pick = pick
    // Another source may have been told already: what it is replaced by is a rotation here too.
    if (this.feed.now.lastMessage) this.#serial = this.#picked()?.serialNumber
    Object.freeze(this)
  }

  /** @param {import('../../../index').X509SourceOptions & import('../../../index').ReadyOptions} [options] */
  static async open(options) {
    const { signal, timeout, ...rest } = checkOptions(options, [...OPTIONS, 'signal', 'timeout'], 'options')
    const source = new X509Source(rest)
    try {
      await source.ready({ signal, ...(timeout === undefined ? {} : { timeout }) })
      return source
    } catch (error) {
      source.close()
      throw error
    }
  }

  /** @param {import('../../../index').ReadyOptions} [options] */
  ready(options) {
    return this.untilReady(options, () => this.context())
  }

  context() {
    if (!this.closed) {
      const { now } = this.feed
      if (now !== this.#seen) this.#look(now)
      if (this.#context) {
        if (Date.now() < this.#ends) return this.#context
        throw this.#expired()
      }
    }
    throw this.#failure ?? this.unavailable()
  }

  /** @param {import('./feed').Snapshot} now */
  #look(now) {
    const { lastMessage, revision } = now
    this.#seen = now
    if (lastMessage === undefined) {
      // What was withdrawn is kept for as long as was asked for, and no longer.
      if (this.inGrace) this.#seen = undefined
      else this.#context = undefined
      this.#failure = undefined
      return
    }
    let message = messages.get(lastMessage)
    if (!message) messages.set(lastMessage, (message = new Message(lastMessage)))
    try {
      const svid = message.svid(this.#pick(message))
      this.#context = new X509Context(message, svid, revision)
      // The last second counts.
      this.#ends = svid.expiresAt.getTime() + 1000
      this.#failure = undefined
    } catch (error) {
      this.#context = undefined
      this.#failure = error
    }
  }

  #expired() {
    const { spiffeId, expiresAt } = /** @type {InstanceType<typeof X509Context>} */ (this.#context).svid
    const cause = this.feed.lastError
    return new CountersignError(
      'ERR_SVID_EXPIRED',
      `the X509-SVID of ${spiffeId} expired at ${expiresAt.toISOString()} and no new one ` +
        `came${cause ? `: ${cause.message}` : ' (is the clock right?)'}`,
      {
        spiffeId: spiffeId.uri,
        expiresAt,
        state: this.state,
        ...(cause ? { cause } : {})
      }
    )
  }

  svid() {
    return this.context().svid
  }

  /** @param {import('../../../types/spiffe').TrustDomain | string} trustDomain */
  bundle(trustDomain) {
    const { name } = TrustDomain.from(trustDomain)
    const bundle = this.context().bundles.x509Bundle(name)
    if (!bundle)
      throw new CountersignError('ERR_BUNDLE_NOT_FOUND', `the Workload API offers no X.509 bundle of ${name}`, {
        trustDomain: name
      })
    return bundle
  }

  /** @param {import('../../../index').WatchOptions} [options] */
  updates(options) {
    return this.follow(options, () => {
      const value = this.context()
      return { revision: value.revision, value }
    })
  }

  needsRotation() {
    return this.svid().needsRotation()
  }

  isHealthy() {
    try {
      return !this.feed.now.givenUp && !this.needsRotation()
    } catch {
      return false
    }
  }

  #picked() {
    try {
      return this.svid()
    } catch {
      return undefined
    }
  }

  /**
   * @override
   * @protected
   * @param {import('./feed').Event} event
   */
  changed(event) {
    if (event.type !== 'update') return
    const svid = this.#picked()
    if (svid === undefined) return
    const before = this.#serial
    this.#serial = svid.serialNumber
    if (before === undefined || before === svid.serialNumber) return
    publish('source.rotate', () => ({
      endpoint: this.endpoint,
      spiffeId: svid.spiffeId.uri,
      hint: svid.hint,
      serialNumber: svid.serialNumber,
      previousSerialNumber: before,
      expiresAt: svid.expiresAt
    }))
  }

  /** @override @protected */
  disposed() {
    this.#context = undefined
    this.#failure = undefined
  }

  toJSON() {
    const { endpoint, state } = this
    return { endpoint, state, svid: this.closed ? undefined : this.#context?.svid }
  }

  /**
   * @param {number} _depth
   * @param {import('node:util').InspectOptions} options
   * @param {typeof import('node:util').inspect} show
   */
  [inspect](_depth, options, show) {
    return `X509Source ${show(this.toJSON(), options)}`
  }
}

module.exports = { X509Source }
