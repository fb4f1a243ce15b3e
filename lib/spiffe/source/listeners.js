'use strict'
/** Functions of the caller that receive events. One that throws hurts neither the source nor the others. */

const { invalidArgument, shown } = require('../../native/errors')

class Listeners {
  /** @type {Set<{ listener: (event: any) => void }>} */
  #all = new Set()

  /**
   * @param {unknown} listener
   * @returns {() => void} the way out
   */
  add(listener) {
    if (typeof listener !== 'function') throw invalidArgument(`listener: expected a function, got ${shown(listener)}`)
    const entry = { listener: /** @type {(event: any) => void} */ (listener) }
    this.#all.add(entry)
    return () => {
      this.#all.delete(entry)
    }
  }

  /** @param {unknown} event */
  publish(event) {
    for (const { listener } of [...this.#all]) {
      try {
        listener(event)
      } catch (error) {
        // As if it had thrown in an event of its own.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  clear() {
    this.#all.clear()
  }
}

module.exports = { Listeners }
