'use strict'
/** JWT-SVIDs: tokens that name a workload. */

const { invalidArgument, shown } = require('../native/errors')
const { freezeJson } = require('../internal/freeze')
const { native } = require('../native/load')
const { checkOptions } = require('../internal/options')
const encoded = require('./encoded')
const { known } = require('./id')
const { answer } = require('../native/answer')

const inspect = Symbol.for('nodejs.util.inspect.custom')
const REDACTED = '[redacted]'
const read = Symbol('read')

/** A token that names a workload. The token is read by its name and shown nowhere. */
class JwtSvid {
  #token
  #rotationDue
  /** @type {string | Readonly<Record<string, unknown>>} */
  #claims

  /**
   * @param {string} token
   * @param {string} facts what the core wrote about it
   * @param {string | undefined} hint
   * @param {symbol} proof
   */
  constructor(token, facts, hint, proof) {
    if (proof !== read) throw invalidArgument('a JwtSvid is made by verifyJwtSvid and JwtSvid.parseInsecure')
    const end = facts.indexOf('\n')
    const [id, audience, expiry, issuedAt, rotationDue, algorithm, keyId] = JSON.parse(facts.slice(0, end))
    this.#token = token
    this.#rotationDue = rotationDue
    this.#claims = facts.slice(end + 1)
    this.spiffeId = known(id)
    this.audience = /** @type {readonly string[]} */ (Object.freeze(audience))
    this.expiresAt = new Date(expiry)
    this.issuedAt = issuedAt === null ? undefined : new Date(issuedAt)
    this.algorithm = /** @type {import('../../index').JwsAlgorithm} */ (algorithm)
    this.keyId = /** @type {string | undefined} */ (keyId ?? undefined)
    this.hint = hint || undefined
    Object.freeze(this)
  }

  /**
   * @param {string} token
   * @param {{ hint?: string }} [options]
   */
  static parseInsecure(token, options) {
    const { hint } = checkOptions(options, ['hint'], 'options')
    if (hint !== undefined && typeof hint !== 'string')
      throw invalidArgument(`options.hint: expected a string, got ${shown(hint)}`)
    if (typeof token !== 'string')
      throw invalidArgument(`token: expected a string, got ${token === null ? 'null' : typeof token}`)
    return new JwtSvid(token, answer(native.jwtSvidParse(token, false), JwtSvid.parseInsecure), hint, read)
  }

  get token() {
    return this.#token
  }

  /** Read on first use. @returns {Readonly<Record<string, unknown>>} */
  get claims() {
    if (typeof this.#claims === 'string')
      this.#claims = freezeJson(/** @type {Record<string, unknown>} */ (JSON.parse(this.#claims)))
    return this.#claims
  }

  /** @param {Date} [now] */
  needsRotation(now) {
    return (now === undefined ? Date.now() : encoded.time(now, 'now')) >= this.#rotationDue
  }

  toString() {
    return this.spiffeId.uri
  }

  toJSON() {
    const { spiffeId, audience, expiresAt, issuedAt, algorithm, keyId, hint } = this
    return { spiffeId, audience, expiresAt, issuedAt, algorithm, keyId, hint, token: REDACTED }
  }

  /**
   * @param {number} _depth
   * @param {import('node:util').InspectOptions} options
   * @param {typeof import('node:util').inspect} show
   */
  [inspect](_depth, options, show) {
    return `JwtSvid ${show(this.toJSON(), options)}`
  }
}

/**
 * A token the core has read or verified.
 * @param {string} token
 * @param {string} facts
 * @param {string} [hint]
 */
function jwtSvid(token, facts, hint) {
  return new JwtSvid(token, facts, hint, read)
}

module.exports = { JwtSvid, jwtSvid }
