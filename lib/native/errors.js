'use strict'
/** The one error class. */

const brand = Symbol.for('countersign.error')

class CountersignError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{ cause?: unknown, [detail: string]: unknown }} [details]
   */
  constructor(code, message, details) {
    const { cause, ...rest } = details ?? {}
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    Object.assign(this, rest)
  }

  get [brand]() {
    return true
  }

  /**
   * Works across copies of the package, where `instanceof` does not.
   * @param {unknown} value
   * @returns {value is import('../../index').CountersignError}
   */
  static is(value) {
    return typeof value === 'object' && value !== null && /** @type {any} */ (value)[brand] === true
  }
}
Object.defineProperty(CountersignError.prototype, 'name', {
  value: 'CountersignError',
  writable: true,
  configurable: true
})

/**
 * @param {string} message
 * @param {{ cause?: unknown, [detail: string]: unknown }} [details]
 */
function invalidArgument(message, details) {
  return new CountersignError('ERR_INVALID_ARGUMENT', message, details)
}

/**
 * A value of the caller, for a message. Not every value has a string form.
 * @param {unknown} value
 */
function shown(value) {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' || typeof value === 'function' ? `a value of type ${typeof value}` : String(value)
}

/**
 * The reason in whatever was thrown.
 * @param {unknown} thrown
 */
function reason(thrown) {
  return thrown instanceof Error ? thrown.message : shown(thrown)
}

module.exports = { CountersignError, invalidArgument, reason, shown }
