'use strict'
/** The IDs of workloads, by the rules of principals. */

const { invalidArgument, shown } = require('../native/errors')
const { native } = require('../native/load')
const { ownOptions } = require('../internal/options')
const { SpiffeId } = require('../spiffe/id')
const { answer } = require('../native/answer')
const { TrustDomain } = require('./trust-domain')

const SCHEME = 9

/**
 * @param {unknown} value
 * @param {string} name
 */
function text(value, name) {
  if (typeof value !== 'string') throw invalidArgument(`${name}: expected a string, got ${shown(value)}`)
  return value
}

const WorkloadId = Object.freeze({
  /**
   * @param {unknown} value
   * @param {{ strict?: boolean }} [options]
   */
  parse(value, options) {
    const { strict = false } = ownOptions(options, ['strict'], 'options')
    if (typeof strict !== 'boolean') throw invalidArgument(`options.strict: expected a boolean, got ${shown(strict)}`)
    const id = value instanceof SpiffeId ? value.uri : text(value, 'workloadId')
    return answer(native.workloadId(id, strict), WorkloadId.parse)
  },

  /**
   * @param {unknown} trustDomain
   * @param {string} serviceName
   * @param {string} tenantSlug
   */
  build(trustDomain, serviceName, tenantSlug) {
    const id = native.workloadIdOf(
      TrustDomain.parse(trustDomain),
      text(serviceName, 'serviceName'),
      text(tenantSlug, 'tenantSlug')
    )
    return answer(id, WorkloadId.build)
  },

  /** @param {unknown} value */
  is(value) {
    return typeof value === 'string' && native.workloadId(value, false) === value
  },

  /** @param {unknown} value */
  trustDomain(value) {
    const id = WorkloadId.parse(value)
    const slash = id.indexOf('/', SCHEME)
    return slash < 0 ? id.slice(SCHEME) : id.slice(SCHEME, slash)
  }
})

module.exports = { WorkloadId }
