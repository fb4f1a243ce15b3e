'use strict'
/** The names of workloads. */

const { invalidArgument, shown } = require('../native/errors')
const { native } = require('../native/load')
const { answer } = require('../native/answer')

const inspect = Symbol.for('nodejs.util.inspect.custom')
const checked = Symbol('checked')

/**
 * A text of this form is a SPIFFE ID in its canonical form, and costs no call into the core. It is narrower than the
 * rules, on purpose: what it does not match, or what `canonical` below sends on, is decided by the core.
 */
const PLAIN = /^spiffe:\/\/[a-z0-9._-]+(?:\/[a-zA-Z0-9._-]+)*$/
const SCHEME = 9
const MAX_ID = 2048
const MAX_TRUST_DOMAIN = 255

/** @param {string} text */
function canonical(text) {
  // A segment that starts with a dot may be a relative one.
  if (text.length <= MAX_ID && PLAIN.test(text) && !text.includes('/.', SCHEME)) {
    const slash = text.indexOf('/', SCHEME)
    if ((slash < 0 ? text.length : slash) - SCHEME <= MAX_TRUST_DOMAIN) return text
  }
  return answer(native.spiffeId(text), SpiffeId.parse)
}

/** The name of a workload: `spiffe://example.org/billing`. */
class SpiffeId {
  /**
   * @param {string} uri
   * @param {symbol} proof
   */
  constructor(uri, proof) {
    if (proof !== checked) throw invalidArgument('a SpiffeId is made by SpiffeId.parse and SpiffeId.fromSegments')
    this.uri = /** @type {import('../../types/spiffe').SpiffeIdString} */ (uri)
    Object.freeze(this)
  }

  /** @param {string} text */
  static parse(text) {
    if (typeof text !== 'string') throw invalidArgument(`text: expected a string, got ${shown(text)}`)
    return new SpiffeId(canonical(text), checked)
  }

  /**
   * @param {import('../../types/spiffe').TrustDomain | string} trustDomain
   * @param {Iterable<string>} segments
   */
  static fromSegments(trustDomain, segments) {
    return TrustDomain.from(trustDomain, 'trustDomain').id.appendSegments(segments)
  }

  /**
   * A SpiffeId as it is, a text parsed.
   * @param {unknown} value
   * @param {string} [name] what the argument is called, for messages
   */
  static from(value, name = 'id') {
    if (value instanceof SpiffeId) return value
    if (typeof value === 'string') return SpiffeId.parse(value)
    throw invalidArgument(`${name}: expected a SpiffeId or its text, got ${shown(value)}`)
  }

  get trustDomain() {
    const slash = this.uri.indexOf('/', SCHEME)
    return TrustDomain.known(slash < 0 ? this.uri.slice(SCHEME) : this.uri.slice(SCHEME, slash))
  }

  get path() {
    const slash = this.uri.indexOf('/', SCHEME)
    return slash < 0 ? '' : this.uri.slice(slash)
  }

  get segments() {
    return this.path.split('/').slice(1)
  }

  /** @param {string} path */
  appendPath(path) {
    return known(answer(native.spiffeIdAppendPath(this.uri, text(path, 'path')), this.appendPath))
  }

  /** @param {Iterable<string>} segments */
  appendSegments(segments) {
    if (typeof segments !== 'object' || segments === null || !(Symbol.iterator in segments)) {
      throw invalidArgument(
        `segments: expected a list of strings, got ${typeof segments === 'string' ? 'a string' : shown(segments)}`
      )
    }
    const list = Array.from(segments, (segment, index) => text(segment, `segments[${index}]`))
    return known(answer(native.spiffeIdAppendSegments(this.uri, list), this.appendSegments))
  }

  /** @param {string} path */
  replacePath(path) {
    return known(answer(native.spiffeIdReplacePath(this.uri, text(path, 'path')), this.replacePath))
  }

  /** @param {import('../../types/spiffe').TrustDomain | SpiffeId | string} trustDomain */
  memberOf(trustDomain) {
    return TrustDomain.from(trustDomain, 'trustDomain').equals(this.trustDomain)
  }

  /**
   * Whether the other value is this name. A text that is no name is not.
   * @param {unknown} other
   */
  equals(other) {
    if (other instanceof SpiffeId) return this.uri === other.uri
    return typeof other === 'string' && native.spiffeId(other) === this.uri
  }

  toString() {
    return this.uri
  }

  toJSON() {
    return this.uri
  }

  [inspect]() {
    return `SpiffeId(${this.uri})`
  }
}

/**
 * @param {unknown} value
 * @param {string} name
 */
function text(value, name) {
  if (typeof value !== 'string') throw invalidArgument(`${name}: expected a string, got ${shown(value)}`)
  return value
}

/**
 * An ID in the form the core wrote it.
 * @param {string} uri
 */
function known(uri) {
  return new SpiffeId(uri, checked)
}

module.exports = { SpiffeId, known }

const { TrustDomain } = require('./trust-domain')
