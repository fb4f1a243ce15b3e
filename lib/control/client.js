'use strict'
/** The operator's client: reads the status of an agent, and controls it. */

const { CountersignError, invalidArgument, shown } = require('../native/errors')
const { checkOptions, checkPath, checkSignal, checkTimeout } = require('../internal/options')
const { compilePolicy } = require('../peer/policy')
const { Call } = require('./call')
const { Connection, connect } = require('./connection')
const { Subscription } = require('./subscription')
const { toAlerts, toReport, toStatus, toText } = require('./values')

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
  /** The calls in flight. @type {Set<InstanceType<typeof Call>>} */
  #calls = new Set()
  #left = (/** @type {InstanceType<typeof Call>} */ call) => {
    this.#calls.delete(call)
  }
  /** @type {NodeJS.Timeout | undefined} */
  #timer
  /** When the timer stands, on the clock of `performance.now()`. */
  #wakesAt = Infinity

  /** @param {{ socketPath?: string, timeout?: number | null, expectServer?: any }} [options] */
  constructor(options) {
    const {
      socketPath,
      timeout = DEFAULT_TIMEOUT,
      expectServer
    } = checkOptions(options, ['socketPath', 'timeout', 'expectServer'], 'options')
    this.#path = checkPath(
      socketPath ?? process.env.COUNTERSIGN_CONTROL_SOCKET ?? DEFAULT_SOCKET_PATH,
      socketPath === undefined ? 'COUNTERSIGN_CONTROL_SOCKET' : 'options.socketPath'
    )
    this.#timeout = checkTimeout(timeout, 'options.timeout')
    // An invalid policy is an error now.
    if (expectServer !== undefined) compilePolicy(expectServer)
    this.#expectServer = expectServer
  }

  get socketPath() {
    return this.#path
  }
  get timeout() {
    return this.#timeout
  }

  /** @param {CallOptions} [options] */
  async ping(options) {
    return this.#ask('ping', '', options, nothing)
  }

  /** @param {CallOptions} [options] */
  async status(options) {
    return this.#ask('status', '', options, toStatus)
  }

  /** @param {CallOptions & { limit?: number }} [options] */
  async alerts({ limit, ...options } = {}) {
    if (limit !== undefined && !(Number.isInteger(limit) && limit >= 0 && limit <= 0xffffffff))
      throw invalidArgument(`options.limit: expected an integer from 0 to 4294967295, got ${shown(limit)}`)
    return this.#ask('alerts', `,"limit":${limit ?? null}`, options, toAlerts)
  }

  /** @param {{ signal?: AbortSignal, after?: number, reconnect?: boolean }} [options] */
  subscribe(options) {
    const { signal, after, reconnect = true } = checkOptions(options, ['signal', 'after', 'reconnect'], 'options')
    checkSignal(signal, 'options.signal')
    if (after !== undefined && !(Number.isSafeInteger(after) && after >= 0))
      throw invalidArgument(`options.after: expected the number of an alert, got ${shown(after)}`)
    if (typeof reconnect !== 'boolean') throw invalidArgument('options.reconnect: expected a boolean')
    if (this.#closed) throw closed()
    const subscription = new Subscription({
      path: this.#path,
      connect: () => connect(this.#path, this.#expectServer, this.#timeout),
      timeout: this.#timeout,
      signal,
      after,
      reconnect,
      left: () => this.#subscriptions.delete(subscription)
    })
    this.#subscriptions.add(subscription)
    return subscription
  }

  /** @param {CallOptions} [options] */
  async reloadPolicy(options) {
    return this.#ask('reloadPolicy', '', options, ({ rules, warnings = [] }) => ({ rules, warnings }))
  }

  /** @param {CallOptions & { reason?: string }} [options] */
  async kill({ reason, ...options } = {}) {
    if (reason !== undefined && typeof reason !== 'string')
      throw invalidArgument(`options.reason: expected a string, got ${shown(reason)}`)
    return this.#ask('kill', `,"reason":${JSON.stringify(reason ?? null)}`, options, ({ persistent }) => ({
      persistent: persistent === true
    }))
  }

  /** @param {CallOptions} [options] */
  async resume(options) {
    return this.#ask('resume', '', options, ({ wasKilled }) => ({ wasKilled: wasKilled === true }))
  }

  /** @param {CallOptions & { deep?: boolean, fix?: boolean }} [options] */
  async audit({ deep = false, fix = false, ...options } = {}) {
    for (const [name, value] of Object.entries({ deep, fix }))
      if (typeof value !== 'boolean') throw invalidArgument(`options.${name}: expected a boolean, got ${shown(value)}`)
    return this.#ask('audit', `,"deep":${deep},"fix":${fix},"json":true`, options, toReport)
  }

  /** @param {CallOptions} [options] */
  async metrics(options) {
    return this.#ask('metrics', '', options, toText)
  }

  /** Closing twice is closing once. */
  close() {
    this.#closed = true
    for (const subscription of this.#subscriptions) subscription.close()
    this.#connection?.close()
    // Those that wait for a connection.
    for (const call of this.#calls) call.settle(closed())
    clearTimeout(this.#timer)
  }

  [Symbol.dispose]() {
    this.close()
  }
  async [Symbol.asyncDispose]() {
    this.close()
  }

  /**
   * @template T
   * @param {string} name
   * @param {string} members
   * @param {CallOptions | undefined} options
   * @param {(ok: Record<string, any>) => T} read makes the value of an answer
   * @returns {Promise<T>}
   */
  #ask(name, members, options, read) {
    const { signal, timeout = this.#timeout } = checkOptions(options, ['signal', 'timeout'], 'options')
    checkTimeout(timeout, 'options.timeout')
    checkSignal(signal, 'options.signal')
    signal?.throwIfAborted()
    if (this.#closed) throw closed()
    return new Promise((resolve, reject) => {
      const call = new Call({ resolve, reject, read, timeout, signal, left: this.#left })
      this.#calls.add(call)
      this.#wakeAt(call.deadline)
      const connection = this.#connection
      if (connection && !connection.ended) call.sendOn(connection, name, members)
      else
        this.#connect().then(
          (connected) => call.sendOn(connected, name, members),
          (error) => call.settle(error)
        )
    })
  }

  /**
   * One timer for all calls: it stands where the first deadline is or was, so that most calls need not touch it. It
   * keeps nothing alive: the connection does, as long as a call waits.
   * @param {number} deadline
   */
  #wakeAt(deadline) {
    if (deadline >= this.#wakesAt) return
    this.#wakesAt = deadline
    clearTimeout(this.#timer)
    this.#timer = setTimeout(this.#wake, Math.max(0, deadline - performance.now())).unref()
  }

  #wake = () => {
    this.#wakesAt = Infinity
    const now = performance.now()
    for (const call of this.#calls) {
      if (call.deadline > now) this.#wakeAt(call.deadline)
      else
        call.giveUp(
          new CountersignError('ERR_TIMEOUT', `no answer from ${this.#path} within ${call.timeout} ms`, {
            path: this.#path,
            timeout: call.timeout
          })
        )
    }
  }

  /** One at a time, for all calls that come meanwhile. */
  #connect() {
    this.#connecting ??= connect(this.#path, this.#expectServer, this.#timeout)
      .then((socket) => {
        this.#connection = new Connection(socket, this.#path)
        if (this.#closed) this.#connection.close()
        if (this.#connection.ended) throw this.#connection.ended
        return this.#connection
      })
      .finally(() => {
        this.#connecting = undefined
      })
    return this.#connecting
  }
}

function nothing() {}

function closed() {
  return new CountersignError('ERR_CLOSED', 'the client is closed', { state: 'closed' })
}

module.exports = { ControlClient }
