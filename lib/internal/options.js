'use strict'
/** Checks of the options that many functions share. */

const { invalidArgument, shown } = require('../native/errors')

/** The longest path a Unix socket address holds, in bytes. */
const MAX_PATH = process.platform === 'linux' ? 107 : 103

/**
 * @param {unknown} path
 * @param {string} name
 */
function checkPath(path, name) {
  if (typeof path !== 'string')
    throw invalidArgument(`${name}: expected a string, got ${path === null ? 'null' : typeof path}`)
  if (path === '') throw invalidArgument(`${name}: the path is empty`)
  if (path.includes('\0'))
    throw invalidArgument(
      `${name}: the path holds a NUL character (abstract sockets have no owner and no mode; they are not supported)`
    )
  const length = Buffer.byteLength(path)
  if (length > MAX_PATH)
    throw invalidArgument(`${name}: the path is ${length} bytes long, a socket's may be ${MAX_PATH}`)
  return path
}

/**
 * @param {unknown} timeout
 * @param {string} name
 */
function checkTimeout(timeout, name) {
  if (timeout === null) return null
  if (typeof timeout !== 'number' || !(timeout > 0) || timeout > 0x7fffffff) {
    throw invalidArgument(
      `${name}: expected milliseconds greater than 0 and at most 2147483647, or null for none, got ${shown(timeout)}`
    )
  }
  return timeout
}

/**
 * @param {unknown} signal
 * @param {string} name
 */
function checkSignal(signal, name) {
  if (signal === undefined || signal instanceof AbortSignal) return
  throw invalidArgument(`${name}: expected an AbortSignal`)
}

/**
 * Refuse an unknown option: a misspelt one would silently do nothing.
 * @param {unknown} options
 * @param {readonly string[]} known
 * @param {string} name
 * @returns {Record<string, any>}
 */
function checkOptions(options, known, name) {
  if (options === undefined) return {}
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw invalidArgument(`${name}: expected an object`)
  for (const key of Object.keys(options)) {
    if (!known.includes(key))
      throw invalidArgument(`${name}: unknown option ${JSON.stringify(key)} (known: ${known.join(', ')})`)
  }
  return options
}

/**
 * Own properties only: a polluted Object.prototype must not loosen a verification.
 * @param {unknown} options
 * @param {readonly string[]} known
 * @param {string} name
 * @returns {Record<string, any>}
 */
function ownOptions(options, known, name) {
  return { __proto__: null, ...checkOptions(options, known, name) }
}

module.exports = { checkPath, checkTimeout, checkSignal, checkOptions, ownOptions }
