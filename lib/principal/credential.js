'use strict'
/** The base of resolvers that judge credentials: of their own, of others, of requests. */

const { notAuthenticated } = require('./failure')
const { PrincipalResolver, RESOLVE } = require('./resolver')

/** What a resolver makes of a credential. */
const JUDGE = Symbol('judge')
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
    return await this.#judged(typeof given === 'function' ? await given() : given)
  }

  /**
   * The same rules for another credential.
   * @param {any} credential
   * @returns {Once<Kind>}
   */
  for(credential) {
    return new Once(() => this.#judged(credential))
  }

  /**
   * The same rules for what a request carries.
   * @param {any} req
   * @returns {Once<Kind>}
   */
  forRequest(req) {
    return new Once(async () => await this.#judged(await this[FIND](req)))
  }

  /**
   * @param {any} credential
   * @returns {Promise<Kind>}
   */
  async #judged(credential) {
    if (credential === undefined || credential === null)
      throw notAuthenticated('no_credential', 'there is no credential')
    return await this[JUDGE](credential)
  }

  /**
   * @param {any} credential
   * @returns {Promise<Kind>}
   */
  [JUDGE](credential) {
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
 * One credential, judged when it is asked for.
 * @template {import('./resolver').Principal} [Kind=import('./resolver').WorkloadPrincipal]
 * @extends {PrincipalResolver<Kind>}
 */
class Once extends PrincipalResolver {
  #judge

  /** @param {() => Promise<Kind>} judge */
  constructor(judge) {
    super()
    this.#judge = judge
  }

  async [RESOLVE]() {
    return await this.#judge()
  }
}

module.exports = { CredentialResolver, FIND, JUDGE, Once }
