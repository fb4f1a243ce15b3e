'use strict'
/** The bundles a verifier trusts, and bundle maps. */

const { invalidArgument, shown } = require('../native/errors')
const { native } = require('../native/load')
const encoded = require('./encoded')
const { JwtBundle } = require('./jwt-bundle')
const { answer } = require('../native/answer')
const { NativeHandle } = require('../native/handle')
const { SpiffeBundle } = require('./spiffe-bundle')
const { TrustDomain } = require('./trust-domain')
const { X509Bundle } = require('./x509-bundle')

/** @typedef {import('../../types/spiffe').JwtBundle} JwtBundle */
/** @typedef {import('../../types/spiffe').SpiffeBundle} SpiffeBundle */
/** @typedef {import('../../types/spiffe').X509Bundle} X509Bundle */
/** @typedef {import('../../types/spiffe').TrustDomain} TrustDomain */

const inspect = Symbol.for('nodejs.util.inspect.custom')

/** The bundles a verifier trusts, by trust domain. They are looked up, never pooled. */
class BundleSet extends NativeHandle {
  #native

  /** @param {Iterable<X509Bundle | JwtBundle | SpiffeBundle> | import('../../types/native').BundleSet} [bundles] */
  constructor(bundles = []) {
    const handle = bundles instanceof native.BundleSet ? bundles : new native.BundleSet()
    super(handle)
    this.#native = handle
    Object.freeze(this)
    if (handle !== bundles) for (const bundle of /** @type {Iterable<any>} */ (bundles)) this.add(bundle)
  }

  /** @param {string | Uint8Array} json */
  static fromMap(json) {
    return BundleMap.parse(json).toBundleSet()
  }

  get trustDomains() {
    return this.#native.trustDomains().map(TrustDomain.known)
  }

  get size() {
    return this.#native.size()
  }

  /** @param {X509Bundle | JwtBundle | SpiffeBundle} bundle */
  add(bundle) {
    const x509 = X509Bundle.handle(bundle)
    if (x509) return this.#native.addX509(x509)
    const jwt = JwtBundle.handle(bundle)
    if (jwt) return this.#native.addJwt(jwt)
    const both = SpiffeBundle.handle(bundle)
    if (both) return this.#native.add(both)
    throw invalidArgument(`bundle: expected an X509Bundle, a JwtBundle or a SpiffeBundle, got ${shown(bundle)}`)
  }

  /** @param {TrustDomain | string} trustDomain */
  remove(trustDomain) {
    return this.#native.remove(TrustDomain.from(trustDomain).name)
  }

  /** @param {TrustDomain | string} trustDomain */
  removeX509(trustDomain) {
    return this.#native.removeX509(TrustDomain.from(trustDomain).name)
  }

  /** @param {TrustDomain | string} trustDomain */
  removeJwt(trustDomain) {
    return this.#native.removeJwt(TrustDomain.from(trustDomain).name)
  }

  /** @param {TrustDomain | string} trustDomain */
  has(trustDomain) {
    return this.#native.has(TrustDomain.from(trustDomain).name)
  }

  /** @param {TrustDomain | string} trustDomain */
  x509Bundle(trustDomain) {
    const found = this.#native.x509Bundle(TrustDomain.from(trustDomain).name)
    return found ? new X509Bundle(found) : undefined
  }

  /** @param {TrustDomain | string} trustDomain */
  jwtBundle(trustDomain) {
    const found = this.#native.jwtBundle(TrustDomain.from(trustDomain).name)
    return found ? new JwtBundle(found) : undefined
  }

  /** @param {unknown} other */
  equals(other) {
    const handle = BundleSet.handle(other)
    return handle !== undefined && this.#native.equals(handle)
  }

  clone() {
    return new BundleSet(this.#native.copy())
  }

  toJSON() {
    return { trustDomains: this.trustDomains }
  }

  /**
   * @param {number} _depth
   * @param {import('node:util').InspectOptions} options
   * @param {typeof import('node:util').inspect} show
   */
  [inspect](_depth, options, show) {
    return `BundleSet ${show(this.toJSON(), options)}`
  }
}

/** The bundle documents of several trust domains in one. */
class BundleMap extends NativeHandle {
  #native

  /** @param {Iterable<SpiffeBundle> | import('../../types/native').BundleMap} [bundles] */
  constructor(bundles = []) {
    const handle = bundles instanceof native.BundleMap ? bundles : new native.BundleMap()
    super(handle)
    this.#native = handle
    Object.freeze(this)
    if (handle !== bundles) for (const bundle of /** @type {Iterable<SpiffeBundle>} */ (bundles)) this.add(bundle)
  }

  /** @param {string | Uint8Array} json */
  static parse(json) {
    return new BundleMap(answer(native.BundleMap.parse(encoded.text(json, 'json')), BundleMap.parse))
  }

  get trustDomains() {
    return this.#native.trustDomains().map(TrustDomain.known)
  }

  get size() {
    return this.#native.trustDomains().length
  }

  /** @param {SpiffeBundle} bundle */
  add(bundle) {
    this.#native.add(SpiffeBundle.argument(bundle, 'bundle'))
  }

  /** @param {TrustDomain | string} trustDomain */
  remove(trustDomain) {
    return this.#native.remove(TrustDomain.from(trustDomain).name)
  }

  /** @param {TrustDomain | string} trustDomain */
  get(trustDomain) {
    const found = this.#native.get(TrustDomain.from(trustDomain).name)
    return found ? new SpiffeBundle(found) : undefined
  }

  toBundleSet() {
    return new BundleSet(this.#native.toBundleSet())
  }

  /** The document, exact on every runtime. */
  toText() {
    return answer(this.#native.toJsonText(), this.toText)
  }

  /** @param {unknown} other */
  equals(other) {
    const handle = BundleMap.handle(other)
    return handle !== undefined && this.#native.equals(handle)
  }

  clone() {
    return new BundleMap(this.#native.copy())
  }

  toJSON() {
    return {
      trust_domains: Object.fromEntries(
        this.trustDomains.map((name) => [
          name.name,
          /** @type {SpiffeBundle} */ (this.get(name))?.with({ refreshHint: undefined })
        ])
      )
    }
  }

  /**
   * @param {number} _depth
   * @param {import('node:util').InspectOptions} options
   * @param {typeof import('node:util').inspect} show
   */
  [inspect](_depth, options, show) {
    return `BundleMap ${show({ trustDomains: this.trustDomains }, options)}`
  }
}

module.exports = { BundleSet, BundleMap }
