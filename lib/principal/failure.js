'use strict'
/** Why a request is not authenticated. */

const { CountersignError } = require('../native/errors')

/** @typedef {import('../../types/principal').NotAuthenticatedReason} Reason */

/**
 * @param {Reason} reason
 * @param {string} message
 * @param {unknown} [cause]
 */
function notAuthenticated(reason, message, cause) {
  return new CountersignError('ERR_NOT_AUTHENTICATED', `not authenticated: ${message}`, { reason, cause })
}

/** The errors of a source that has no keys or bundles to verify with. */
const UNAVAILABLE = [
  'ERR_SOURCE_NOT_READY',
  'ERR_NO_IDENTITY',
  'ERR_IDENTITY_WITHDRAWN',
  'ERR_SVID_EXPIRED',
  'ERR_SVID_NOT_FOUND',
  'ERR_BUNDLE_NOT_FOUND',
  'ERR_CLOSED',
  'ERR_WORKLOAD_API',
  'ERR_CONNECTION_FAILED',
  'ERR_SOCKET_NOT_FOUND',
  'ERR_TIMEOUT',
  'ERR_KEYS_UNAVAILABLE'
]

/**
 * What a verification threw: a refusal means not authenticated; what is wrong with its options, or with the
 * program, stays what it is.
 * @param {unknown} thrown
 * @param {readonly string[]} refusals the codes that mean a refusal
 */
function refused(thrown, refusals) {
  if (!CountersignError.is(thrown)) return thrown
  const { code, message } = /** @type {InstanceType<typeof CountersignError>} */ (thrown)
  if (!refusals.includes(code)) return thrown
  return notAuthenticated(UNAVAILABLE.includes(code) ? 'unavailable' : 'refused', message, thrown)
}

/**
 * @param {string} component
 * @param {string} reason
 * @param {string} message
 */
function invalidComponent(component, reason, message) {
  return new CountersignError('ERR_INVALID_COMPONENT', `invalid workload identifier component: ${message}`, {
    component,
    reason
  })
}

module.exports = { UNAVAILABLE, invalidComponent, notAuthenticated, refused }
