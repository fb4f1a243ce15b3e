'use strict'
/** Verification of SVIDs. */

const { isUint8Array } = require('node:util').types
const { invalidArgument, shown } = require('../native/errors')
const { native } = require('../native/load')
const { ownOptions } = require('../internal/options')
const { requireAuthorized, compile, anybody } = require('./authorizer')
const { BundleSet } = require('./bundle-set')
const encoded = require('./encoded')
const { known } = require('./id')
const { JwtBundle } = require('./jwt-bundle')
const { jwtSvid } = require('./jwt-svid')
const { answer } = require('../native/answer')

/** @typedef {typeof import('../native/handle').NativeHandle} HandleClass */
const { SpiffeBundle } = require('./spiffe-bundle')
const { X509Bundle } = require('./x509-bundle')

const inspect = Symbol.for('nodejs.util.inspect.custom')
const X509_OPTIONS = ['now', 'authorize', 'usage']
const JWT_OPTIONS = ['audience', 'leeway', 'now', 'requireKid', 'allowExtraHeaders']
/** What the peer is, as the core has it. */
const USAGES = new Map([
  ['serverAuth', 0],
  ['clientAuth', 1]
])
const REQUIRE_KID = 1
const ALLOW_EXTRA_HEADERS = 2
const DEFAULT_LEEWAY = 5000
const MAX_LEEWAY = 120000

/** A verified and authorized name, and the certificates that were shown for it. */
class VerifiedX509Svid {
  #shown

  /**
   * @param {string} facts
   * @param {readonly (Uint8Array | import('node:crypto').X509Certificate)[]} shown
   * @param {import('./authorizer').Authorizer} authorizer
   */
  constructor(facts, shown, authorizer) {
    const [id, notBefore, notAfter, serialNumber, keyAlgorithm, dnsNames] = JSON.parse(facts)
    this.#shown = shown
    this.spiffeId = known(id)
    this.notBefore = new Date(notBefore)
    this.expiresAt = new Date(notAfter)
    this.serialNumber = /** @type {string} */ (serialNumber)
    this.keyAlgorithm = /** @type {import('../../index').KeyAlgorithm} */ (keyAlgorithm)
    this.dnsNames = /** @type {readonly string[]} */ (Object.freeze(dnsNames))
    Object.freeze(this)
    requireAuthorized(authorizer, this.spiffeId)
  }

