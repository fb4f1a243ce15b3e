'use strict'
/** A workload's tokens, and the bundles to verify the tokens of others, kept fresh. */

const { CountersignError, invalidArgument, shown } = require('../../native/errors')
const { checkOptions, checkSignal, checkTimeout } = require('../../internal/options')
const { SpiffeId } = require('../id')
const { TrustDomain } = require('../trust-domain')
const { verifyJwtSvid } = require('../verify')
const { WorkloadBundles } = require('../workload-api/bundles')
const { within } = require('../../internal/deadline')
const { WorkloadApiClient, audienceList } = require('../workload-api/client')
const { JwtCache } = require('./jwt-cache')
const { Live, closed } = require('./live')

/** @typedef {import('../../../types/spiffe').JwtSvid} JwtSvid */

const inspect = Symbol.for('nodejs.util.inspect.custom')
const OPTIONS = ['endpoint', 'withdrawGrace', 'cacheSize', 'fetchTimeout']
const FETCH_OPTIONS = ['audience', 'spiffeId', 'hint', 'signal', 'timeout']
const DEFAULT_CACHE = 1000
const DEFAULT_TIMEOUT = 10_000

class JwtSource extends Live {
  #client
  #cache
  /** What was last looked at. @type {import('./feed').Snapshot | undefined} */
  #seen
  #revision = 0
  /** @type {InstanceType<typeof WorkloadBundles> | undefined} */
  #bundles

  /** @param {import('../../../index').JwtSourceOptions} [options] */
  constructor(options) {
    const given = checkOptions(options, OPTIONS, 'options')
    const { cacheSize = DEFAULT_CACHE, fetchTimeout = DEFAULT_TIMEOUT } = given
    if (!Number.isInteger(cacheSize) || cacheSize < 1 || cacheSize > 1_000_000) {
      throw invalidArgument(`options.cacheSize: expected a number of tokens from 1 to 1000000, got ${shown(cacheSize)}`)
    }
    checkTimeout(fetchTimeout, 'options.fetchTimeout')
    super('jwtBundles', given)
    this.#client = new WorkloadApiClient({ endpoint: this.endpoint, timeout: fetchTimeout })
    this.#cache = new JwtCache(cacheSize)
    Object.freeze(this)
  }

  /** @param {import('../../../index').JwtSourceOptions & import('../../../index').ReadyOptions} [options] */
  static async open(options) {
    const { signal, timeout, ...rest } = checkOptions(options, [...OPTIONS, 'signal', 'timeout'], 'options')
    const source = new JwtSource(rest)
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
    return this.untilReady(options, () => this.bundles)
  }

  get bundles() {
    if (!this.closed) {
      const { now } = this.feed
      if (now !== this.#seen) this.#look(now)
      if (this.#bundles) return this.#bundles
    }
    throw this.unavailable()
  }

  /** @param {import('./feed').Snapshot} now */
  #look(now) {
    this.#seen = now
    if (now.lastMessage) {
      this.#bundles = new WorkloadBundles(now.lastMessage)
      this.#revision = now.revision
    } else if (this.inGrace) this.#seen = undefined
    else this.#bundles = undefined
  }

  /** @param {import('../../../types/spiffe').TrustDomain | string} trustDomain */
  bundle(trustDomain) {
    const { name } = TrustDomain.from(trustDomain)
    const bundle = this.bundles.jwtBundle(name)
    if (!bundle)
      throw new CountersignError('ERR_BUNDLE_NOT_FOUND', `the Workload API offers no JWT bundle of ${name}`, {
        trustDomain: name
      })
    return bundle
  }

  /**
   * @param {import('../../../index').FetchJwtSvidOptions} options
   * @returns {Promise<JwtSvid>}
   */
  async fetch(options) {
    const { audience, spiffeId, hint, signal, timeout } = checkOptions(options, FETCH_OPTIONS, 'options')
    if (this.closed) throw closed()
    this.#forgetWithdrawn()
    const plain = typeof audience === 'string' && audience !== '' && spiffeId === undefined && hint === undefined
    const key = plain ? audience : keyOf(audience, spiffeId, hint)
    const known = this.#cache.now(key)
    if (known !== undefined) {
      signal?.throwIfAborted()
      return known
    }
    checkSignal(signal, 'options.signal')
    if (timeout !== undefined) checkTimeout(timeout, 'options.timeout')
    // The wish outlives the one who had it first: others may be waiting for the same token.
    const wish = { audience, ...(spiffeId === undefined ? {} : { spiffeId }), ...(hint === undefined ? {} : { hint }) }
    const coming = this.#cache.get(key, () => this.#client.fetchJwtSvid(wish))
    return await within(
      coming,
      { signal, timeout },
      () => new CountersignError('ERR_TIMEOUT', `no token from the Workload API within ${timeout} ms`, { timeout })
    )
  }

  /**
   * @param {string} token
   * @param {import('../../../index').VerifyJwtSvidOptions} options
   */
  validate(token, options) {
    return verifyJwtSvid(token, this.bundles, options)
  }

  /** @param {import('../../../index').WatchOptions} [options] */
  updates(options) {
    return this.follow(options, () => {
      const value = this.bundles
      return { revision: this.#revision, value }
    })
  }

  isHealthy() {
    return this.state === 'ready' && !this.feed.now.givenUp
  }

  /** @override */
  get counters() {
    if (!this.closed) this.#forgetWithdrawn()
    return Object.freeze({ ...super.counters, cache: Object.freeze(this.#cache.counters) })
  }

  /** The event that says so may still be on its way. */
  #forgetWithdrawn() {
    if (this.feed.now.state === 'withdrawn' && !this.inGrace) this.#cache.flush()
  }

  /**
   * @override
   * @protected
   * @param {import('./feed').Event} event
   */
  changed(event) {
    if (event.type === 'withdraw') this.#cache.flush()
  }

  /** @override @protected */
  disposed() {
    this.#cache.flush()
    this.#client.close()
    this.#bundles = undefined
  }

  toJSON() {
    const { endpoint, state } = this
    return { endpoint, state }
  }

  /**
   * @param {number} _depth
   * @param {import('node:util').InspectOptions} options
   * @param {typeof import('node:util').inspect} show
   */
  [inspect](_depth, options, show) {
    return `JwtSource ${show(this.toJSON(), options)}`
  }
}

/**
 * What tells one wish from another: audiences in any order are the same wish, and no name can be mistaken for two.
 * @param {unknown} audience
 * @param {unknown} spiffeId
 * @param {unknown} hint
 */
function keyOf(audience, spiffeId, hint) {
  const audiences = [...new Set(audienceList(audience))].sort()
  const id = spiffeId === undefined ? null : SpiffeId.from(spiffeId, 'options.spiffeId').uri
  if (hint !== undefined && (typeof hint !== 'string' || hint === ''))
    throw invalidArgument(`options.hint: expected a string that is not empty, got ${shown(hint)}`)
  if (audiences.length === 1 && id === null && hint === undefined) return audiences[0]
  // A name that looks like this key would have to be this very text, which begins with a bracket and a NUL.
  return `[\0${JSON.stringify([audiences, id, hint ?? null])}`
}

module.exports = { JwtSource }
