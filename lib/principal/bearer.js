'use strict'
/** The base of resolvers that verify bearer tokens. */

const { invalidArgument, shown } = require('../native/errors')
const { CredentialResolver, FIND, VERIFY } = require('./credential')
const { bearerOf } = require('./incoming')
const { checkCredential } = require('./resolver')

/** What a resolver makes of a token. */
const TOKEN = Symbol('token')

/**
 * @template {import('./resolver').Principal} [Kind=import('./resolver').WorkloadPrincipal]
 * @extends {CredentialResolver<Kind>}
 */
class BearerResolver extends CredentialResolver {
  /** @param {unknown} token */
  constructor(token) {
    super(checkCredential(token, 'token', (value) => typeof value === 'string', 'a string'))
  }

  /** How a refusal is answered (RFC 6750 3). */
  get challenge() {
    return 'Bearer'
  }

  /** @param {unknown} token */
  async [VERIFY](token) {
    if (typeof token !== 'string') throw invalidArgument(`token: expected a string, got ${shown(token)}`)
    return await this[TOKEN](token)
  }

  /** @param {any} req */
  [FIND](req) {
    return bearerOf(req)
  }

  /**
   * @param {string} token
   * @returns {Promise<Kind>}
   */
  [TOKEN](token) {
    throw new Error(`unreachable: ${token.length}`)
  }
}

module.exports = { BearerResolver, TOKEN }