  get certificates() {
    const X509Certificate = encoded.certificateClass()
    // One piece of bytes is a concatenation; whatever the pieces are, they are ours alone.
    const [first] = this.#shown
    if (this.#shown.length === 1 && isUint8Array(first))
      this.#shown = /** @type {Uint8Array[]} */ (answer(native.splitChain(first, false)))
    if (!this.#shown.every((one) => one instanceof X509Certificate)) {
      this.#shown = this.#shown.map((one) => (one instanceof X509Certificate ? one : new X509Certificate(one)))
    }
    return /** @type {readonly import('node:crypto').X509Certificate[]} */ (Object.freeze(this.#shown))
  }

  toString() {
    return this.spiffeId.uri
  }

  /**
   * @param {number} _depth
   * @param {import('node:util').InspectOptions} options
   * @param {typeof import('node:util').inspect} show
   */
  [inspect](_depth, options, show) {
    return `VerifiedX509Svid ${show({ ...this }, options)}`
  }
}

/**
 * @param {unknown} chain
 * @param {unknown} bundles
 * @param {import('../../index').VerifyX509SvidOptions} [options]
 */
function verifyX509Svid(chain, bundles, options) {
  const given = ownOptions(options, X509_OPTIONS, 'options')
  const { now, authorize, usage } = given
  const time = now === undefined ? undefined : encoded.time(now, 'options.now')
  const role = usage === undefined ? undefined : USAGES.get(usage)
  if (usage !== undefined && role === undefined)
    throw invalidArgument(`options.usage: expected 'serverAuth' or 'clientAuth', got ${shown(usage)}`)
  // `authorize: undefined` is a variable that was not set, not a decision to accept every name.
  const authorizer = 'authorize' in given ? compile(authorize, 'options.authorize') : anybody
  const holder = holderOf(bundles, X509Bundle)
  const shownChain = presented(chain)
  const pieces = shownChain.map(der)
  // One certificate in a list is one certificate; only a piece by itself may be a concatenation.
  const facts = answer(holder.verifyX509(pieces, time, role), verifyX509Svid)
  return new VerifiedX509Svid(facts, shownChain, authorizer)
}

/**
 * The certificates, copied unless they cannot change: what was verified is what is returned.
 * @param {unknown} chain
 * @returns {(Uint8Array | import('node:crypto').X509Certificate)[]}
 */
function presented(chain) {
  if (isUint8Array(chain)) return [Buffer.from(chain)]
  if (typeof chain === 'string')
    return /** @type {Buffer[]} */ (answer(native.splitChain(Buffer.from(chain), true), verifyX509Svid))
  const X509Certificate = encoded.certificateClass()
  if (chain instanceof X509Certificate) return [chain]
  if (!Array.isArray(chain))
    throw invalidArgument(`chain: expected certificates as X509Certificate[], DER or PEM, got ${shown(chain)}`)
  return chain.map((one, index) => {
    if (one instanceof X509Certificate) return one
    if (isUint8Array(one)) return Buffer.from(one)
    throw invalidArgument(`chain[${index}]: expected an X509Certificate or its DER as a Uint8Array, got ${shown(one)}`)
  })
}

/** @param {Uint8Array | import('node:crypto').X509Certificate} one */
function der(one) {
  return isUint8Array(one) ? one : one.raw
}

/**
 * @param {string} token
 * @param {unknown} bundles
 * @param {import('../../index').VerifyJwtSvidOptions} options
 */
function verifyJwtSvid(token, bundles, options) {
  const {
    audience,
    leeway = DEFAULT_LEEWAY,
    now,
    requireKid = false,
    allowExtraHeaders = false
  } = ownOptions(options, JWT_OPTIONS, 'options')
  if (typeof token !== 'string')
    throw invalidArgument(`token: expected a string, got ${token === null ? 'null' : typeof token}`)
  if (typeof leeway !== 'number' || !(leeway >= 0 && leeway <= MAX_LEEWAY)) {
    throw invalidArgument(`options.leeway: expected milliseconds from 0 to ${MAX_LEEWAY}, got ${shown(leeway)}`, {
      rule: 'leeway_too_long'
    })
  }
  const flags =
    flag(requireKid, 'requireKid', REQUIRE_KID) | flag(allowExtraHeaders, 'allowExtraHeaders', ALLOW_EXTRA_HEADERS)
  const time = now === undefined ? undefined : encoded.time(now, 'options.now')
  const facts = answer(
    holderOf(bundles, JwtBundle).verifyJwt(token, audiences(audience), leeway, time, flags),
    verifyJwtSvid
  )
  return jwtSvid(token, facts)
}

/**
 * The names the verifier answers to. With none, every token would do.
 * @param {unknown} audience
 * @returns {string[]}
 */
function audiences(audience) {
  const list = typeof audience === 'string' ? [audience] : audience
  if (!Array.isArray(list) || !list.every((name) => typeof name === 'string')) {
    throw invalidArgument(`options.audience: expected a string or a list of strings, got ${shown(audience)}`, {
      rule: 'no_expected_audience'
    })
  }
  return list
}

/**
 * @param {unknown} value
 * @param {string} name
 * @param {number} bit
 */
function flag(value, name, bit) {
  if (typeof value !== 'boolean') throw invalidArgument(`options.${name}: expected a boolean, got ${shown(value)}`)
  return value ? bit : 0
}

/**
 * Whatever holds bundles of the kind.
 * @param {unknown} bundles
 * @param {HandleClass} kind
 */
function holderOf(bundles, kind) {
  const holder = BundleSet.handle(bundles) ?? SpiffeBundle.handle(bundles) ?? kind.handle(bundles)
  if (!holder)
    throw invalidArgument(
      `bundles: expected a BundleSet, a SpiffeBundle or a value of type ${kind.name}, got ${shown(bundles)}`
    )
  return holder
}

module.exports = { verifyX509Svid, verifyJwtSvid, VerifiedX509Svid }
