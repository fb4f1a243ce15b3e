'use strict'
/** SPIFFE bundle documents: a trust domain's authorities of every kind. */

const { invalidArgument, shown } = require('../native/errors')
const { native } = require('../native/load')
const { checkOptions } = require('../internal/options')
const encoded = require('./encoded')
const { JwtBundle } = require('./jwt-bundle')
const { answer } = require('../native/answer')
const { NativeHandle } = require('../native/handle')
const { TrustDomain } = require('./trust-domain')
const { X509Bundle } = require('./x509-bundle')

/** @typedef {import('../../types/spiffe').TrustDomain} TrustDomain */

const inspect = Symbol.for('nodejs.util.inspect.custom')
const EMPTY = Buffer.from('{"keys":[]}')
const MAX_SEQUENCE = 2n ** 64n - 1n
const PARTS = /** @type {const} */ (['x509Bundle', 'jwtBundle', 'sequence', 'refreshHint'])

/** A trust domain's authorities of every kind, as one document. It never changes: `with` makes another one. */
class SpiffeBundle extends NativeHandle {
  #native

  /**
   * @param {TrustDomain | string | import('../../types/native').SpiffeBundle} trustDomain
   * @param {import('../../index').SpiffeBundleParts} [parts]
   */
  constructor(trustDomain, parts) {
    const handle =
      trustDomain instanceof native.SpiffeBundle
        ? trustDomain
        : changed(answer(native.SpiffeBundle.parse(TrustDomain.from(trustDomain).name, EMPTY), SpiffeBundle), parts)
    super(handle)
    this.#native = handle
    Object.freeze(this)
  }

  /**
   * @param {TrustDomain | string} trustDomain
   * @param {string | Uint8Array} json
   */
  static parse(trustDomain, json) {
    return new SpiffeBundle(
      answer(
        native.SpiffeBundle.parse(TrustDomain.from(trustDomain).name, encoded.text(json, 'json')),
        SpiffeBundle.parse
      )
    )
  }

  get trustDomain() {
    return TrustDomain.known(this.#native.trustDomain())
  }

  get x509Bundle() {
    return new X509Bundle(this.#native.x509Bundle())
  }

  get jwtBundle() {
    return new JwtBundle(this.#native.jwtBundle())
  }

  /** @returns {number | bigint | undefined} */
  get sequence() {
    const digits = this.#native.sequence() ?? undefined
    if (digits === undefined) return undefined
    const number = Number(digits)
    return Number.isSafeInteger(number) ? number : BigInt(digits)
  }

  get refreshHint() {
    return this.#native.refreshHint() ?? undefined
  }

  get skipped() {
    return encoded.remarks(this.#native.skipped())
  }

  get warnings() {
    return encoded.remarks(this.#native.warnings())
  }

  /** @param {import('../../index').SpiffeBundleParts} parts */
  with(parts) {
    return new SpiffeBundle(changed(this.#native, parts))
  }

  /** The document, exact on every runtime. */
  toJwks() {
    return answer(this.#native.toJsonText(), this.toJwks)
  }

  /** @param {unknown} other */
  equals(other) {
    const handle = SpiffeBundle.handle(other)
    return handle !== undefined && this.#native.equals(handle)
  }

  clone() {
    return new SpiffeBundle(this.#native.copy())
  }

  toJSON() {
    return exactly(this.toJwks(), this.sequence)
  }

  /**
   * @param {number} _depth
   * @param {import('node:util').InspectOptions} options
   * @param {typeof import('node:util').inspect} show
   */
  [inspect](_depth, options, show) {
    const { trustDomain, x509Bundle, jwtBundle, sequence, refreshHint } = this
    return `SpiffeBundle ${show({ trustDomain, x509Bundle, jwtBundle, sequence, refreshHint }, options)}`
  }
}

/**
 * A document for JSON.stringify. A sequence beyond 2^53 stays exact where the runtime has JSON.rawJSON; elsewhere it
 * would have to be rounded, which is refused.
 * @param {string} text
 * @param {number | bigint | undefined} sequence
 */
function exactly(text, sequence) {
  const document = JSON.parse(text)
  if (typeof sequence === 'bigint') {
    const { rawJSON } = /** @type {any} */ (JSON)
    if (!rawJSON)
      throw invalidArgument(`this runtime cannot write the integer ${sequence} with JSON.stringify; use toJwks()`)
    document.spiffe_sequence = rawJSON(String(sequence))
  }
  return document
}

/**
 * @param {import('../../types/native').SpiffeBundle} bundle
 * @param {import('../../index').SpiffeBundleParts | undefined} parts
 */
function changed(bundle, parts) {
  const given = checkOptions(parts, PARTS, 'parts')
  let made = bundle
  if (given.x509Bundle !== undefined)
    made = answer(made.withX509Bundle(X509Bundle.argument(given.x509Bundle, 'parts.x509Bundle')), changed)
  if (given.jwtBundle !== undefined)
    made = answer(made.withJwtBundle(JwtBundle.argument(given.jwtBundle, 'parts.jwtBundle')), changed)
  if ('sequence' in given) made = made.withSequence(sequenceOf(given.sequence))
  if ('refreshHint' in given) made = made.withRefreshHint(refreshHintOf(given.refreshHint))
  return made
}

/** @param {unknown} value */
function sequenceOf(value) {
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return String(value)
  if (typeof value === 'bigint' && value >= 0n && value <= MAX_SEQUENCE) return String(value)
  throw invalidArgument(
    `parts.sequence: expected an integer from 0 to 2^64-1 (a bigint beyond 2^53-1), got ${shown(value)}`
  )
}

/** @param {unknown} value */
function refreshHintOf(value) {
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value
  throw invalidArgument(`parts.refreshHint: expected milliseconds, got ${shown(value)}`)
}

module.exports = { SpiffeBundle }
