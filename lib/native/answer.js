'use strict'
/** What the addon returns: a value, or an error as text. */

const { fromDetails, fromNative } = require('./errors')

/** A text that starts with this is an error. */
const BANG = 33

/**
 * The value, unless it is the text of an error.
 * @template T
 * @param {T | string} value
 * @param {Function} [caller] its frames, and those below, are left out of the stack
 * @returns {T}
 */
function answer(value, caller = answer) {
  if (typeof value === 'string' && value.charCodeAt(0) === BANG) throw at(caller, fromNative(value.slice(1)))
  return /** @type {T} */ (value)
}

/**
 * The value of a JSON text `{ ok }`, or the error of `{ err }`.
 * @param {string} text
 */
function unwrap(text) {
  const { ok, err } = JSON.parse(text)
  if (err) throw at(unwrap, fromDetails(err))
  return ok
}

/**
 * @param {Function} caller
 * @param {Error} error
 */
function at(caller, error) {
  Error.captureStackTrace?.(error, caller)
  return error
}

module.exports = { answer, unwrap }
