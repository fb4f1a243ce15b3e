'use strict'
/** JSON in which integers are exact: what a number cannot hold is a bigint. */

const { CountersignError, invalidArgument, reason } = require('../native/errors')

/** @type {((text: string) => object) | undefined} */
const rawJSON = /** @type {any} */ (JSON).rawJSON

const I64 = 2n ** 63n

/**
 * Put the integers back that JSON.parse would have rounded, where the core says they belong.
 * @template {object} T
 * @param {T} value
 * @param {[(string | number)[], string][]} large
 * @returns {T}
 */
function restore(value, large) {
  for (const [path, digits] of large) {
    /** @type {any} */
    let at = value
    for (const step of path.slice(0, -1)) at = at[step]
    // Not an assignment: the name may be `__proto__`, which JSON.parse made an ordinary property.
    Object.defineProperty(at, /** @type {string} */ (path.at(-1)), {
      value: BigInt(digits),
      writable: true,
      enumerable: true,
      configurable: true
    })
  }
  return value
}

/**
 * What JSON.stringify writes, with bigints as the integers they are. A number that JSON would write as null is refused.
 * @param {unknown} value
 * @param {string} name what the value is called, for messages
 * @returns {string}
 */
function write(value, name) {
  /** @type {string[]} */
  const exact = []
  // Numbers beyond 2^53 leave as a marker no other string can contain (a random one), and come back as digits.
  const marker = `\u0000${require('node:crypto').randomUUID()}:`
  let text
  try {
    text = JSON.stringify(
      value,
      /** @this {any} */ function (key, item) {
        // Not what `toJSON` made of it: a program may have taught bigints to be strings.
        const raw = this[key]
        if (typeof raw === 'bigint') {
          if (raw < -I64 || raw >= 2n * I64)
            throw invalidArgument(`${name}: the integer ${raw} needs more than 64 bits`)
          return marker + (exact.push(String(raw)) - 1)
        }
        // As digits it would be read as an integer that it only comes near to.
        if (Number.isInteger(item) && !Number.isSafeInteger(item))
          return marker + (exact.push(item.toExponential()) - 1)
        if (typeof item === 'number' && !Number.isFinite(item))
          throw invalidArgument(`${name}: JSON has no number ${item}`)
        return item
      }
    )
  } catch (cause) {
    throw CountersignError.is(cause)
      ? cause
      : invalidArgument(`${name}: cannot be written as JSON: ${reason(cause)}`, { cause })
  }
  if (exact.length === 0) return text
  const [head, ...rest] = text.split(JSON.stringify(marker).slice(0, -1))
  return (
    head +
    rest
      .map((part) => {
        const end = part.indexOf('"')
        return exact[Number(part.slice(0, end))] + part.slice(end + 1)
      })
      .join('')
  )
}

/**
 * A copy for JSON.stringify in which bigints are written as the integers they are.
 * @param {unknown} value
 * @param {string} instead what to call where the runtime has no way to write them
 * @returns {any}
 */
function forJSON(value, instead) {
  if (typeof value === 'bigint') {
    if (rawJSON) return rawJSON(String(value))
    throw invalidArgument(`this runtime cannot write the integer ${value} with JSON.stringify; use ${instead}`)
  }
  if (Array.isArray(value)) return value.map((item) => forJSON(item, instead))
  if (typeof value !== 'object' || value === null) return value
  /** @type {Record<string, unknown>} */
  const out = Object.create(null)
  for (const [key, item] of Object.entries(value)) out[key] = forJSON(item, instead)
  return out
}

module.exports = { forJSON, restore, write }
