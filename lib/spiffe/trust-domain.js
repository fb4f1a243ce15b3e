'use strict'
/** The names of trust domains. */

const { invalidArgument, shown } = require('../native/errors')
const { native } = require('../native/load')
const { answer } = require('../native/answer')

const inspect = Symbol.for('nodejs.util.inspect.custom')
const checked = Symbol('checked')

/** The name of a trust domain: `example.org`. */
class TrustDomain {
  /**
   * @param {string} name
   * @param {symbol} proof
   */
  constructor(name, proof) {
    if (proof !== checked) throw invalidArgument('a TrustDomain is made by TrustDomain.parse')
    this.name = name
    Object.freeze(this)
  }

  /** @param {string} text */
  static parse(text) {
    if (typeof text !== 'string') throw invalidArgument(`text: expected a string, got ${shown(text)}`)
    return TrustDomain.known(answer(native.trustDomain(text), TrustDomain.parse))
  }

  /**
   * A TrustDomain as it is, that of a SpiffeId, a text parsed.
   * @param {unknown} value
   * @param {string} [name] what the argument is called, for messages
   * @returns {TrustDomain}
   */
  static from(value, name = 'trustDomain') {
    if (value instanceof TrustDomain) return value
    if (typeof value === 'string') return TrustDomain.parse(value)
    if (value instanceof SpiffeId) return value.trustDomain
    throw invalidArgument(`${name}: expected a TrustDomain or its name, got ${shown(value)}`)
  }

  /**
   * A name in the form the core wrote it.
   * @param {string} name
   */
  static known(name) {
    return new TrustDomain(name, checked)
  }

  /** The trust domain's own ID. */
  get id() {
    return known(`spiffe://${this.name}`)
  }

  /** @param {unknown} other */
  equals(other) {
    if (other instanceof TrustDomain) return this.name === other.name
    return typeof other === 'string' && native.trustDomain(other) === this.name
  }

  toString() {
    return this.name
  }

  toJSON() {
    return this.name
  }

  [inspect]() {
    return `TrustDomain(${this.name})`
  }
}

module.exports = { TrustDomain }

const { SpiffeId, known } = require('./id')
