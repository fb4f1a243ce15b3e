'use strict'
/** Tokens that are good for one use. */

const { invalidArgument, shown } = require('../native/errors')
const { ownOptions } = require('../internal/options')

const DEFAULT_LIMIT = 100_000

/** Remembers what was used, in this process's memory, until it expires anyway. */
class ReplayGuard {
  /** In the order of their arrival. @type {Map<string, number>} */
  #used = new Map()
  #limit

  /** @param {{ limit?: number }} [options] */
  constructor(options) {
    const { limit = DEFAULT_LIMIT } = ownOptions(options, ['limit'], 'options')
    if (!Number.isInteger(limit) || limit < 1)
      throw invalidArgument(`options.limit: expected a number of tokens, got ${shown(limit)}`)
    this.#limit = limit
  }

  get size() {
    return this.#used.size
  }

  /**
   * Whether this is the first use. When there is no room to remember another one, it is not: forgetting one that could
   * be used again would be worse than refusing one.
   * @param {string} key
   * @param {Date} expiresAt
   */
  use(key, expiresAt) {
    if (this.#used.has(key)) return false
    if (this.#used.size >= this.#limit) this.#forgetExpired()
    if (this.#used.size >= this.#limit) return false
    this.#used.set(key, expiresAt.getTime())
    return true
  }

  #forgetExpired() {
    const now = Date.now()
    for (const [key, expiry] of this.#used) if (expiry < now) this.#used.delete(key)
  }
}

module.exports = { ReplayGuard }
