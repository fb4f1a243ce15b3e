'use strict'
/** Which tenant a workload works for. */

const { CountersignError, invalidArgument, shown } = require('../native/errors')
const { notAuthenticated } = require('./failure')
const { TenantId } = require('./id')

/**
 * @callback TenantRule
 * @param {string | undefined} slug the readable name of the tenant, as the proof has it
 * @param {unknown} [claim] the tenant as a token names it
 * @returns {Promise<string>}
 */

/**
 * A rule of the options `tenantId` (always this one) or `tenantOf` (looked up by the slug). With neither, what a token
 * claims; and whatever the rule, a token that claims another tenant proves nothing.
 * @param {unknown} tenantId
 * @param {unknown} tenantOf
 * @param {{ claims: boolean }} source whether proofs of this kind may name their tenant
 * @returns {TenantRule}
 */
function tenantRule(tenantId, tenantOf, { claims }) {
  if (tenantId !== undefined && tenantOf !== undefined)
    throw invalidArgument('options: give tenantId or tenantOf, not both')
  if (tenantOf !== undefined && typeof tenantOf !== 'function')
    throw invalidArgument(`options.tenantOf: expected a function, got ${shown(tenantOf)}`)
  if (tenantId === undefined && tenantOf === undefined && !claims)
    throw invalidArgument('options: give tenantId, or tenantOf to look it up')
  const fixed = tenantId === undefined ? undefined : TenantId.parse(tenantId)
  return async (slug, claim) => {
    const claimed = claim === undefined ? undefined : claimedTenant(claim)
    const tenant = fixed ?? (tenantOf ? await lookedUp(tenantOf, slug) : claimed)
    if (tenant === undefined) throw notAuthenticated('refused', 'the token names no tenant (tid)')
    if (claimed !== undefined && claimed !== tenant)
      throw notAuthenticated('refused', 'the token names another tenant (tid)')
    return tenant
  }
}

/** @param {unknown} claim */
function claimedTenant(claim) {
  try {
    return TenantId.parse(claim)
  } catch (cause) {
    throw notAuthenticated('refused', 'the tenant that the token names (tid) is no UUID', cause)
  }
}

/**
 * @param {Function} tenantOf
 * @param {string | undefined} slug
 */
async function lookedUp(tenantOf, slug) {
  const found = await tenantOf(slug)
  if (found === undefined || found === null)
    throw notAuthenticated('unknown_tenant', `there is no tenant ${JSON.stringify(slug)}`)
  try {
    return TenantId.parse(found)
  } catch (cause) {
    throw new CountersignError(
      'ERR_INVALID_ARGUMENT',
      `options.tenantOf: it must return a tenant ID or undefined, it returned ${shown(found)}`,
      { cause }
    )
  }
}

module.exports = { tenantRule }
