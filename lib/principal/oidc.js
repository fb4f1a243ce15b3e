'use strict'
/** Principals of the tokens of OIDC providers. */

const { invalidArgument, shown } = require('../native/errors')
const { ownOptions } = require('../internal/options')
const { freezeJson } = require('../internal/freeze')
const { answer } = require('../native/answer')
const { BearerResolver, TOKEN } = require('./bearer')
const { UNAVAILABLE, notAuthenticated, refused } = require('./failure')
const { Issuer } = require('./issuer')
const { FetchedKeys, GivenKeys } = require('./key-source')
const { principalOfMapping } = require('./mapping')
const { tenantRule } = require('./tenant')
const { TrustDomain } = require('./trust-domain')

const OPTIONS = [
  'issuer',
  'audience',
  'map',
  'trustDomain',
  'tenantId',
  'tenantOf',
  'principalIssuer',
  'algorithms',
  'leeway',
  'once',
  'jwks',
  'jwksUri',
  'ca',
  'headers',
  'fetchTimeout',
  'token'
]
const REFUSALS = ['ERR_INVALID_TOKEN', ...UNAVAILABLE]
const DEFAULT_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384']
const ALGORITHM = /^(?:RS|ES|PS)(?:256|384|512)$/
const DEFAULT_LEEWAY = 60_000
const MAX_LEEWAY = 120_000

/** @extends {BearerResolver<import('./resolver').Principal>} */
class OidcResolver extends BearerResolver {
  #issuer
  #audience
  #algorithms
  #leeway
  #keys
  #map
  #how
  #once

  /** @param {import('../../types/principal').OidcResolverOptions} options */
  constructor(options) {
    const given = ownOptions(options ?? null, OPTIONS, 'options')
    const {
      issuer,
      audience,
      map,
      trustDomain,
      tenantId,
      tenantOf,
      principalIssuer = Issuer.oauth,
      algorithms = DEFAULT_ALGORITHMS,
      leeway = DEFAULT_LEEWAY,
      once,
      token
    } = given
    super(token)
    if (typeof issuer !== 'string' || issuer === '')
      throw invalidArgument(`options.issuer: expected the issuer's name (iss), got ${shown(issuer)}`)
    this.#issuer = issuer
    this.#audience = names(audience, 'options.audience')
    this.#algorithms = names(algorithms, 'options.algorithms')
    const odd = this.#algorithms.find((name) => !ALGORITHM.test(name))
    if (odd !== undefined)
      throw invalidArgument(`options.algorithms: ${odd} is none of RS256 to RS512, ES256 to ES512, PS256 to PS512`)
    if (typeof leeway !== 'number' || !(leeway >= 0 && leeway <= MAX_LEEWAY))
      throw invalidArgument(`options.leeway: expected milliseconds from 0 to ${MAX_LEEWAY}, got ${shown(leeway)}`)
    this.#leeway = leeway
    if (typeof map !== 'function') throw invalidArgument(`options.map: expected a function, got ${shown(map)}`)
    this.#map = map
    if (!Issuer.is(principalIssuer))
      throw invalidArgument(`options.principalIssuer: expected an Issuer, got ${shown(principalIssuer)}`)
    this.#how = {
      trustDomain: TrustDomain.parse(trustDomain),
      tenant: tenantRule(tenantId, tenantOf, { claims: false }),
      issuer: principalIssuer
    }
    if (once !== undefined && typeof once?.use !== 'function')
      throw invalidArgument(
        `options.once: expected something with use(key, expiresAt), such as a ReplayGuard, got ${shown(once)}`
      )
    this.#once = once
    this.#keys = keysOf(issuer, given)
    Object.freeze(this)
  }

  /** @param {string} token */
  async [TOKEN](token) {
    let claims
    try {
      claims = await this.#claims(token)
    } catch (error) {
      throw refused(error, REFUSALS)
    }
    const principal = await principalOfMapping(await this.#map(claims), this.#how)
    // Last: what was refused for another reason was not used.
    if (this.#once !== undefined) await this.#spend(claims)
    return principal
  }

  /** @param {string} token */
  async #claims(token) {
    const keys = await this.#keys.current()
    try {
      return this.#verify(token, keys)
    } catch (error) {
      if (/** @type {any} */ (error)?.rule !== 'unknown_key_id') throw error
      const newer = await this.#keys.newer(keys)
      if (newer === keys) throw error
      return this.#verify(token, newer)
    }
  }

  /**
   * @param {string} token
   * @param {import('../../types/native').OidcKeys} keys
   * @returns {Readonly<Record<string, any>>}
   */
  #verify(token, keys) {
    return freezeJson(
      JSON.parse(answer(keys.verify(token, this.#issuer, this.#audience, this.#algorithms, this.#leeway, undefined)))
    )
  }

  /** @param {Readonly<Record<string, any>>} claims */
  async #spend({ jti, exp }) {
    if (typeof jti !== 'string' || jti === '')
      throw notAuthenticated('refused', 'the token has no ID (jti) to tell it from others by')
    const first = await this.#once.use(`${this.#issuer} ${jti}`, new Date((exp + 1) * 1000 + this.#leeway))
    if (first !== true) throw notAuthenticated('replayed', 'the token was used before')
  }
}

/**
 * @param {string} issuer
 * @param {Record<string, any>} given
 */
function keysOf(issuer, { jwks, jwksUri, ca, headers, fetchTimeout }) {
  if (jwks === undefined) return new FetchedKeys(issuer, { jwksUri, ca, headers, timeout: fetchTimeout })
  for (const [name, value] of Object.entries({ jwksUri, ca, headers, fetchTimeout })) {
    if (value !== undefined) throw invalidArgument(`options.${name}: means nothing beside jwks`)
  }
  return new GivenKeys(jwks)
}

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {string[]}
 */
function names(value, name) {
  const list = typeof value === 'string' ? [value] : value
  if (
    !Array.isArray(list) ||
    list.length === 0 ||
    list.length > 32 ||
    !list.every((one) => typeof one === 'string' && one !== '')
  ) {
    throw invalidArgument(`${name}: expected a string, or a list of 1 to 32 of them, got ${shown(value)}`)
  }
  return [...list]
}

module.exports = { OidcResolver }
