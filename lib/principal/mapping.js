'use strict'
/** From what a mapper makes of a proof to a principal. */

const { invalidArgument, shown } = require('../native/errors')
const { HumanPrincipal } = require('./human')
const { WorkloadPrincipal } = require('./workload')

const WORKLOAD = ['workloadId', 'serviceName', 'tenantSlug', 'attributes']
const HUMAN = ['userId', 'sessionId', 'tenantSlug', 'attributes']

/**
 * @param {unknown} mapped
 * @param {readonly string[]} known
 * @returns {Record<string, any>}
 */
function check(mapped, known) {
  if (typeof mapped !== 'object' || mapped === null || Array.isArray(mapped))
    throw invalidArgument(`options.map: expected it to return an object, got ${shown(mapped)}`)
  const fields = { __proto__: null, ...mapped }
  for (const name of Object.keys(fields)) {
    if (!known.includes(name))
      throw invalidArgument(
        `options.map: it returned ${JSON.stringify(name)}, which is not known (known: ${known.join(', ')})`
      )
  }
  return fields
}

/**
 * @typedef {object} How
 * @property {string} trustDomain
 * @property {import('./tenant').TenantRule} tenant
 * @property {any} issuer
 * @property {Record<string, unknown>} [attributes] those that are there unless the mapper names others
 */

/**
 * A workload.
 * @param {unknown} mapped
 * @param {How} how
 */
async function workloadOf(mapped, { trustDomain, tenant, issuer, attributes: standard = {} }) {
  const { workloadId, serviceName, tenantSlug, attributes = standard } = check(mapped, WORKLOAD)
  for (const [name, value] of Object.entries({ serviceName, tenantSlug })) {
    if (typeof value !== 'string')
      throw invalidArgument(`options.map: expected ${name} to be a string, got ${shown(value)}`)
  }
  return new WorkloadPrincipal({
    workloadId,
    trustDomain,
    issuer,
    tenantSlug,
    serviceName,
    attributes,
    tenantId: await tenant(tenantSlug)
  })
}

/**
 * A workload, or a human when there is a `userId`.
 * @param {unknown} mapped
 * @param {How} how
 */
async function principalOfMapping(mapped, how) {
  if (typeof mapped !== 'object' || mapped === null || !Object.hasOwn(mapped, 'userId'))
    return await workloadOf(mapped, how)
  const { userId, sessionId, tenantSlug, attributes } = check(mapped, HUMAN)
  return new HumanPrincipal({ userId, sessionId, attributes, tenantId: await how.tenant(tenantSlug) })
}

module.exports = { principalOfMapping, workloadOf }
