'use strict'
/** The authorities for the tokens of one trust domain. */

const { CountersignError, invalidArgument, shown } = require('../native/errors')
const { native } = require('../native/load')
const { checkOptions } = require('../internal/options')
const encoded = require('./encoded')
const { answer } = require('../native/answer')
const { NativeHandle } = require('../native/handle')
const { TrustDomain } = require('./trust-domain')

/** @typedef {import('../../types/spiffe').TrustDomain} TrustDomain */

const inspect = Symbol.for('nodejs.util.inspect.custom')
const EMPTY = Buffer.from('{"keys":[]}')

/** The authorities for the tokens of one trust domain. Without any, no name is trusted. */
class JwtBundle extends NativeHandle {
  #native

  /** @param {TrustDomain | string | import('../../types/native').JwtBundle} trustDomain */
  constructor(trustDomain) {
    const handle =
      trustDomain instanceof native.JwtBundle
        ? trustDomain
        : answer(native.JwtBundle.fromJwks(TrustDomain.from(trustDomain).name, EMPTY, false), JwtBundle)
    super(handle)
    this.#native = handle
    Object.freeze(this)
  }

  /**
   * @param {TrustDomain | string} trustDomain
   * @param {string | Uint8Array} json
   * @param {{ lazy?: boolean }} [options]
   */
  static fromJwks(trustDomain, json, options) {
    const { lazy = false } = checkOptions(options, ['lazy'], 'options')
    const bytes = encoded.text(json, 'json')
    return new JwtBundle(
      answer(native.JwtBundle.fromJwks(TrustDomain.from(trustDomain).name, bytes, lazy === true), JwtBundle.fromJwks)
    )
  }

  get trustDomain() {
    return TrustDomain.known(this.#native.trustDomain())
  }

  get size() {
    return this.#native.size()
  }

  get keyIds() {
    return this.#native.keyIds()
  }

  get skipped() {
    return encoded.remarks(this.#native.skipped())
  }

  /** @param {string} keyId */
  has(keyId) {
    return this.#native.has(keyIdOf(keyId))
  }

  /**
   * @param {string} keyId
   * @returns {import('node:crypto').KeyObject | undefined}
   */
  get(keyId) {
    if (!this.has(keyId)) return undefined
    const { keys } = JSON.parse(this.toJwks())
    const key = keys.find((/** @type {{ kid: string }} */ { kid }) => kid === keyId)
    return require('node:crypto').createPublicKey({ key, format: 'jwk' })
  }

  /**
   * @param {string} keyId
   * @param {unknown} key
   */
  add(keyId, key) {
    const jwk = { ...publicJwk(key), kid: keyIdOf(keyId) }
    const one = JwtBundle.fromJwks(this.trustDomain, JSON.stringify({ keys: [jwk] }))
    if (one.skipped.length > 0) {
      const { reason } = one.skipped[0]
      throw new CountersignError('ERR_INVALID_BUNDLE', `the key can be no authority for tokens: ${reason}`, {
        rule: reason
      })
    }
    return answer(this.#native.add(one.#native), this.add)
  }

  /** @param {string} keyId */
  remove(keyId) {
    return answer(this.#native.remove(keyIdOf(keyId)), this.remove)
  }

  toJwks() {
    return answer(this.#native.toJwks(), this.toJwks)
  }

  /** @param {unknown} other */
  equals(other) {
    const handle = JwtBundle.handle(other)
    return handle !== undefined && this.#native.equals(handle)
  }

  clone() {
    return new JwtBundle(this.#native.copy())
  }

  toJSON() {
    return JSON.parse(this.toJwks())
  }

  /**
   * @param {number} _depth
   * @param {import('node:util').InspectOptions} options
   * @param {typeof import('node:util').inspect} show
   */
  [inspect](_depth, options, show) {
    const { trustDomain, keyIds } = this
    return `JwtBundle ${show({ trustDomain, keyIds }, options)}`
  }
}

/** @param {unknown} keyId */
function keyIdOf(keyId) {
  if (typeof keyId !== 'string') throw invalidArgument(`keyId: expected a string, got ${shown(keyId)}`)
  return keyId
}

/**
 * The public half of a key, as a JWK. Only the parameters of public keys are taken over.
 * @param {unknown} key
 */
function publicJwk(key) {
  const { KeyObject, createPublicKey } = require('node:crypto')
  /** @type {object} */
  let jwk
  if (key instanceof KeyObject) {
    if (key.type === 'secret') throw invalidArgument('key: expected a public key, got a secret key')
    try {
      const publicKey = key.type === 'private' ? createPublicKey(/** @type {any} */ (key)) : key
      // A copy of the key: Node.js 20 holds a lock on the key while it makes the JWK, and a garbage collection in that
      // moment waits for the same lock for ever when the key was made by generateKeyPair.
      const spki = publicKey.export({ type: 'spki', format: 'der' })
      jwk = createPublicKey({ key: spki, type: 'spki', format: 'der' }).export({ format: 'jwk' })
    } catch (cause) {
      throw new CountersignError(
        'ERR_INVALID_BUNDLE',
        'the key can be no authority for tokens: it has no form as a JWK',
        { rule: 'unknown_key_type', cause }
      )
    }
  } else if (typeof key === 'object' && key !== null && !Array.isArray(key)) {
    jwk = /** @type {any} */ (key)
  } else {
    throw invalidArgument(`key: expected a KeyObject or a JWK, got ${shown(key)}`)
  }
  const { kty, crv, n, e, x, y, alg, use, key_ops } = /** @type {any} */ (jwk)
  return { kty, crv, n, e, x, y, alg, use, key_ops }
}

module.exports = { JwtBundle }
