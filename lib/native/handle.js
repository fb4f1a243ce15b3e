'use strict'
/** What the core keeps, and JavaScript holds by a handle. */

const { fromNative, invalidArgument, shown } = require('./errors')

/** A text that starts with this is an error. */
const BANG = 33

/**
 * An answer of the core: what was asked for, or text that is an error.
 * @template T
 * @param {T | string} value
 * @param {Function} [caller] whose frames, and those below, say nothing to the user
 * @returns {T}
 */
function answer(value, caller = answer) {
  if (typeof value === 'string' && value.charCodeAt(0) === BANG) throw failure(value, caller)
  return /** @type {T} */ (value)
}

/**
 * @param {string} text
 * @param {Function} caller
 */
function failure(text, caller) {
  const error = fromNative(text.slice(1))
  Error.captureStackTrace?.(error, caller)
  return error
}

/** The base of every class whose value lives in the core. A value is never shown, and never reached, through it. */
class NativeHandle {
  #handle

  /** @param {any} handle */
  constructor(handle) {
    this.#handle = handle
  }

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
}

module.exports = { NativeHandle, answer }
