'use strict'
/** This process's own principal, as the identity-by-PID daemon says. */

const { invalidArgument, shown } = require('../native/errors')
const { ownOptions } = require('../internal/options')
const { IdentityClient } = require('../whoami/client')
const { UNAVAILABLE, notAuthenticated, refused } = require('./failure')
const { Issuer } = require('./issuer')
const { workloadOf } = require('./mapping')
const { PrincipalResolver, RESOLVE } = require('./resolver')
const { tenantRule } = require('./tenant')
const { TrustDomain } = require('./trust-domain')

/** @typedef {import('../../index').Identity} Identity */

const OPTIONS = ['client', 'trustDomain', 'tenantId', 'tenantOf', 'tenantSlug', 'map']
const REFUSALS = [
  'ERR_DAEMON',
  'ERR_UNTRUSTED_SERVER',
  'ERR_IDENTITY_MISMATCH',
  'ERR_MISSING_FIELD',
  'ERR_INVALID_JSON',
  'ERR_RESPONSE_TOO_LARGE',
  'ERR_READ',
  'ERR_WRITE',
  ...UNAVAILABLE
]
const WHOAMI = Issuer.custom('whoami')

class WhoamiResolver extends PrincipalResolver {
  #client
  #trustDomain
  #tenant
  #map

  /** @param {import('../../types/principal').WhoamiResolverOptions} options */
  constructor(options) {
    super()
    const {
      client = new IdentityClient(),
      trustDomain,
      tenantId,
      tenantOf,
      tenantSlug,
      map
    } = ownOptions(options ?? null, OPTIONS, 'options')
    if (typeof client?.getIdentity !== 'function')
      throw invalidArgument(`options.client: expected an IdentityClient, got ${shown(client)}`)
    this.#client = client
    this.#trustDomain = TrustDomain.parse(trustDomain)
    this.#tenant = tenantRule(tenantId, tenantOf, { claims: false })
    if ((map === undefined) === (tenantSlug === undefined))
      throw invalidArgument('options: give tenantSlug, or map to take it from the identity, and not both')
    if (map !== undefined && typeof map !== 'function')
      throw invalidArgument(`options.map: expected a function, got ${shown(map)}`)
    this.#map = map ?? ((/** @type {Identity} */ { identity }) => ({ serviceName: identity, tenantSlug }))
    Object.freeze(this)
  }

  /** @param {AbortSignal | undefined} signal */
  async [RESOLVE](signal) {
    let identity
    try {
      identity = await this.#client.getIdentity(signal === undefined ? {} : { signal })
    } catch (error) {
      throw refused(error, REFUSALS)
    }
    if (identity.identity === '') throw notAuthenticated('refused', 'the daemon gave an identity without a name')
    return await workloadOf(await this.#map(identity), {
      trustDomain: this.#trustDomain,
      tenant: this.#tenant,
      issuer: WHOAMI,
      attributes: attributesOf(identity)
    })
  }
}

/**
 * What the daemon vouches for. Neither the token, nor what the process says about itself.
 * @param {Identity} identity
 */
function attributesOf({ idmUrl, configUrl, runner }) {
  const { hostname, pid, uid, gid } = runner
  const all = {
    config_url: configUrl || undefined,
    gid,
    hostname: hostname || undefined,
    idm_url: idmUrl || undefined,
    pid,
    uid
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}

module.exports = { WhoamiResolver }
