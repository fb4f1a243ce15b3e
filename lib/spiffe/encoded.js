'use strict'
/** Bytes and texts in the forms callers have them. */

const { invalidArgument, shown } = require('../native/errors')
const { isDate, isSharedArrayBuffer, isUint8Array } = require('node:util').types

/**
 * Bytes. Memory that other threads can write to is copied first: what was verified must be what is used.
 * @param {unknown} value
 * @param {string} name
 * @returns {Uint8Array}
 */
function bytes(value, name) {
  if (!isUint8Array(value)) throw invalidArgument(`${name}: expected a Uint8Array, got ${shown(value)}`)
  return isSharedArrayBuffer(value.buffer) ? Buffer.from(value) : value
}

/**
 * A text, as a string or as UTF-8.
 * @param {unknown} value
 * @param {string} name
 * @returns {Uint8Array}
 */
function text(value, name) {
  if (typeof value === 'string') return Buffer.from(value)
  if (!isUint8Array(value)) throw invalidArgument(`${name}: expected a string or a Uint8Array, got ${shown(value)}`)
  return bytes(value, name)
}

/** @returns {typeof import('node:crypto').X509Certificate} */
const certificateClass = () => require('node:crypto').X509Certificate

/**
 * A certificate as DER.
 * @param {unknown} value
 * @param {string} name
 * @returns {Uint8Array}
 */
function certificate(value, name) {
  if (value instanceof certificateClass()) return value.raw
  if (isUint8Array(value)) return bytes(value, name)
  throw invalidArgument(`${name}: expected an X509Certificate or its DER as a Uint8Array, got ${shown(value)}`)
}

/**
 * Certificates as DER, one after the other.
 * @param {unknown} value
 * @param {string} name
 * @returns {Uint8Array}
 */
function certificates(value, name) {
  if (Array.isArray(value)) return Buffer.concat(value.map((item, index) => certificate(item, `${name}[${index}]`)))
  return certificate(value, name)
}

/**
 * Milliseconds since 1970.
 * @param {unknown} value
 * @param {string} name
 */
function time(value, name) {
  if (!isDate(value)) throw invalidArgument(`${name}: expected a Date, got ${shown(value)}`)
  const milliseconds = value.getTime()
  if (Number.isNaN(milliseconds)) throw invalidArgument(`${name}: the Date is invalid`)
  return milliseconds
}

/**
 * Remarks of the core on what it left out: `[[index, reason], ...]`.
 * @param {string} json
 * @returns {readonly { readonly index: number, readonly reason: string }[]}
 */
function remarks(json) {
  const list = JSON.parse(json).map((/** @type {[number, string]} */ [index, reason]) =>
    Object.freeze({ index, reason })
  )
  return /** @type {any} */ (Object.freeze(list))
}

module.exports = { bytes, text, certificate, certificates, certificateClass, time, remarks }
