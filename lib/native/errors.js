'use strict'
/** The one error class, and how a native error becomes one. */

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
 * An error that came over the border as JSON text.
 * @param {string} text
 */
function fromNative(text) {
  return fromDetails(JSON.parse(text))
}

/**
 * The same, once it is read.
 * @param {any} error
 */
function fromDetails({ code, message, errno, ...details }) {
  if (typeof errno !== 'number') return new CountersignError(code, message, details)
  const name = require('node:util').getSystemErrorName(-errno)
  const cause = Object.assign(new Error(`${name}: ${message}`), { errno: -errno, code: name, syscall: undefined })
  return new CountersignError(code, message, { ...details, errno: -errno, syscallError: name, cause })
}

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

module.exports = { CountersignError, fromDetails, fromNative, invalidArgument, reason, shown }
