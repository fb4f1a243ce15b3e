'use strict'
/** Principals of JWT-SVIDs. */

const { CountersignError, invalidArgument, shown } = require('../native/errors')
const { ownOptions } = require('../internal/options')
const { BearerResolver, TOKEN } = require('./bearer')
const { UNAVAILABLE, notAuthenticated, refused } = require('./failure')
const { Issuer } = require('./issuer')
const { checkSplit, partsOf } = require('./spiffe')
const { tenantRule } = require('./tenant')
const { TrustDomain } = require('./trust-domain')
const { WorkloadPrincipal } = require('./workload')

const OPTIONS = [
  'bundles',
  'source',
  'audience',
  'trustDomain',
  'issuer',
  'tenantId',
  'tenantOf',
  'split',
  'leeway',
  'requireKid',
  'allowExtraHeaders',
  'token'
]
const REFUSALS = ['ERR_INVALID_TOKEN', ...UNAVAILABLE]

class JwtSvidResolver extends BearerResolver {
  #verify
  #trustDomain
  #issuer
  #tenant
  #split

  /** @param {import('../../types/principal').JwtSvidResolverOptions} options */
  constructor(options) {
    const given = ownOptions(options ?? null, OPTIONS, 'options')
    const {
      bundles,
      source,
      audience,
      trustDomain,
      issuer,
      tenantId,
      tenantOf,
      split,
      leeway,
      requireKid,
      allowExtraHeaders,
      token
    } = given
    super(token)
    if ((bundles === undefined) === (source === undefined))
      throw invalidArgument('options: give bundles or a source, and not both')
    if (typeof audience !== 'string' && !(Array.isArray(audience) && audience.length > 0))
      throw invalidArgument(`options.audience: expected a string or a list of strings, got ${shown(audience)}`)
    if (issuer !== undefined && (typeof issuer !== 'string' || issuer === ''))
      throw invalidArgument(`options.issuer: expected a string, got ${shown(issuer)}`)
    this.#trustDomain = TrustDomain.parse(trustDomain)
    this.#issuer = issuer
    this.#tenant = tenantRule(tenantId, tenantOf, { claims: true })
    this.#split = checkSplit(split)
    const how = Object.fromEntries(
      Object.entries({ audience, leeway, requireKid, allowExtraHeaders }).filter(([, value]) => value !== undefined)
    )
    this.#verify = verifier(bundles, source, how)
    Object.freeze(this)
  }

  /** @param {string} token */
  async [TOKEN](token) {
    let svid
    try {
      svid = await this.#verify(token)
    } catch (error) {
      throw refused(error, REFUSALS)
    }
    const claims = svid?.claims
    if (typeof claims !== 'object' || claims === null)
      throw new CountersignError('ERR_INVALID_ARGUMENT', 'options.source: validate() must return a JwtSvid')
    if (this.#issuer !== undefined && claims.iss !== this.#issuer)
      throw notAuthenticated('refused', 'the token was issued by somebody else')
    const parts = partsOf(svid.spiffeId, this.#trustDomain, this.#split)
    const tenantId = await this.#tenant(parts.tenantSlug, Object.hasOwn(claims, 'tid') ? claims.tid : undefined)
    return new WorkloadPrincipal({ ...parts, issuer: Issuer.jwtSvid, tenantId })
  }
}

/**
 * @param {any} bundles
 * @param {any} source
 * @param {Record<string, any>} how
 * @returns {(token: string) => Promise<any>}
 */
function verifier(bundles, source, how) {
  if (source === undefined) {
    const { verifyJwtSvid } = require('../spiffe/verify')
    return async (token) => verifyJwtSvid(token, bundles, /** @type {any} */ (how))
  }
  if (typeof source?.validate !== 'function')
    throw invalidArgument(`options.source: expected something with validate(token, { audience }), got ${shown(source)}`)
  return async (token) => await source.validate(token, how)
}

module.exports = { JwtSvidResolver }
