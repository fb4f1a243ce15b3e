'use strict'
/** From a SPIFFE ID that was proven to a principal. */

const { CountersignError, invalidArgument, shown } = require('../native/errors')
const { ownOptions } = require('../internal/options')
const { SpiffeId } = require('../spiffe/id')
const { trustDomainMismatch, WorkloadPrincipal } = require('./workload')
const { TrustDomain } = require('./trust-domain')
const { WorkloadId } = require('./workload-id')

/** @typedef {import('../../types/spiffe').SpiffeId} Id */
/**
 * @typedef {object} Parts
 * @property {string} workloadId
 * @property {string} trustDomain
 * @property {string} serviceName
 * @property {string} tenantSlug
 * @property {object | undefined} attributes
 */

const OPTIONS = ['issuer', 'tenantId', 'trustDomain', 'split', 'attributes']

/**
 * The path as it must be: a service, and its tenant.
 * @param {Id} id
 */
function serviceAndTenant(id) {
  const { segments } = id
  if (segments.length === 2) return { serviceName: segments[0], tenantSlug: segments[1] }
  throw new CountersignError(
    'ERR_INVALID_SPIFFE_ID',
    `invalid SPIFFE identifier: the path of ${id.uri} is not /service/tenant: say how to split it (options.split)`,
    { reason: 'wrong_path_shape' }
  )
}

/**
 * @param {unknown} split
 * @returns {(id: Id) => { serviceName: string, tenantSlug: string, attributes?: object }}
 */
function checkSplit(split) {
  if (split === undefined) return serviceAndTenant
  if (typeof split !== 'function') throw invalidArgument(`options.split: expected a function, got ${shown(split)}`)
  return /** @type {any} */ (split)
}

/**
 * What a proven ID says of its workload, when it lives where it must.
 * @param {unknown} spiffeId
 * @param {string | undefined} trustDomain
 * @param {(id: Id) => { serviceName: string, tenantSlug: string, attributes?: object }} split
 * @returns {Parts}
 */
function partsOf(spiffeId, trustDomain, split) {
  const id = SpiffeId.from(spiffeId, 'spiffeId')
  const workloadId = WorkloadId.parse(id)
  const actual = WorkloadId.trustDomain(workloadId)
  if (trustDomain !== undefined && actual !== trustDomain) throw trustDomainMismatch(workloadId, trustDomain)
  const parts = split(id)
  if (typeof parts !== 'object' || parts === null)
    throw invalidArgument(`options.split: expected it to return an object, got ${shown(parts)}`)
  const { serviceName, tenantSlug, attributes } = /** @type {any} */ ({ __proto__: null, ...parts })
  for (const [name, value] of Object.entries({ serviceName, tenantSlug })) {
    if (typeof value !== 'string')
      throw invalidArgument(`options.split: expected ${name} to be a string, got ${shown(value)}`)
  }
  return { workloadId, trustDomain: actual, serviceName, tenantSlug, attributes }
}

/**
 * @param {unknown} spiffeId
 * @param {import('../../types/principal').PrincipalOfOptions} options
 */
function principalOf(spiffeId, options) {
  const { issuer, tenantId, trustDomain, split, attributes } = ownOptions(options, OPTIONS, 'options')
  const pinned = trustDomain === undefined ? undefined : TrustDomain.parse(trustDomain)
  const parts = partsOf(spiffeId, pinned, checkSplit(split))
  return new WorkloadPrincipal({ ...parts, issuer, tenantId, attributes: { ...parts.attributes, ...attributes } })
}

module.exports = { checkSplit, partsOf, principalOf }
