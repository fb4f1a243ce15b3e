'use strict'
/** Bundles from a Workload API: all callers share the same object, so it cannot be changed. */

const { invalidArgument } = require('../../native/errors')
const { BundleSet } = require('../bundle-set')

class WorkloadBundles extends BundleSet {
  #message

  /** @param {import('../../../types/native').X509Context} message */
  constructor(message) {
    super(message.bundles())
    this.#message = message
  }

  /** @returns {readonly Buffer[]} */
  get crls() {
    return Object.freeze(this.#message.crls())
  }

  /** @returns {readonly { what: string, reason: string, message: string }[]} */
  get ignored() {
    return ignoredBy(this.#message)
  }

  /** @override @returns {never} */
  add() {
    throw unchangeable()
  }

  /** @override @returns {never} */
  remove() {
    throw unchangeable()
  }

  /** @override @returns {never} */
  removeX509() {
    throw unchangeable()
  }

  /** @override @returns {never} */
  removeJwt() {
    throw unchangeable()
  }
}

function unchangeable() {
  return invalidArgument('these bundles are what the Workload API said, and shared: change a clone() of them')
}

/** @param {import('../../../types/native').X509Context} message */
function ignoredBy(message) {
  return /** @type {readonly { what: string, reason: string, message: string }[]} */ (
    Object.freeze(JSON.parse(message.ignored()).map(Object.freeze))
  )
}

module.exports = { WorkloadBundles, ignoredBy }
