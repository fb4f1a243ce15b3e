'use strict'
/** WIT-SVIDs, as the incubating profile has them: a token that is worth nothing without its key. */

const { known } = require('../id')

const inspect = Symbol.for('nodejs.util.inspect.custom')
const REDACTED = '[redacted]'

class WitSvid {
  #token
  #jwk
  /** @type {import('node:crypto').KeyObject | undefined} */
  #privateKey

  /**
   * @param {string} spiffeId
   * @param {string} token
   * @param {string} jwk
   * @param {string | null} hint
   */
  constructor(spiffeId, token, jwk, hint) {
    this.spiffeId = known(spiffeId)
    this.hint = hint ?? undefined
    this.#token = token
    this.#jwk = jwk
    Object.freeze(this)
  }

  get token() {
    return this.#token
  }

  get privateKey() {
    return (this.#privateKey ??= require('node:crypto').createPrivateKey({ key: JSON.parse(this.#jwk), format: 'jwk' }))
  }

  toString() {
    return this.spiffeId.uri
  }

  toJSON() {
    return { spiffeId: this.spiffeId, hint: this.hint, token: REDACTED, privateKey: REDACTED }
  }

  /**
   * @param {number} _depth
   * @param {import('node:util').InspectOptions} options
   * @param {typeof import('node:util').inspect} show
   */
  [inspect](_depth, options, show) {
    return `WitSvid ${show(this.toJSON(), options)}`
  }
}

module.exports = { WitSvid }
