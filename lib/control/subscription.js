'use strict'
/** The alerts of an agent as they occur, as an async iterable that outlives the agent. */

const { Backoff } = require('../internal/backoff')
const { CountersignError } = require('../native/errors')
const { Connection } = require('./connection')
const { toAlert } = require('./values')

/** Alerts that wait to be read, until no more are taken from the socket: the agent says then how many were missed. */
const ENOUGH = 256

/** @typedef {InstanceType<typeof Connection>} Link */

class Subscription {
  #how
  /** @type {any[]} */
  #queue = []
  /** @type {{ resolve: (result: IteratorResult<any>) => void, reject: (error: unknown) => void }[]} */
  #readers = []
  /** @type {Link | undefined} */
  #connection
  /** @type {NodeJS.Timeout | undefined} */
  #again
  #started = false
  #paused = false
  #done = false
  /** The error for the next reader, once. @type {{ error: unknown } | undefined} */
  #failure
  /** @type {string | undefined} */
  #run
  /** @type {number | undefined} */
  #last
  #backoff = new Backoff(50, 5000)
  #onAbort = () => this.#fail(this.#how.signal?.reason)

  /**
   * @param {{
   *   path: string, connect: () => Promise<import('node:net').Socket>, timeout: number | null,
   *   signal: AbortSignal | undefined, after: number | undefined, reconnect: boolean, left: () => void,
   * }} how
   */
  constructor(how) {
    this.#how = how
    this.#last = how.after
    if (how.signal?.aborted) this.#fail(how.signal.reason)
    else how.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  [Symbol.asyncIterator]() {
    return this
  }

  /** @returns {Promise<IteratorResult<any>>} */
  next() {
    if (this.#queue.length > 0) {
      const alert = this.#queue.shift()
      if (this.#paused && this.#queue.length === 0) {
        this.#paused = false
        this.#connection?.resume()
      }
      return Promise.resolve({ done: false, value: alert })
    }
    if (this.#failure) {
      const { error } = this.#failure
      this.#failure = undefined
      return Promise.reject(error)
    }
    if (this.#done) return Promise.resolve({ done: true, value: undefined })
    if (!this.#started) {
      this.#started = true
      this.#open(true)
    }
    this.#connection?.ref()
    this.#again?.ref()
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }))
  }

  /** @returns {Promise<IteratorResult<any>>} */
  async return() {
    this.close()
    return { done: true, value: undefined }
  }

  /** @param {unknown} error @returns {Promise<IteratorResult<any>>} */
  async throw(error) {
    this.close()
    throw error
  }

  close() {
    if (this.#done) return
    this.#done = true
    this.#queue = []
    this.#how.signal?.removeEventListener('abort', this.#onAbort)
    clearTimeout(this.#again)
    this.#connection?.close()
    this.#how.left()
    for (const { resolve } of this.#readers.splice(0)) resolve({ done: true, value: undefined })
  }

  [Symbol.dispose]() {
    this.close()
  }
  async [Symbol.asyncDispose]() {
    this.close()
  }

  /** @param {unknown} error */
  #fail(error) {
    if (this.#done) return
    const readers = this.#readers.splice(0)
    this.close()
    if (readers.length === 0) this.#failure = { error }
    for (const [index, { resolve, reject }] of readers.entries()) {
      if (index === 0) reject(error)
      else resolve({ done: true, value: undefined })
    }
  }

  /** @param {boolean} first */
  async #open(first) {
    /** @type {import('node:net').Socket} */
    let socket
    try {
      socket = await this.#how.connect()
    } catch (error) {
      // There was no connection before: the first reader gets the error.
      if (first || this.#done || /** @type {any} */ (error).code === 'ERR_UNTRUSTED_SERVER') this.#fail(error)
      else this.#later()
      return
    }
    if (this.#done) return void socket.destroy()
    let listening = false
    const connection = new Connection(socket, this.#how.path, {
      alert: (alert) => {
        if (listening) this.#take(alert)
      },
      end: (error) => this.#lost(connection, error)
    })
    this.#connection = connection
    if (this.#readers.length > 0) connection.ref()
    /** @param {number | undefined} after */
    const ask = (after) => {
      const late =
        this.#how.timeout === null
          ? undefined
          : setTimeout(
              () =>
                socket.destroy(
                  new CountersignError(
                    'ERR_TIMEOUT',
                    `no answer from ${this.#how.path} within ${this.#how.timeout} ms`,
                    { path: this.#how.path, timeout: this.#how.timeout }
                  )
                ),
              this.#how.timeout
            )
      connection.ask('subscribe', after === undefined ? '' : `,"after":${after}`, {
        settle: (error, ok) => {
          clearTimeout(late)
          if (error) {
            // Refused, and not only gone: that will not change by itself.
            if (/** @type {any} */ (error).code === 'ERR_DAEMON') this.#fail(error)
            return
          }
          const run = ok?.run
          if (this.#run !== undefined && run !== this.#run) {
            // Another agent than before, which counts from the start.
            this.#run = run
            this.#last = 0
            return ask(0)
          }
          this.#run = run
          listening = true
          this.#backoff.reset()
          if (this.#readers.length > 0) connection.ref()
        }
      })
    }
    ask(this.#last)
  }

  /** @param {Record<string, any>} value */
  #take(value) {
    if (typeof value.seq === 'number') this.#last = value.seq
    const alert = toAlert(value)
    const reader = this.#readers.shift()
    if (reader) {
      if (this.#readers.length === 0) this.#connection?.unref()
      return reader.resolve({ done: false, value: alert })
    }
    this.#queue.push(alert)
    if (this.#queue.length >= ENOUGH && !this.#paused) {
      this.#paused = true
      this.#connection?.pause()
    }
  }

  /**
   * @param {Link} connection
   * @param {Error} error
   */
  #lost(connection, error) {
    if (this.#done || this.#connection !== connection) return
    this.#connection = undefined
    this.#paused = false
    if (!this.#how.reconnect || this.#run === undefined) this.#fail(error)
    else this.#later()
  }

  #later() {
    this.#again = setTimeout(() => this.#open(false), this.#backoff.next())
    if (this.#readers.length === 0) this.#again.unref()
  }
}

module.exports = { Subscription }
