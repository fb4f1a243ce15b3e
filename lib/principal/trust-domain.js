'use strict'
/** The names of trust domains, by the rules of principals. */

const { invalidArgument, shown } = require('../native/errors')
const { native } = require('../native/load')
const { answer } = require('../native/answer')
const spiffe = require('../spiffe/trust-domain')

const TrustDomain = Object.freeze({
  /** @param {unknown} value */
  parse(value) {
    const text = value instanceof spiffe.TrustDomain ? value.name : value
    if (typeof text !== 'string')
      throw invalidArgument(`trustDomain: expected a string or a TrustDomain, got ${shown(value)}`)
    return answer(native.principalTrustDomain(text), TrustDomain.parse)
  },

  /** @param {unknown} value */
  is(value) {
    return typeof value === 'string' && native.principalTrustDomain(value) === value
  }
})

module.exports = { TrustDomain }
