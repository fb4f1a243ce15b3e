'use strict'
/** What the caller may say about TLS itself. Everything else is decided: a knob that weakens a check does not exist. */

const { constants } = require('node:crypto')
const { invalidArgument, reason, shown } = require('../native/errors')

/** Versions that SPIFFE peers speak. */
const VERSIONS = ['TLSv1.2', 'TLSv1.3']
/** Options that are texts for OpenSSL, which checks them itself. */
const TEXTS = ['ciphers', 'sigalgs', 'ecdhCurve']
const SETTINGS = ['minVersion', 'maxVersion', ...TEXTS]

/**
 * A session that is resumed shows no certificate, so no chain could be verified; and a peer must not become another one
 * in the middle of a connection.
 */
const SECURE_OPTIONS = constants.SSL_OP_NO_TICKET | (constants.SSL_OP_NO_RENEGOTIATION ?? 0)

/**
 * @param {Record<string, unknown>} options
 * @returns {Readonly<import('../../types/tls').TlsSettings>}
 */
function readSettings(options) {
  /** @type {Record<string, unknown>} */
  const settings = { minVersion: 'TLSv1.2' }
  for (const name of SETTINGS) {
    const value = options[name]
    if (value === undefined) continue
    if (TEXTS.includes(name) ? typeof value !== 'string' : !VERSIONS.includes(/** @type {string} */ (value))) {
      throw invalidArgument(
        `options.${name}: expected ${TEXTS.includes(name) ? 'a string' : `'TLSv1.2' or 'TLSv1.3'`}, got ${shown(value)}`
      )
    }
    settings[name] = value
  }
  if (settings.minVersion === 'TLSv1.3' && settings.maxVersion === 'TLSv1.2')
    throw invalidArgument('options.maxVersion: it is below options.minVersion')
  if (TEXTS.some((name) => name in settings)) {
    try {
      require('node:tls').createSecureContext(settings)
    } catch (cause) {
      throw invalidArgument(
        `options: OpenSSL does not take ${TEXTS.filter((name) => name in settings).join(', ')}: ${reason(cause)}`,
        { cause }
      )
    }
  }
  return Object.freeze(settings)
}

/**
 * @param {unknown} value
 * @param {string} name
 */
function checkFunction(value, name) {
  if (value !== undefined && typeof value !== 'function')
    throw invalidArgument(`${name}: expected a function, got ${shown(value)}`)
  return /** @type {any} */ (value)
}

/**
 * @param {unknown} value
 * @param {string} name
 */
function checkFlag(value, name) {
  if (value !== undefined && typeof value !== 'boolean')
    throw invalidArgument(`${name}: expected a boolean, got ${shown(value)}`)
  return value === true
}

/**
 * @param {unknown} value
 * @param {readonly string[]} choices the first is the default
 * @param {string} name
 */
function checkChoice(value, choices, name) {
  if (value === undefined) return choices[0]
  if (choices.includes(/** @type {string} */ (value))) return /** @type {string} */ (value)
  throw invalidArgument(`${name}: expected ${choices.map((choice) => `'${choice}'`).join(' or ')}, got ${shown(value)}`)
}

module.exports = { readSettings, checkFunction, checkFlag, checkChoice, SETTINGS, SECURE_OPTIONS }
