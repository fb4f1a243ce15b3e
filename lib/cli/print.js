'use strict'
/** How commands print. */

/** @param {unknown} value one document */
function printJson(value) {
  process.stdout.write(`${JSON.stringify(value, (_key, item) => (typeof item === 'bigint' ? String(item) : item))}\n`)
}

/**
 * Names and values in two columns; what is not known is left out.
 * @param {[string, unknown][]} pairs
 */
function printPairs(pairs) {
  const known = pairs.filter(([, value]) => value !== undefined)
  const names = known.map(([name]) => printable(name))
  const width = Math.max(...names.map((name) => name.length))
  for (const [index, [, value]] of known.entries())
    process.stdout.write(`${names[index].padEnd(width)}  ${printable(value)}\n`)
}

/**
 * Text that a daemon or a process chose itself must not control the terminal.
 * @param {unknown} value
 */
function printable(value) {
  const text =
    value instanceof Date ? value.toISOString() : typeof value === 'object' ? JSON.stringify(value) : String(value)
  // eslint-disable-next-line no-control-regex
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  )
}

/**
 * The same for a text of several lines.
 * @param {string} text
 */
function printableLines(text) {
  return text.split('\n').map(printable).join('\n')
}

/**
 * Names and values of several things, an empty line between them.
 * @param {[string, unknown][][]} things
 */
function printEach(things) {
  things.forEach((pairs, index) => {
    if (index > 0) process.stdout.write('\n')
    printPairs(pairs)
  })
}

/** The fields of an error besides its message. None of them is secret. */
const DETAILS = [
  'field',
  'expected',
  'actual',
  'daemonCode',
  'path',
  'line',
  'column',
  'rule',
  'endpoint',
  'grpcCode',
  'grpcMessage',
  'offered',
  'ignored',
  'trustDomain',
  'spiffeId',
  'expiresAt',
  'state',
  'timeout'
]

/**
 * An error as JSON.
 * @param {any} error
 * @param {string} [code] for one that has none
 * @returns {Record<string, unknown>}
 */
function errorValue(error, code = 'ERR_UNKNOWN') {
  const cause = error.cause?.code === undefined ? undefined : errorValue(error.cause)
  return {
    code: error.code ?? code,
    message: error.message,
    ...Object.fromEntries(DETAILS.map((name) => [name, error[name]])),
    cause
  }
}

/**
 * A length of time, in two units at most: `3 h 12 min`.
 * @param {number} milliseconds
 */
function duration(milliseconds) {
  const seconds = Math.round(Math.abs(milliseconds) / 1000)
  for (const [unit, size, smaller, part] of /** @type {const} */ ([
    ['d', 86400, 'h', 3600],
    ['h', 3600, 'min', 60],
    ['min', 60, 's', 1]
  ])) {
    if (seconds < size) continue
    const rest = Math.floor((seconds % size) / part)
    return `${Math.floor(seconds / size)} ${unit}${rest === 0 ? '' : ` ${rest} ${smaller}`}`
  }
  return `${seconds} s`
}

/**
 * When something ends, as seen from now.
 * @param {Date} end
 */
function expiry(end) {
  const left = end.getTime() - Date.now()
  return `${end.toISOString()} (${left >= 0 ? `in ${duration(left)}` : `${duration(left)} ago`})`
}

module.exports = { printJson, printPairs, printEach, printable, printableLines, errorValue, duration, expiry }
