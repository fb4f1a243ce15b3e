'use strict'
/** What the addon returns: a result, or in its place a failure, from which the error is made. */

const { CountersignError } = require('./errors')

/** @typedef {import('../../types/native').Failure} Failure */

/**
 * The failure in place of a result; undefined when it is the result.
 * @param {unknown} value
 * @returns {Failure['failure'] | undefined}
 */
function failureOf(value) {
  return typeof value === 'object' && value !== null ? /** @type {Partial<Failure>} */ (value).failure : undefined
}

/**
 * The error that a failure stands for.
 * @param {any} failure
 */
function fromFailure({ code, message, errno, ...details }) {
  if (typeof errno !== 'number') return new CountersignError(code, message, details)
  const name = require('node:util').getSystemErrorName(-errno)
  const cause = Object.assign(new Error(`${name}: ${message}`), { errno: -errno, code: name, syscall: undefined })
  return new CountersignError(code, message, { ...details, errno: -errno, syscallError: name, cause })
}

/**
 * The result, unless it is a failure, which is thrown.
 * @template T
 * @param {T | Failure} value
 * @param {Function} [caller] its frames, and those below, are left out of the stack
 * @returns {T}
 */
function answer(value, caller = answer) {
  const failure = failureOf(value)
  if (failure === undefined) return /** @type {T} */ (value)
  const error = fromFailure(failure)
  Error.captureStackTrace?.(error, caller)
  throw error
}

/**
 * The same for a result that comes as JSON text.
 * @param {string | Failure} text
 */
function unwrap(text) {
  return JSON.parse(answer(text, unwrap))
}

module.exports = { answer, failureOf, fromFailure, unwrap }
