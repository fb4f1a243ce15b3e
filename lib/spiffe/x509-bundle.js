'use strict'
/** The X.509 authorities of one trust domain. */

const { native } = require('../native/load')
const { checkOptions } = require('../internal/options')
const encoded = require('./encoded')
const { answer } = require('../native/answer')
const { NativeHandle } = require('../native/handle')
const { TrustDomain } = require('./trust-domain')

/** @typedef {import('../../types/spiffe').TrustDomain} TrustDomain */

const inspect = Symbol.for('nodejs.util.inspect.custom')

/** The X.509 authorities of one trust domain. Without any, no name is trusted. */
class X509Bundle extends NativeHandle {
  #native

  /**
   * @param {TrustDomain | string | import('../../types/native').X509Bundle} trustDomain
   * @param {unknown} [authorities]
   */
  constructor(trustDomain, authorities = []) {
    const handle =
      trustDomain instanceof native.X509Bundle
        ? trustDomain
        : answer(
            native.X509Bundle.fromDer(
              TrustDomain.from(trustDomain).name,
              encoded.certificates(authorities, 'authorities'),
              false
            ),
            X509Bundle
          )
    super(handle)
    this.#native = handle
    Object.freeze(this)
  }

  /**
   * @param {TrustDomain | string} trustDomain
   * @param {unknown} certificates
   * @param {{ lazy?: boolean }} [options]
   */
  static fromDer(trustDomain, certificates, options) {
    const { lazy = false } = checkOptions(options, ['lazy'], 'options')
    const der = encoded.certificates(certificates, 'certificates')
    return new X509Bundle(
      answer(native.X509Bundle.fromDer(TrustDomain.from(trustDomain).name, der, lazy === true), X509Bundle.fromDer)
    )
  }

  /**
   * @param {TrustDomain | string} trustDomain
   * @param {string | Uint8Array} text
   */
  static fromPem(trustDomain, text) {
    return new X509Bundle(
      answer(
        native.X509Bundle.fromPem(TrustDomain.from(trustDomain).name, encoded.text(text, 'text')),
        X509Bundle.fromPem
      )
    )
  }

  get trustDomain() {
    return TrustDomain.known(this.#native.trustDomain())
  }

  get size() {
    return this.#native.size()
  }

  get authorities() {
    const X509Certificate = encoded.certificateClass()
    return this.#native.authorities().map((der) => new X509Certificate(der))
  }

  get skipped() {
    return encoded.remarks(this.#native.refused())
  }

  /** @param {unknown} certificate */
  has(certificate) {
    return this.#native.has(encoded.certificate(certificate, 'certificate'))
  }

  /** @param {unknown} certificate */
  add(certificate) {
    return answer(this.#native.add(encoded.certificate(certificate, 'certificate')), this.add)
  }

  /** @param {unknown} certificate */
  remove(certificate) {
    return this.#native.remove(encoded.certificate(certificate, 'certificate'))
  }

  toDer() {
    return this.#native.toDer()
  }

  toPem() {
    return this.#native.toPem()
  }

  /** @param {unknown} other */
  equals(other) {
    const handle = X509Bundle.handle(other)
    return handle !== undefined && this.#native.equals(handle)
  }

  clone() {
    return new X509Bundle(this.#native.copy())
  }

  toJSON() {
    return { trustDomain: this.trustDomain, size: this.size }
  }

  /**
   * @param {number} _depth
   * @param {import('node:util').InspectOptions} options
   * @param {typeof import('node:util').inspect} show
   */
  [inspect](_depth, options, show) {
    return `X509Bundle ${show(this.toJSON(), options)}`
  }
}

module.exports = { X509Bundle }
