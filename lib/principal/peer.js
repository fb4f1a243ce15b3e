'use strict'
/** Principals of the processes at the other end of a local socket. */

const { descriptorOf } = require('../peer/descriptor')
const { invalidArgument, shown } = require('../native/errors')
const { ownOptions } = require('../internal/options')
const { compilePolicy } = require('../peer/policy')
const { CredentialResolver, FIND, VERIFY } = require('./credential')
const { UNAVAILABLE, notAuthenticated, refused } = require('./failure')
const { socketOf } = require('./incoming')
const { Issuer } = require('./issuer')
const { workloadOf } = require('./mapping')
const { checkCredential } = require('./resolver')
const { tenantRule } = require('./tenant')
const { TrustDomain } = require('./trust-domain')

/** @typedef {import('../../index').PeerProcess} PeerProcess */

const OPTIONS = ['policy', 'trustDomain', 'tenantId', 'tenantOf', 'tenantSlug', 'serviceName', 'map', 'peer']
const REFUSALS = ['ERR_PEER_DENIED', 'ERR_PEER_GONE', 'ERR_PEER_UNREADABLE', 'ERR_UNSUPPORTED_PLATFORM', ...UNAVAILABLE]
const PEER_CRED = Issuer.custom('peer_cred')

class PeerResolver extends CredentialResolver {
  #authorize
  #trustDomain
  #tenant
  #map

  /** @param {import('../../types/principal').PeerResolverOptions} options */
  constructor(options) {
    const { policy, trustDomain, tenantId, tenantOf, tenantSlug, serviceName, map, peer } = ownOptions(
      options ?? null,
      OPTIONS,
      'options'
    )
    super(
      checkCredential(
        peer,
        'peer',
        (value) => typeof value === 'number' || (typeof value === 'object' && value !== null),
        'a socket or a descriptor'
      )
    )
    this.#authorize = compilePolicy(policy, 'options.policy')
    this.#trustDomain = TrustDomain.parse(trustDomain)
    this.#tenant = tenantRule(tenantId, tenantOf, { claims: false })
    if (
      map === undefined
        ? tenantSlug === undefined || serviceName === undefined
        : tenantSlug !== undefined || serviceName !== undefined
    ) {
      throw invalidArgument('options: give serviceName and tenantSlug, or map to take them from the peer, and not both')
    }
    if (map !== undefined && typeof map !== 'function')
      throw invalidArgument(`options.map: expected a function, got ${shown(map)}`)
    this.#map = map ?? (() => ({ serviceName, tenantSlug }))
    Object.freeze(this)
  }

  /** @param {any} req */
  [FIND](req) {
    return socketOf(req)
  }

  /** @param {any} peer */
  async [VERIFY](peer) {
    let process
    try {
      process = this.#authorize(descriptorOf(peer))
    } catch (error) {
      // Over TCP the kernel knows nothing of the peer: another resolver may.
      if (/** @type {any} */ (error)?.code === 'ERR_NOT_A_UNIX_SOCKET')
        throw notAuthenticated('no_credential', 'the connection is not a local one', error)
      throw refused(error, REFUSALS)
    }
    return await workloadOf(await this.#map(process), {
      trustDomain: this.#trustDomain,
      tenant: this.#tenant,
      issuer: PEER_CRED,
      attributes: attributesOf(process)
    })
  }
}

/**
 * What the kernel vouches for.
 * @param {PeerProcess} process
 */
function attributesOf({ exe, gid, pid, uid }) {
  return Object.fromEntries(Object.entries({ exe, gid, pid, uid }).filter(([, value]) => value !== undefined))
}

module.exports = { PeerResolver }
