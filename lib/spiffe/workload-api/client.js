'use strict'
/** The Workload API, method by method. */

const { CountersignError, invalidArgument, shown } = require('../../native/errors')
const { native } = require('../../native/load')
const { checkOptions, checkSignal, checkTimeout } = require('../../internal/options')
const { SpiffeId } = require('../id')
const { jwtSvid } = require('../jwt-svid')
const { answer } = require('../../native/answer')
const { PICKS, compilePick } = require('../source/pick')
const { WorkloadBundles } = require('./bundles')
const { call, mailbox } = require('../../native/mailbox')
const { endpointOf } = require('./endpoint')
const { Message, X509Context } = require('./x509-context')

/** @typedef {import('../../../index').CallOptions} CallOptions */

const DEFAULT_TIMEOUT = 10_000
const CLIENT_OPTIONS = ['endpoint', 'timeout']
const CALL_OPTIONS = ['signal', 'timeout']
const TOKEN_OPTIONS = ['audience', 'spiffeId']

class WorkloadApiClient {
  #client
  #closed = false
  /** @type {Set<(reason: unknown) => void>} */
  #inFlight = new Set()

  /** @param {import('../../../index').WorkloadApiClientOptions} [options] */
  constructor(options) {
    const { endpoint, timeout = DEFAULT_TIMEOUT } = checkOptions(options, CLIENT_OPTIONS, 'options')
    this.timeout = checkTimeout(timeout, 'options.timeout')
    this.#client = answer(native.WorkloadClient.open(mailbox(), endpointOf(endpoint)), WorkloadApiClient)
    this.endpoint = this.#client.endpoint
    Object.freeze(this)
  }

