'use strict'
/** An authority for tests: right SVIDs, and such as break exactly one rule. */

const { invalidArgument, shown } = require('../native/errors')
const { linuxOnly } = require('../native/load')
const { checkOptions } = require('../internal/options')
const { SpiffeBundle } = require('../spiffe/spiffe-bundle')
const { SpiffeId } = require('../spiffe/id')
const { TrustDomain } = require('../spiffe/trust-domain')
const { X509Svid } = require('../spiffe/x509-svid')

const CA = 'an authority for tests'

/** @typedef {import('../../types/testing').X509Flaw} X509Flaw */
/** @typedef {import('../../types/testing').JwtFlaw} JwtFlaw */

/** @type {{ x509: readonly X509Flaw[], jwt: readonly JwtFlaw[] } | undefined} */
let known
function flaws() {
  if (!known) {
    const { x509, jwt } = JSON.parse(linuxOnly('testFlaws', CA)())
    known = Object.freeze({ x509: Object.freeze(x509), jwt: Object.freeze(jwt) })
  }
  return known
}

/**
 * @param {unknown} flaw
 * @param {readonly string[]} all
 */
function checkFlaw(flaw, all) {
  if (flaw !== undefined && !all.includes(/** @type {string} */ (flaw)))
    throw invalidArgument(`options.flaw: expected one of ${all.join(', ')}, got ${shown(flaw)}`)
}

/** @param {unknown} ttl */
function seconds(ttl) {
  if (typeof ttl !== 'number' || !(ttl >= 1000))
    throw invalidArgument(`options.ttl: expected milliseconds, at least 1000, got ${shown(ttl)}`)
  return Math.ceil(ttl / 1000)
}

/** An X509-SVID that may be a wrong one, and so is only bytes. */
class MintedX509Svid {
  /**
   * @param {Buffer} chain
   * @param {Buffer} key
   */
  constructor(chain, key) {
    this.chain = chain
    // Not shown: it is a private key, if only of a test.
    this.key = key
    Object.defineProperty(this, 'key', { enumerable: false })
    Object.freeze(this)
  }

  get chainPem() {
    return pem('CERTIFICATE', this.chain)
  }
  get keyPem() {
    return pem('PRIVATE KEY', this.key)
  }
  /** The SVID, if it is one. */
  toSvid() {
    return X509Svid.fromPem(this.chainPem, this.keyPem)
  }
}

/**
 * @param {string} label
 * @param {Buffer} der one value
 */
function pem(label, der) {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

class TestCa {
  #native
  #bundle

  /** @param {import('../../index').TrustDomain | string} [trustDomain] */
  constructor(trustDomain = 'example.org') {
    this.trustDomain = TrustDomain.parse(String(trustDomain))
    this.#native = new (linuxOnly('NativeTestCa', CA))(this.trustDomain.name)
    this.#bundle = SpiffeBundle.parse(this.trustDomain, this.#native.bundle())
    Object.freeze(this)
  }

  static get x509Flaws() {
    return flaws().x509
  }
  static get jwtFlaws() {
    return flaws().jwt
  }

  get bundle() {
    return this.#bundle
  }

  /**
   * @param {import('../../index').SpiffeId | string} spiffeId
   * @param {import('../../types/testing').MintX509Options} [options]
   */
  x509Svid(spiffeId, options) {
    const { ttl = 3_600_000, dnsNames = [], flaw } = checkOptions(options, ['ttl', 'dnsNames', 'flaw'], 'options')
    checkFlaw(flaw, TestCa.x509Flaws)
    const { chain, key } = this.#native.x509Svid(
      SpiffeId.from(spiffeId, 'spiffeId').toString(),
      dnsNames,
      seconds(ttl),
      flaw
    )
    return new MintedX509Svid(chain, key)
  }

  /**
   * @param {import('../../index').SpiffeId | string} spiffeId
   * @param {import('../../types/testing').MintJwtOptions} options
   */
  jwtSvid(spiffeId, options) {
    const { audience, ttl = 300_000, flaw } = checkOptions(options, ['audience', 'ttl', 'flaw'], 'options')
    checkFlaw(flaw, TestCa.jwtFlaws)
    const all = typeof audience === 'string' ? [audience] : audience
    if (!Array.isArray(all) || all.length === 0 || !all.every((one) => typeof one === 'string'))
      throw invalidArgument('options.audience: expected a string, or a list of strings')
    return this.#native.jwtSvid(SpiffeId.from(spiffeId, 'spiffeId').toString(), all, seconds(ttl), flaw)
  }
}

module.exports = { MintedX509Svid, TestCa }
