'use strict'
/**
 * A request on its way to an agent: settled once, by its answer, its deadline, its signal or the end of its connection.
 */

/** @typedef {InstanceType<typeof import('./connection').Connection>} Link */

class Call {
  #resolve
  #reject
  #read
  #signal
  #left
  /** @type {Link | undefined} */
  #connection
  #id = 0
  #over = false
  /** @type {(() => void) | undefined} */
  #onAbort

  /**
   * @param {{
   *   resolve (value: any): void, reject (error: unknown): void, read (ok: Record<string, any>): any,
   *   timeout: number | null, signal: AbortSignal | undefined, left (call: Call): void,
   * }} how `read` makes the value of an answer, and may throw; `left` is called when it is settled
   */
  constructor({ resolve, reject, read, timeout, signal, left }) {
    this.#resolve = resolve
    this.#reject = reject
    this.#read = read
    this.#signal = signal
    this.#left = left
    /** On the clock of `performance.now()`. */
    this.deadline = timeout === null ? Infinity : performance.now() + timeout
    this.timeout = timeout
    if (signal) {
      this.#onAbort = () => this.giveUp(signal.reason)
      signal.addEventListener('abort', this.#onAbort, { once: true })
    }
  }

  /**
   * @param {Link} connection
   * @param {string} name the verb
   * @param {string} members the rest of the request
   */
  sendOn(connection, name, members) {
    if (this.#over) return
    this.#connection = connection
    this.#id = connection.ask(name, members, this)
  }

  /**
   * @param {unknown} error
   * @param {Record<string, any>} [ok]
   */
  settle(error, ok) {
    if (this.#over) return
    this.#over = true
    if (this.#onAbort) this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#left(this)
    if (!ok) return this.#reject(error)
    try {
      this.#resolve(this.#read(ok))
    } catch (unreadable) {
      this.#reject(unreadable)
    }
  }

  /** Its answer is not waited for any more. @param {unknown} reason */
  giveUp(reason) {
    this.settle(reason)
    this.#connection?.giveUp(this.#id)
  }
}

module.exports = { Call }
