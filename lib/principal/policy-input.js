'use strict'
/** Principals as policy engines take them. */

const { invalidArgument, shown } = require('../native/errors')
const lossless = require('../internal/lossless-json')
const { Principal } = require('./principal')

const I64 = 2n ** 63n

/** @param {any} principal */
function check(principal) {
  if (!Principal.is(principal))
    throw invalidArgument(`principal: expected a HumanPrincipal or a WorkloadPrincipal, got ${shown(principal)}`)
  return /** @type {import('./resolver').Principal} */ (principal)
}

/**
 * The fields of a principal under the names they have on the wire, the issuer by its name.
 * @param {import('./resolver').Principal} principal
 * @returns {Record<string, string>}
 */
function fieldsOf(principal) {
  if (principal.kind === 'human') {
    const { userId, tenantId, sessionId } = principal
    return { user_id: userId, tenant_id: tenantId, ...(sessionId === undefined ? {} : { session_id: sessionId }) }
  }
  const { workloadId, trustDomain, issuer, tenantId, tenantSlug, serviceName } = principal
  return {
    workload_id: workloadId,
    trust_domain: trustDomain,
    issuer: String(issuer),
    tenant_id: tenantId,
    tenant_slug: tenantSlug,
    service_name: serviceName
  }
}

/**
 * @param {unknown} value
 * @returns {any}
 */
function cedarValue(value) {
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'bigint' && value >= -I64 && value < I64)
    return lossless.forJSON(value, 'strings for such attributes')
  if (Number.isSafeInteger(value)) return /** @type {number} */ (value)
  return lossless.write(value, 'attributes')
}

/**
 * @param {unknown} given
 * @returns {import('../../types/principal').CedarEntity}
 */
function toCedarEntity(given) {
  const principal = check(given)
  /** @type {Record<string, any>} */
  const attrs = Object.create(null)
  for (const [name, value] of Object.entries(principal.attributes)) attrs[name] = cedarValue(value)
  // Verified fields overwrite attributes of the same name.
  Object.assign(attrs, fieldsOf(principal))
  return {
    uid: { type: principal.kind === 'human' ? 'axess::Human' : 'axess::Workload', id: principal.toString() },
    attrs,
    parents: []
  }
}

/** @param {unknown} given */
function toAttributeMap(given) {
  const principal = check(given)
  return {
    kind: principal.kind,
    ...fieldsOf(principal),
    attributes: lossless.forJSON(principal.attributes, 'principal.toWire()')
  }
}

module.exports = { toAttributeMap, toCedarEntity }
