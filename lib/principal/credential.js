'use strict'
/** The base of resolvers that verify credentials: their own, given ones, those of requests. */

const { notAuthenticated } = require('./failure')
const { PrincipalResolver, RESOLVE } = require('./resolver')

/** What a resolver makes of a credential. */
const VERIFY = Symbol('verify')
/** Where a request carries one. */
const FIND = Symbol('find')

/**
 * @template {import('./resolver').Principal} [Kind=import('./resolver').WorkloadPrincipal]
 * @extends {PrincipalResolver<Kind>}
 */
class CredentialResolver extends PrincipalResolver {
  #given

  /** @param {unknown} given a credential, or a function that gives one */
  constructor(given) {
    super()
    this.#given = given
  }

  async [RESOLVE]() {
    const given = this.#given
    return await this.#verified(typeof given === 'function' ? await given() : given)
  }

  /**
   * The same rules for another credential.
   * @param {any} credential
   * @returns {Once<Kind>}
   */
  for(credential) {
    return new Once(() => this.#verified(credential))
  }

  /**
   * The same rules for what a request carries.
   * @param {any} req
   * @returns {Once<Kind>}
   */
  forRequest(req) {
    return new Once(async () => await this.#verified(await this[FIND](req)))
  }

  /**
   * @param {any} credential
   * @returns {Promise<Kind>}
   */
  async #verified(credential) {
    if (credential === undefined || credential === null)
      throw notAuthenticated('no_credential', 'there is no credential')
    return await this[VERIFY](credential)
  }

  /**
   * @param {any} credential
   * @returns {Promise<Kind>}
   */
  [VERIFY](credential) {
    throw new Error(`unreachable: ${typeof credential}`)
  }

  /**
   * @param {any} req
   * @returns {unknown} undefined when it carries none
   */
  [FIND](req) {
    throw new Error(`unreachable: ${typeof req}`)
  }
}

/**
 * One credential, verified when its principal is asked for.
 * @template {import('./resolver').Principal} [Kind=import('./resolver').WorkloadPrincipal]
 * @extends {PrincipalResolver<Kind>}
 */
class Once extends PrincipalResolver {
  #verify

  /** @param {() => Promise<Kind>} verify */
  constructor(verify) {
    super()
    this.#verify = verify
  }

  async [RESOLVE]() {
    return await this.#verify()
  }
}

module.exports = { CredentialResolver, FIND, VERIFY, Once }
