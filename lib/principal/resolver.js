'use strict'
/** The one interface of everything that ends in a principal. */

const { CountersignError, invalidArgument, shown } = require('../native/errors')
const { within } = require('../internal/deadline')
const { checkSignal, checkTimeout, ownOptions } = require('../internal/options')

/** What a resolver does, under a name that users cannot call. */
const RESOLVE = Symbol('resolve')

/** @typedef {InstanceType<typeof import('./human').HumanPrincipal>} HumanPrincipal */
/** @typedef {InstanceType<typeof import('./workload').WorkloadPrincipal>} WorkloadPrincipal */
/** @typedef {HumanPrincipal | WorkloadPrincipal} Principal */

/** @template {Principal} [Kind=WorkloadPrincipal] */
class PrincipalResolver {
  /**
   * @param {{ signal?: AbortSignal, timeout?: number | null }} [options]
   * @returns {Promise<Kind>}
   */
  async resolve(options) {
    const { signal, timeout = null } = ownOptions(options, ['signal', 'timeout'], 'options')
    checkSignal(signal, 'options.signal')
    checkTimeout(timeout, 'options.timeout')
    signal?.throwIfAborted()
    const resolved = this[RESOLVE](signal)
    if (signal === undefined && timeout === null) return await resolved
    const late = () => new CountersignError('ERR_TIMEOUT', `no principal within ${timeout} ms`, { timeout })
    return await within(resolved, { signal, timeout }, late)
  }

  /**
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<Kind>}
   */
  [RESOLVE](signal) {
    throw new Error(`unreachable: ${signal}`)
  }
}

/**
 * A credential as an option, or a function that gives it.
 * @param {unknown} given
 * @param {string} name
 * @param {(value: unknown) => boolean} suits
 * @param {string} expected
 */
function checkCredential(given, name, suits, expected) {
  if (given === undefined || typeof given === 'function' || suits(given)) return given
  throw invalidArgument(`options.${name}: expected ${expected}, or a function that returns it, got ${shown(given)}`)
}

module.exports = { PrincipalResolver, RESOLVE, checkCredential }
