'use strict'
/** Services, batch jobs, agents, CI runs: everything that authenticates without a person. */

const { CountersignError, invalidArgument, shown } = require('../native/errors')
const lossless = require('../internal/lossless-json')
const { PrincipalDocument, Read, checkFields, compose } = require('./document')
const { TenantId } = require('./id')
const { Issuer, knownIssuer } = require('./issuer')
const { TrustDomain } = require('./trust-domain')
const { WorkloadId } = require('./workload-id')

const FIELDS = ['workloadId', 'trustDomain', 'issuer', 'tenantId', 'tenantSlug', 'serviceName', 'attributes']

/** A service, a batch job, an agent, a CI run. */
class WorkloadPrincipal extends PrincipalDocument {
  /** @param {unknown} fields */
  constructor(fields) {
    const { text, members } = fields instanceof Read ? fields : composed(fields)
    super(text)
    this.kind = /** @type {const} */ ('workload')
    this.workloadId = members.workload_id
    this.trustDomain = members.trust_domain
    this.issuer = knownIssuer(members.issuer)
    this.tenantId = members.tenant_id
    this.tenantSlug = members.tenant_slug
    this.serviceName = members.service_name
    this.attributes = members.attributes
    Object.freeze(this)
  }

  toJSON() {
    const { kind, workloadId, trustDomain, issuer, tenantId, tenantSlug, serviceName, attributes } = this
    return {
      kind,
      workload_id: workloadId,
      trust_domain: trustDomain,
      issuer: { ...issuer },
      tenant_id: tenantId,
      tenant_slug: tenantSlug,
      service_name: serviceName,
      attributes: lossless.forJSON(attributes, 'principal.toWire()')
    }
  }

  /** The ID. @override */
  toString() {
    return this.workloadId
  }
}

/** @param {unknown} fields */
function composed(fields) {
  const { workloadId, trustDomain, issuer, tenantId, tenantSlug, serviceName, attributes } = checkFields(
    fields,
    FIELDS,
    'workload'
  )
  for (const [name, value] of Object.entries({ tenantSlug, serviceName })) {
    if (typeof value !== 'string') throw invalidArgument(`fields.${name}: expected a string, got ${shown(value)}`)
  }
  if (!Issuer.is(issuer)) throw invalidArgument(`fields.issuer: expected an Issuer, got ${shown(issuer)}`)
  const id =
    workloadId === undefined ? WorkloadId.build(trustDomain, serviceName, tenantSlug) : WorkloadId.parse(workloadId)
  const domain = WorkloadId.trustDomain(id)
  // A document that says two things is read as it is; here is no reason to make one.
  if (trustDomain !== undefined && TrustDomain.parse(trustDomain) !== domain) throw trustDomainMismatch(id, trustDomain)
  return compose(
    {
      kind: 'workload',
      workload_id: id,
      trust_domain: domain,
      issuer: { ...issuer },
      tenant_id: TenantId.parse(tenantId),
      tenant_slug: tenantSlug,
      service_name: serviceName,
      attributes
    },
    WorkloadPrincipal
  )
}

/**
 * @param {string} id
 * @param {unknown} expected
 */
function trustDomainMismatch(id, expected) {
  return new CountersignError(
    'ERR_INVALID_SPIFFE_ID',
    `invalid SPIFFE identifier: trust domain mismatch: ${id} is not in ${expected}`,
    { reason: 'trust_domain_mismatch' }
  )
}

module.exports = { WorkloadPrincipal, trustDomainMismatch }
