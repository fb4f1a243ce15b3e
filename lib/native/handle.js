'use strict'
/** Values that live in the core, which JavaScript holds by a handle. */

const { invalidArgument, shown } = require('./errors')

/** The base of every class whose value lives in the core. The handle shows nothing of the value, and users cannot
 * reach it. */
class NativeHandle {
  #handle

  /** @param {any} handle */
  constructor(handle) {
    this.#handle = handle
  }

  // biome-ignore-start lint/complexity/noThisInStatic: `this` is the class that was asked, one below this one
  /**
   * The handle of a value of this class, or of a class below.
   * @param {unknown} value
   * @returns {any}
   */
  static handle(value) {
    return typeof value === 'object' && value !== null && #handle in value && value instanceof this
      ? value.#handle
      : undefined
  }

  /**
   * The same, of an argument that must be one.
   * @param {unknown} value
   * @param {string} name
   * @returns {any}
   */
  static argument(value, name) {
    const handle = this.handle(value)
    if (handle === undefined)
      throw invalidArgument(`${name}: expected a value of type ${this.name}, got ${shown(value)}`)
    return handle
  }
  // biome-ignore-end lint/complexity/noThisInStatic: see above
}

module.exports = { NativeHandle }
