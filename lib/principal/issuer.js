'use strict'
/** Who vouched for a workload. */

const { invalidArgument, shown } = require('../native/errors')
const { native } = require('../native/load')
const { answer } = require('../native/answer')

const inspect = Symbol.for('nodejs.util.inspect.custom')
const checked = Symbol('checked')

class IssuerValue {
  /**
   * @param {string} kind
   * @param {string | undefined} label
   * @param {symbol} proof
   */
  constructor(kind, label, proof) {
    if (proof !== checked)
      throw invalidArgument('an Issuer is one of Issuer.cli, .jwtSvid, .mtls, .oauth, or made by Issuer.custom')
    this.kind = kind
    if (label !== undefined) this.label = label
    Object.freeze(this)
  }

  toString() {
    return this.label ?? this.kind
  }

  /** @param {unknown} other */
  equals(other) {
    return other instanceof IssuerValue && this.kind === other.kind && this.label === other.label
  }

  [inspect]() {
    return `Issuer(${this})`
  }
}

const BUILT_IN = ['cli', 'jwt_svid', 'mtls', 'oauth'].map((kind) => new IssuerValue(kind, undefined, checked))
const [cli, jwtSvid, mtls, oauth] = BUILT_IN

const Issuer = Object.freeze({
  cli,
  jwtSvid,
  mtls,
  oauth,

  /**
   * @param {string} label
   * @returns {any} as the typings have it, by `kind`
   */
  custom(label) {
    if (typeof label !== 'string') throw invalidArgument(`label: expected a string, got ${shown(label)}`)
    return new IssuerValue('custom', answer(native.issuerLabel(label), Issuer.custom), checked)
  },

  /** @param {unknown} value */
  is(value) {
    return value instanceof IssuerValue
  }
})

/**
 * An issuer as the core wrote it.
 * @param {{ kind: string, label?: string }} issuer
 * @returns {import('../../types/principal').Issuer}
 */
function knownIssuer({ kind, label }) {
  const issuer = BUILT_IN.find((one) => one.kind === kind) ?? new IssuerValue(kind, label, checked)
  return /** @type {import('../../types/principal').Issuer} */ (issuer)
}

module.exports = { Issuer, knownIssuer }
