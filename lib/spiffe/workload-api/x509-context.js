'use strict'
/** SVIDs and bundles that were told together. */

const { X509Svid } = require('../x509-svid')

// Four kinds of bundles come with it: a program that only shows its own SVID does without.
const bundles = () => require('./bundles')

const inspect = Symbol.for('nodejs.util.inspect.custom')

/** @typedef {import('../../../types/spiffe').X509Svid} Svid */

/** What one message message, shared by all who look at it. Everything is made when first asked for. */
class Message {
  #message
  #labels
  /** @type {(Svid | undefined)[]} */
  #made = []
  /** @type {readonly Svid[] | undefined} */
  #all
  /** @type {InstanceType<typeof import('./bundles').WorkloadBundles> | undefined} */
  #bundles

  /** @param {import('../../../types/native').X509Context} message */
  constructor(message) {
    this.#message = message
    this.#labels = /** @type {[string, string | null][]} */ (JSON.parse(message.labels()))
  }

  /** Names and hints, without making the SVIDs: a message may hold a thousand. */
  get labels() {
    return this.#labels
  }

  /** @param {number} index */
  svid(index) {
    return (this.#made[index] ??= new X509Svid(
      /** @type {import('../../../types/native').X509Svid} */ (this.#message.svid(index))
    ))
  }

  get svids() {
    return (this.#all ??= Object.freeze(this.#labels.map((_, index) => this.svid(index))))
  }

  get bundles() {
    return (this.#bundles ??= new (bundles().WorkloadBundles)(this.#message))
  }

  get ignored() {
    return bundles().ignoredBy(this.#message)
  }
}

/** One revision of what a workload is and whom it trusts. */
class X509Context {
  #message

  /**
   * @param {Message} message
   * @param {Svid} svid the picked one
   * @param {number} revision
   */
  constructor(message, svid, revision) {
    this.#message = message
    this.revision = revision
    this.svid = svid
    Object.freeze(this)
  }

  get svids() {
    return this.#message.svids
  }

  get bundles() {
    return this.#message.bundles
  }

  get crls() {
    return this.#message.bundles.crls
  }

  get ignored() {
    return this.#message.ignored
  }

  toJSON() {
    return { revision: this.revision, svid: this.svid, svids: this.svids, trustDomains: this.bundles.trustDomains }
  }

  /**
   * @param {number} _depth
   * @param {import('node:util').InspectOptions} options
   * @param {typeof import('node:util').inspect} show
   */
  [inspect](_depth, options, show) {
    return `X509Context ${show(this.toJSON(), options)}`
  }
}

module.exports = { Message, X509Context }
