'use strict'
/** How commands print. */

/** @param {unknown} value one document */
function printJson (value) {
  process.stdout.write(`${JSON.stringify(value, (_key, item) => typeof item === 'bigint' ? String(item) : item)}\n`)
}

/**
 * Names and values in two columns; what is not known is left out.
 * @param {[string, unknown][]} pairs
 */
function printPairs (pairs) {
  const known = pairs.filter(([, value]) => value !== undefined)
  const width = Math.max(...known.map(([name]) => name.length))
  for (const [name, value] of known) process.stdout.write(`${name.padEnd(width)}  ${printable(value)}\n`)
}

/**
 * What a daemon or a process chose for itself must not steer the terminal.
 * @param {unknown} value
 */
function printable (value) {
  const text = value instanceof Date ? value.toISOString() : typeof value === 'object' ? JSON.stringify(value) : String(value)
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

module.exports = { printJson, printPairs, printable }
