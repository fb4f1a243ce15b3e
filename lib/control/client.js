'use strict'
/** The operator's client: asks an agent how it does, and steers it. */

const { CountersignError, invalidArgument, shown } = require('../errors')
const { checkOptions, checkPath, checkSignal, checkTimeout } = require('../options')
const { compilePolicy } = require('../policy')
const { Connection, connect } = require('./connection')
const { Subscription } = require('./subscription')
const { toAlert, toReport, toStatus } = require('./values')

const DEFAULT_SOCKET_PATH = '/run/countersign/control.sock'
const DEFAULT_TIMEOUT = 5000

/** @typedef {InstanceType<typeof Connection>} Link */
/** @typedef {{ signal?: AbortSignal, timeout?: number | null }} CallOptions */

class ControlClient {
  #path
  #timeout
  #expectServer
  /** @type {Link | undefined} */
  #connection
  /** @type {Promise<Link> | undefined} */
  #connecting
  /** @type {Set<InstanceType<typeof Subscription>>} */
  #subscriptions = new Set()
  #closed = false

  /** @param {{ socketPath?: string, timeout?: number | null, expectServer?: any }} [options] */
  constructor (options) {
    const { socketPath, timeout = DEFAULT_TIMEOUT, expectServer } = checkOptions(options, ['socketPath', 'timeout', 'expectServer'], 'options')
    this.#path = checkPath(socketPath ?? process.env.COUNTERSIGN_CONTROL_SOCKET ?? DEFAULT_SOCKET_PATH, socketPath === undefined ? 'COUNTERSIGN_CONTROL_SOCKET' : 'options.socketPath')
    this.#timeout = checkTimeout(timeout, 'options.timeout')
    // A policy that cannot mean anything is told of now.
    if (expectServer !== undefined) compilePolicy(expectServer)
    this.#expectServer = expectServer
  }

