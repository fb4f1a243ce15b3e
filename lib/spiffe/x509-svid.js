'use strict'
/** X509-SVIDs: a certificate chain and the key that goes with it. */

const { CountersignError, invalidArgument, reason, shown } = require('../native/errors')
const { native } = require('../native/load')
const { checkOptions } = require('../internal/options')
const encoded = require('./encoded')
const { known } = require('./id')
const { answer } = require('../native/answer')
const { NativeHandle } = require('../native/handle')

const inspect = Symbol.for('nodejs.util.inspect.custom')
const REDACTED = '[redacted]'

/** A workload's certificate chain and private key. The key is shown nowhere but under its own names. */
class X509Svid extends NativeHandle {
  #native
  /** @type {readonly import('node:crypto').X509Certificate[] | undefined} */
  #certificates
  /** @type {import('node:crypto').KeyObject | undefined} */
  #privateKey

  /** @param {import('../../types/native').X509Svid} handle */
  constructor(handle) {
    if (!(handle instanceof native.X509Svid))
      throw invalidArgument('an X509Svid is made by X509Svid.fromPem, X509Svid.fromDer and X509Svid.load')
    super(handle)
    this.#native = handle
    const [id, notBefore, notAfter, serialNumber, keyAlgorithm] = JSON.parse(handle.facts())
    this.spiffeId = known(id)
    this.hint = handle.hint() ?? undefined
    this.notBefore = new Date(notBefore)
    this.expiresAt = new Date(notAfter)
    this.serialNumber = /** @type {string} */ (serialNumber)
    this.keyAlgorithm = /** @type {import('../../index').KeyAlgorithm} */ (keyAlgorithm)
    Object.freeze(this)
  }

  /**
   * @param {unknown} chain
   * @param {unknown} privateKey
   * @param {{ hint?: string }} [options]
   */
  static fromDer(chain, privateKey, options) {
    const hint = hintOf(options)
    const der = encoded.certificates(chain, 'chain')
    if (privateKey instanceof require('node:crypto').KeyObject) {
      if (privateKey.type !== 'private')
        throw invalidArgument(`privateKey: expected a private key, got a ${privateKey.type} key`)
      const key = privateKey.export({ format: 'der', type: 'pkcs8' })
      try {
        return new X509Svid(answer(native.X509Svid.fromDer(der, key, hint), X509Svid.fromDer))
      } finally {
        key.fill(0)
      }
    }
    return new X509Svid(
      answer(native.X509Svid.fromDer(der, encoded.bytes(privateKey, 'privateKey'), hint), X509Svid.fromDer)
    )
  }

  /**
   * @param {string | Uint8Array} chain
   * @param {string | Uint8Array} [privateKey]
   * @param {{ hint?: string }} [options]
   */
  static fromPem(chain, privateKey, options) {
    const hint = hintOf(options)
    const pem = encoded.text(chain, 'chain')
    const key = privateKey === undefined ? undefined : encoded.text(privateKey, 'privateKey')
    try {
      return new X509Svid(answer(native.X509Svid.fromPem(pem, key, hint), X509Svid.fromPem))
    } finally {
      // Either may hold the key. Bytes of the caller's are the caller's to wipe.
      if (pem !== chain) pem.fill(0)
      if (key !== privateKey) key?.fill(0)
    }
  }

  /**
   * @param {string} chainPath
   * @param {string} [keyPath]
   * @param {{ hint?: string }} [options]
   */
  static load(chainPath, keyPath, options) {
    const hint = hintOf(options)
    const chain = read(chainPath, 'chainPath')
    const key = keyPath === undefined ? undefined : read(keyPath, 'keyPath')
    try {
      return new X509Svid(answer(native.X509Svid.fromPem(chain, key, hint), X509Svid.load))
    } finally {
      // Either may hold the key.
      chain.fill(0)
      key?.fill(0)
    }
  }

  get certificates() {
    if (!this.#certificates) {
      const X509Certificate = encoded.certificateClass()
      this.#certificates = Object.freeze(this.#native.certificates().map((der) => new X509Certificate(der)))
    }
    return this.#certificates
  }

  get privateKey() {
    if (!this.#privateKey) {
      const key = this.#native.keyDer()
      try {
        this.#privateKey = require('node:crypto').createPrivateKey({ key, format: 'der', type: 'pkcs8' })
      } finally {
        key.fill(0)
      }
    }
    return this.#privateKey
  }

  chainPem() {
    return this.#native.chainPem()
  }

  keyPem() {
    const pem = this.#native.keyPem()
    try {
      return pem.toString('latin1')
    } finally {
      pem.fill(0)
    }
  }

  /** @param {Date} [now] */
  needsRotation(now) {
    return this.#native.needsRotation(now === undefined ? Date.now() : encoded.time(now, 'now'))
  }

  /** @param {unknown} other */
  equals(other) {
    const handle = X509Svid.handle(other)
    return handle !== undefined && this.#native.equals(handle)
  }

  /** @override */
  toString() {
    return this.spiffeId.uri
  }

  toJSON() {
    const { spiffeId, hint, notBefore, expiresAt, serialNumber, keyAlgorithm } = this
    return { spiffeId, hint, notBefore, expiresAt, serialNumber, keyAlgorithm, privateKey: REDACTED }
  }

  /**
   * @param {number} _depth
   * @param {import('node:util').InspectOptions} options
   * @param {typeof import('node:util').inspect} show
   */
  [inspect](_depth, options, show) {
    return `X509Svid ${show(this.toJSON(), options)}`
  }
}

/** @param {{ hint?: string } | undefined} options */
function hintOf(options) {
  const { hint } = checkOptions(options, ['hint'], 'options')
  if (hint !== undefined && typeof hint !== 'string')
    throw invalidArgument(`options.hint: expected a string, got ${shown(hint)}`)
  return hint
}

/**
 * @param {unknown} path
 * @param {string} name
 */
function read(path, name) {
  if (typeof path !== 'string' || path === '')
    throw invalidArgument(`${name}: expected the path of a file, got ${shown(path)}`)
  try {
    return require('node:fs').readFileSync(path)
  } catch (cause) {
    throw new CountersignError('ERR_INVALID_SVID', `cannot read ${path}: ${reason(cause)}`, {
      rule: 'unreadable_file',
      path,
      cause
    })
  }
}

module.exports = { X509Svid }