  /**
   * @param {Record<string, any> | undefined} options
   * @param {readonly string[]} more
   * @param {(client: import('../../../types/native').WorkloadClient, key: number, timeout: number) => void} start
   */
  async #call(options, more, start) {
    const { signal, timeout = this.timeout } = checkOptions(options, [...CALL_OPTIONS, ...more], 'options')
    checkSignal(signal, 'options.signal')
    checkTimeout(timeout, 'options.timeout')
    if (this.#closed) throw closed()
    return await call((key) => start(this.#client, key, timeout ?? Infinity), signal, this.#inFlight)
  }

  /** @param {CallOptions} [options] */
  async fetchX509Context(options) {
    return contextOf(await this.#message(options, []), 0)
  }

  /** @param {import('../../../index').FetchX509SvidOptions} [options] */
  async fetchX509Svid(options) {
    const pick = compilePick(checkOptions(options, [...CALL_OPTIONS, ...PICKS], 'options'))
    const message = await this.#message(options, PICKS)
    return message.svid(pick(message))
  }

  /** @param {CallOptions} [options] */
  async fetchX509Svids(options) {
    return (await this.#message(options, [])).svids
  }

  /**
   * @param {CallOptions | undefined} options
   * @param {readonly string[]} more
   */
  async #message(options, more) {
    const { message } = await this.#call(options, more, (client, key, timeout) => client.fetchX509Context(key, timeout))
    return new Message(/** @type {import('../../../types/native').X509Context} */ (message))
  }

  /** @param {CallOptions} [options] */
  async fetchX509Bundles(options) {
    const { message } = await this.#call(options, [], (client, key, timeout) => client.fetchX509Bundles(key, timeout))
    return new WorkloadBundles(/** @type {import('../../../types/native').X509Context} */ (message))
  }

  /** @param {CallOptions} [options] */
  async fetchJwtBundles(options) {
    const { message } = await this.#call(options, [], (client, key, timeout) => client.fetchJwtBundles(key, timeout))
    return new WorkloadBundles(/** @type {import('../../../types/native').X509Context} */ (message))
  }

  /** @param {import('../../../index').FetchJwtSvidOptions} options */
  async fetchJwtSvid(options) {
    const { hint } = checkOptions(options, [...CALL_OPTIONS, ...TOKEN_OPTIONS, 'hint'], 'options')
    const svids = await this.#tokens(options, ['hint'])
    // The Workload API narrows by name; by hint is for us to do.
    return svids.svid(compilePick(hint === undefined ? {} : { hint })(svids))
  }

  /** @param {import('../../../index').FetchJwtSvidsOptions} options */
  async fetchJwtSvids(options) {
    return Object.freeze((await this.#tokens(options, [])).svids)
  }

  /**
   * @param {import('../../../index').FetchJwtSvidsOptions} options
   * @param {readonly string[]} more
   */
  async #tokens(options, more) {
    const { audience, spiffeId } = checkOptions(options, [...CALL_OPTIONS, ...TOKEN_OPTIONS, ...more], 'options')
    const audiences = audienceList(audience)
    const id = spiffeId === undefined ? undefined : SpiffeId.from(spiffeId, 'options.spiffeId').uri
    const { text } = await this.#call(options, [...TOKEN_OPTIONS, ...more], (client, key, timeout) =>
      client.fetchJwtSvids(key, timeout, audiences, id)
    )
    const svids = JSON.parse(text).svids.map((/** @type {[string, string, string | null]} */ [token, facts, hint]) =>
      jwtSvid(token, facts, hint ?? undefined)
    )
    return {
      svids,
      labels: svids.map((/** @type {any} */ svid) => [svid.spiffeId.uri, svid.hint ?? null]),
      svid: (/** @type {number} */ index) => svids[index]
    }
  }

  /** @param {import('../../../index').ValidateJwtSvidOptions} options */
  async validateJwtSvid(options) {
    const { audience, token } = checkOptions(options, [...CALL_OPTIONS, 'audience', 'token'], 'options')
    if (typeof audience !== 'string' || audience === '')
      throw invalidArgument(`options.audience: expected a string that is not empty, got ${shown(audience)}`)
    if (typeof token !== 'string')
      throw invalidArgument(`options.token: expected a string, got ${token === null ? 'null' : typeof token}`)
    try {
      const { text } = await this.#call(options, ['audience', 'token'], (client, key, timeout) =>
        client.validateJwtSvid(key, timeout, audience, token)
      )
      const [spiffeId, claims] = JSON.parse(text)
      return Object.freeze({
        spiffeId: SpiffeId.parse(spiffeId),
        claims: require('../../internal/freeze').freezeDeep(claims)
      })
    } catch (error) {
      // A verdict on the token, in the only code the servers have for it.
      const { code, grpcCode, grpcMessage, grpcStatus } = /** @type {any} */ (error)
      if (code !== 'ERR_WORKLOAD_API' || grpcCode !== 'INVALID_ARGUMENT') throw error
      throw new CountersignError('ERR_INVALID_TOKEN', `the Workload API refuses the token: ${grpcMessage}`, {
        rule: 'refused_by_workload_api',
        grpcCode,
        grpcStatus,
        grpcMessage,
        cause: error
      })
    }
  }

  /** @param {import('../../../index').FetchWitSvidsOptions} [options] */
  async fetchWitSvids(options) {
    const { spiffeId } = checkOptions(options, [...CALL_OPTIONS, 'spiffeId'], 'options')
    const id = spiffeId === undefined ? undefined : SpiffeId.from(spiffeId, 'options.spiffeId').uri
    const { text } = await this.#call(options, ['spiffeId'], (client, key, timeout) =>
      client.fetchWitSvids(key, timeout, id)
    )
    const { WitSvid } = require('./wit-svid')
    return Object.freeze(
      JSON.parse(text).map((/** @type {[string, string, string, string | null]} */ fields) => new WitSvid(...fields))
    )
  }

  /** @param {CallOptions} [options] */
  async fetchWitBundles(options) {
    const { text } = await this.#call(options, [], (client, key, timeout) => client.fetchWitBundles(key, timeout))
    return new Map(Object.entries(/** @type {Record<string, string>} */ (JSON.parse(text))))
  }

  /** @param {import('../../../index').WatchOptions} [options] */
  watchX509Context(options) {
    return this.#watch('x509', options, (message, revision) => contextOf(new Message(message), revision))
  }

  /** @param {import('../../../index').WatchOptions} [options] */
  watchX509Bundles(options) {
    return this.#watch('x509Bundles', options, (message) => new WorkloadBundles(message))
  }

  /** @param {import('../../../index').WatchOptions} [options] */
  watchJwtBundles(options) {
    return this.#watch('jwtBundles', options, (message) => new WorkloadBundles(message))
  }

  /**
   * @template T
   * @param {import('../source/feed').Subject} subject
   * @param {unknown} options
   * @param {(told: import('../../../types/native').X509Context, revision: number) => T} make
   */
  #watch(subject, options, make) {
    if (this.#closed) throw closed()
    return require('./watch').watch(this.endpoint, subject, options, make)
  }

  close() {
    this.#closed = true
    for (const end of [...this.#inFlight]) end(closed())
  }

  [Symbol.dispose]() {
    this.close()
  }

  async [Symbol.asyncDispose]() {
    this.close()
  }
}

function closed() {
  return new CountersignError('ERR_CLOSED', 'the client is closed')
}

/**
 * @param {InstanceType<typeof Message>} message
 * @param {number} revision
 */
function contextOf(message, revision) {
  return new X509Context(message, message.svid(0), revision)
}

/**
 * @param {unknown} audience
 * @returns {string[]}
 */
function audienceList(audience) {
  const list = typeof audience === 'string' ? [audience] : audience
  if (!Array.isArray(list) || list.length === 0 || !list.every((name) => typeof name === 'string' && name !== '')) {
    throw invalidArgument(
      `options.audience: expected a string or a list of strings, at least one and none empty, got ${shown(audience)}`
    )
  }
  return list
}

module.exports = { WorkloadApiClient, audienceList }