  get socketPath () { return this.#path }
  get timeout () { return this.#timeout }

  /** @param {CallOptions} [options] */
  async ping (options) { await this.#ask('ping', '', options) }

  /** @param {CallOptions} [options] */
  async status (options) { return toStatus(await this.#ask('status', '', options)) }

  /** @param {CallOptions & { limit?: number }} [options] */
  async alerts ({ limit, ...options } = {}) {
    if (limit !== undefined && !(Number.isInteger(limit) && limit >= 0 && limit <= 0xffffffff)) throw invalidArgument(`options.limit: expected an integer from 0 to 4294967295, got ${shown(limit)}`)
    const { alerts } = await this.#ask('alerts', `,"limit":${limit ?? null}`, options)
    if (!Array.isArray(alerts)) throw new CountersignError('ERR_MISSING_FIELD', 'the answer has no alerts in it', { field: 'alerts' })
    return alerts.map(toAlert)
  }

  /** @param {{ signal?: AbortSignal, after?: number, reconnect?: boolean }} [options] */
  subscribe (options) {
    const { signal, after, reconnect = true } = checkOptions(options, ['signal', 'after', 'reconnect'], 'options')
    checkSignal(signal, 'options.signal')
    if (after !== undefined && !(Number.isSafeInteger(after) && after >= 0)) throw invalidArgument(`options.after: expected the number of an alert, got ${shown(after)}`)
    if (typeof reconnect !== 'boolean') throw invalidArgument('options.reconnect: expected a boolean')
    if (this.#closed) throw closed()
    const subscription = new Subscription({
      path: this.#path,
      connect: () => connect(this.#path, this.#expectServer, this.#timeout),
      timeout: this.#timeout,
      signal,
      after,
      reconnect,
      left: () => this.#subscriptions.delete(subscription),
    })
    this.#subscriptions.add(subscription)
    return subscription
  }

  /** @param {CallOptions} [options] */
  async reloadPolicy (options) {
    const { rules, warnings = [] } = await this.#ask('reloadPolicy', '', options)
    return { rules, warnings }
  }

  /** @param {CallOptions & { reason?: string }} [options] */
  async kill ({ reason, ...options } = {}) {
    if (reason !== undefined && typeof reason !== 'string') throw invalidArgument(`options.reason: expected a string, got ${shown(reason)}`)
    const { persistent } = await this.#ask('kill', `,"reason":${JSON.stringify(reason ?? null)}`, options)
    return { persistent: persistent === true }
  }

  /** @param {CallOptions} [options] */
  async resume (options) {
    const { wasKilled } = await this.#ask('resume', '', options)
    return { wasKilled: wasKilled === true }
  }

  /** @param {CallOptions & { deep?: boolean, fix?: boolean }} [options] */
  async audit ({ deep = false, fix = false, ...options } = {}) {
    for (const [name, value] of Object.entries({ deep, fix })) if (typeof value !== 'boolean') throw invalidArgument(`options.${name}: expected a boolean, got ${shown(value)}`)
    return toReport(await this.#ask('audit', `,"deep":${deep},"fix":${fix},"json":true`, options))
  }

  /** @param {CallOptions} [options] */
  async metrics (options) {
    const { text } = await this.#ask('metrics', '', options)
    if (typeof text !== 'string') throw new CountersignError('ERR_MISSING_FIELD', 'the answer has no text in it', { field: 'text' })
    return text
  }

  /** Closing twice is closing once. */
  close () {
    this.#closed = true
    for (const subscription of this.#subscriptions) subscription.close()
    this.#connection?.close()
  }

  [Symbol.dispose] () { this.close() }
  async [Symbol.asyncDispose] () { this.close() }

  /**
   * @param {string} name
   * @param {string} members
   * @param {CallOptions | undefined} options
   * @returns {Promise<Record<string, any>>}
   */
  #ask (name, members, options) {
    const { signal, timeout = this.#timeout } = checkOptions(options, ['signal', 'timeout'], 'options')
    checkTimeout(timeout, 'options.timeout')
    checkSignal(signal, 'options.signal')
    signal?.throwIfAborted()
    if (this.#closed) throw closed()
    return new Promise((resolve, reject) => {
      /** @type {Link | undefined} */
      let connection
      let id = 0
      let over = false
      /** @param {unknown} error @param {Record<string, any>} [ok] */
      const settle = (error, ok) => {
        if (over) return
        over = true
        if (late) clearTimeout(late)
        signal?.removeEventListener('abort', onAbort)
        if (ok) resolve(ok)
        else reject(error)
      }
      /** @param {unknown} error */
      const leave = (error) => {
        settle(error)
        connection?.giveUp(id)
      }
      const onAbort = () => leave(/** @type {AbortSignal} */ (signal).reason)
      const late = timeout === null ? undefined : setTimeout(() => leave(new CountersignError('ERR_TIMEOUT', `no answer from ${this.#path} within ${timeout} ms`, { path: this.#path, timeout })), timeout)
      signal?.addEventListener('abort', onAbort, { once: true })
      /** @param {Link} connected */
      const go = (connected) => {
        if (over) return
        connection = connected
        id = connected.ask(name, members, settle)
      }
      if (this.#connection && !this.#connection.ended) go(this.#connection)
      else this.#connect().then(go, settle)
    })
  }

  /** One at a time, for everybody who asks meanwhile. */
  #connect () {
    this.#connecting ??= connect(this.#path, this.#expectServer, this.#timeout).then((socket) => {
      this.#connection = new Connection(socket, this.#path)
      if (this.#closed) this.#connection.close()
      if (this.#connection.ended) throw this.#connection.ended
      return this.#connection
    }).finally(() => { this.#connecting = undefined })
    return this.#connecting
  }
}

function closed () {
  return new CountersignError('ERR_CLOSED', 'the client is closed', { state: 'closed' })
}

module.exports = { ControlClient }
