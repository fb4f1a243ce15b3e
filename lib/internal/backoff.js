'use strict'
/** Pauses between attempts: each twice as long as the one before, up to the longest. */

class Backoff {
  #first
  #longest
  #jitter
  #pause

  /**
   * @param {number} first milliseconds
   * @param {number} longest milliseconds
   * @param {{ jitter?: boolean }} [options] `jitter`: each pause is between half of it and all of it, so that many
   *   processes that wait for the same thing do not come back at the same moment
   */
  constructor(first, longest, { jitter = false } = {}) {
    this.#first = first
    this.#longest = longest
    this.#jitter = jitter
    this.#pause = first
  }

  /** The next pause, milliseconds. */
  next() {
    const pause = this.#pause
    this.#pause = Math.min(pause * 2, this.#longest)
    return this.#jitter ? pause * (0.5 + Math.random() / 2) : pause
  }

  /** An attempt succeeded: the next pause is the first one again. */
  reset() {
    this.#pause = this.#first
  }
}

module.exports = { Backoff }
