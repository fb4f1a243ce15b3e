'use strict'
/** A map with a limit, in the order of last use. */

/**
 * @template Key
 * @template Value
 */
class RecentMap {
  #limit
  /** The least recently used first. @type {Map<Key, Value>} */
  #entries = new Map()
  /** The key at the end. @type {Key | undefined} */
  #latest

  /** @param {number} limit how many entries are kept */
  constructor(limit) {
    this.#limit = limit
  }

  get size() {
    return this.#entries.size
  }

  /** The least recently used first. */
  keys() {
    return this.#entries.keys()
  }

  /**
   * The value, without counting as a use.
   * @param {Key} key
   */
  get(key) {
    return this.#entries.get(key)
  }

  /**
   * Set a value, which counts as a use. A new key beyond the limit removes the least recently used entry.
   * @param {Key} key
   * @param {Value} value
   * @returns {Value | undefined} the removed value
   */
  set(key, value) {
    // Callers that ask for one key again and again need not move it.
    if (key === this.#latest && this.#entries.has(key)) {
      this.#entries.set(key, value)
      return undefined
    }
    const isNew = !this.#entries.delete(key)
    const removed = isNew && this.#entries.size >= this.#limit ? this.#removeOldest() : undefined
    this.#entries.set(key, value)
    this.#latest = key
    return removed
  }

  /** @param {Key} key */
  delete(key) {
    return this.#entries.delete(key)
  }

  #removeOldest() {
    const [[key, value]] = this.#entries
    this.#entries.delete(key)
    return value
  }
}

module.exports = { RecentMap }
