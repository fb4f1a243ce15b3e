'use strict'
/** The keys of an OIDC provider: given, or fetched and kept. */

const { invalidArgument, reason, shown } = require('../native/errors')
const { native } = require('../native/load')
const { Backoff } = require('../internal/backoff')
const { checkTimeout } = require('../internal/options')
const encoded = require('../spiffe/encoded')
const { answer } = require('../native/answer')
const { checkUrl, getDocument, unavailable } = require('./https-document')

/** Keys are fetched anew when they are this old, milliseconds. */
const FRESH = 600_000
/**
 * Keys that cannot be fetched anew are believed for this long: a provider may be away for a while, a key not for ever.
 */
const STALE = 3_600_000
/** An unknown key ID causes a fetch at most this often: a caller can invent one. */
const COOLDOWN = 30_000
/** After a failure the first pause; it doubles up to the one above. */
const FIRST_PAUSE = 1000
const JWKS_LIMIT = 512 * 1024
const DISCOVERY_LIMIT = 64 * 1024

/** @typedef {import('../../types/native').OidcKeys} Keys */

/** Keys that were given. */
class GivenKeys {
  #keys

  /** @param {unknown} jwks */
  constructor(jwks) {
    const json = typeof jwks === 'object' && jwks !== null && !ArrayBuffer.isView(jwks) ? JSON.stringify(jwks) : jwks
    this.#keys = /** @type {Keys} */ (answer(native.OidcKeys.parse(encoded.text(json, 'options.jwks'))))
  }

  async current() {
    return this.#keys
  }

  async newer() {
    return this.#keys
  }
}

/** Keys that are fetched, and fetched again. */
class FetchedKeys {
  #issuer
  #jwksUri
  #how
  /** @type {Keys | undefined} */
  #keys
  #fetchedAt = -Infinity
  #notBefore = -Infinity
  #backoff = new Backoff(FIRST_PAUSE, COOLDOWN)
  /** @type {unknown} */
  #failure
  /** @type {Promise<void> | undefined} */
  #fetching

  /**
   * @param {string} issuer
   * @param {{ jwksUri?: unknown, ca?: unknown, headers?: unknown, timeout?: unknown }} options
   */
  constructor(issuer, { jwksUri, ca, headers, timeout = 5000 }) {
    this.#issuer = issuer
    this.#jwksUri = jwksUri === undefined ? undefined : checkUrl(jwksUri, 'options.jwksUri')
    if (jwksUri === undefined) checkUrl(issuer, 'options.issuer')
    if (headers !== undefined && typeof headers !== 'function' && (typeof headers !== 'object' || headers === null))
      throw invalidArgument(`options.headers: expected an object or a function, got ${shown(headers)}`)
    this.#how = { ca, headers, timeout: checkTimeout(timeout, 'options.fetchTimeout') ?? 5000 }
  }

  /** The current keys. @returns {Promise<Keys>} */
  async current() {
    if (performance.now() - this.#fetchedAt < FRESH) return /** @type {Keys} */ (this.#keys)
    await this.#fetch()
    if (this.#keys === undefined || performance.now() - this.#fetchedAt >= STALE) throw this.#failure
    return this.#keys
  }

  /**
   * Keys that are newer than those a token's key was not among, if it is time to ask for some.
   * @param {Keys} known
   */
  async newer(known) {
    if (this.#keys === known) await this.#fetch()
    return /** @type {Keys} */ (this.#keys)
  }

  /** All callers that need keys wait for one request. Its failure is not an error yet: the present keys may do. */
  async #fetch() {
    if (this.#fetching === undefined) {
      if (performance.now() < this.#notBefore) return
      this.#fetching = this.#load().finally(() => {
        this.#fetching = undefined
      })
    }
    await this.#fetching
  }

  async #load() {
    try {
      const url = this.#jwksUri ?? (await this.#discover())
      const json = await getDocument(url, { ...(await this.#request(url)), limit: JWKS_LIMIT })
      try {
        this.#keys = /** @type {Keys} */ (answer(native.OidcKeys.parse(json)))
      } catch (error) {
        throw unavailable(url, reason(error), error)
      }
      this.#fetchedAt = performance.now()
      this.#notBefore = this.#fetchedAt + COOLDOWN
      this.#backoff.reset()
    } catch (error) {
      this.#failure = error
      this.#notBefore = performance.now() + this.#backoff.next()
    }
  }

  /** OpenID Connect Discovery 1.0, 4: where the provider says its keys are. */
  async #discover() {
    const url = new URL(`${this.#issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)
    const json = await getDocument(url, { ...(await this.#request(url)), limit: DISCOVERY_LIMIT })
    let document
    try {
      document = JSON.parse(json.toString('utf8'))
    } catch (error) {
      throw unavailable(url, 'the configuration is not JSON', error)
    }
    // 4.3: it must be this provider's own.
    if (document?.issuer !== this.#issuer) throw unavailable(url, 'the configuration is that of another issuer')
    try {
      return checkUrl(document.jwks_uri, 'jwks_uri')
    } catch (error) {
      throw unavailable(url, reason(error), error)
    }
  }

  /** @param {URL} url */
  async #request(url) {
    const { ca, headers, timeout } = this.#how
    // Headers for the provider are not sent to hosts that it points to.
    const own = url.origin === (this.#jwksUri ?? new URL(this.#issuer)).origin
    const sent = own && headers !== undefined ? await (typeof headers === 'function' ? headers() : headers) : undefined
    return { ca, timeout, headers: /** @type {Record<string, string> | undefined} */ (sent) }
  }
}

module.exports = { FetchedKeys, GivenKeys }
