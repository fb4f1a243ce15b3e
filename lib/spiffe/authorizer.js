'use strict'
/** Authorizers: which names may talk to us. */

const { isPromise } = require('node:util').types
const { CountersignError, invalidArgument, reason, shown } = require('../native/errors')
const { SpiffeId } = require('./id')
const { TrustDomain } = require('./trust-domain')

/** @typedef {import('../../types/spiffe').SpiffeId} SpiffeId */
/** @typedef {import('../../types/spiffe').TrustDomain} TrustDomain */

const inspect = Symbol.for('nodejs.util.inspect.custom')

/**
 * Decides about names: true or false. A function of the caller inside it that returns anything else, a promise
 * included, or throws, makes it throw: `not` must not turn a failure into an authorization.
 * @typedef {((id: SpiffeId | string) => boolean) & { readonly description: string }} Authorizer
 */

/**
 * The authorizers made here need no wrapping; each with the trust domains outside of which it accepts no name, if there
 * is such a limit.
 * @type {WeakMap<Function, ReadonlySet<string> | undefined>}
 */
const domainsByAuthorizer = new WeakMap()

/**
 * @param {string} description
 * @param {(id: SpiffeId) => boolean} decide
 * @param {Iterable<string>} [domains] no name outside of these is ever accepted
 * @returns {Authorizer}
 */
function makeAuthorizer(description, decide, domains) {
  const made = (/** @type {SpiffeId | string} */ id) => decide(SpiffeId.from(id))
  Object.defineProperties(made, {
    description: { value: description, enumerable: true },
    name: { value: 'authorize' },
    toString: { value: () => description },
    [inspect]: { value: () => `authorize(${description})` }
  })
  domainsByAuthorizer.set(made, domains && new Set(domains))
  return /** @type {any} */ (Object.freeze(made))
}

/** An allow list may hold thousands of names: an error that repeats them all does not help. */
const LISTED = 8

/**
 * @param {string} what
 * @param {readonly string[]} items
 */
function list(what, items) {
  if (items.length === 0) return 'nobody (the list is empty)'
  if (items.length === 1) return items[0]
  const more = items.length > LISTED ? `, and ${items.length - LISTED} more` : ''
  return `${what} ${items.slice(0, LISTED).join(', ')}${more}`
}

/**
 * @param {unknown} values
 * @param {string} name
 * @returns {unknown[]}
 */
function spread(values, name) {
  if (values === null || typeof values !== 'object' || !(Symbol.iterator in values)) {
    throw invalidArgument(`${name}: expected a list, got ${shown(values)}`)
  }
  return Array.from(/** @type {Iterable<unknown>} */ (values))
}

/**
 * @param {string} description
 * @param {(id: SpiffeId) => unknown} accepts
 */
function custom(description, accepts) {
  if (typeof description !== 'string')
    throw invalidArgument(`description: expected a string, got ${shown(description)}`)
  if (typeof accepts !== 'function') throw invalidArgument(`accepts: expected a function, got ${shown(accepts)}`)
  return makeAuthorizer(description, (id) => {
    let verdict
    try {
      verdict = accepts(id)
    } catch (cause) {
      throw failed(id, description, `it threw: ${reason(cause)}`, cause)
    }
    if (verdict === true || verdict === false) return verdict
    // A promise is truthy: taking it for "yes" would authorize every name.
    const promise = isPromise(verdict)
    if (promise) /** @type {Promise<unknown>} */ (verdict).catch(() => {})
    throw failed(
      id,
      description,
      `it must return true or false at once, it returned ${promise ? 'a promise' : typeof verdict}`
    )
  })
}

/**
 * @param {SpiffeId} id
 * @param {string} expected
 * @param {string} why
 * @param {unknown} [cause]
 */
function failed(id, expected, why, cause) {
  return new CountersignError(
    'ERR_UNTRUSTED_SVID',
    `${id.uri} is not authorized, because the function (${expected}) that decides failed: ${why}`,
    {
      rule: 'authorizer_failed',
      spiffeId: id.uri,
      expected,
      cause
    }
  )
}

/**
 * An authorizer made here as it is; a function of the caller wrapped, so that its answer is checked.
 * @param {unknown} value
 * @param {string} name
 * @returns {Authorizer}
 */
function compile(value, name) {
  if (typeof value !== 'function')
    throw invalidArgument(`${name}: expected a function such as authorize.memberOf('example.org'), got ${shown(value)}`)
  if (domainsByAuthorizer.has(value)) return /** @type {Authorizer} */ (value)
  return custom(value.name ? `the function ${value.name}` : 'a function', /** @type {any} */ (value))
}

/**
 * Throws the error of a refused SVID unless the authorizer accepts the name.
 * @param {Authorizer} authorizer
 * @param {SpiffeId} id
 */
function requireAuthorized(authorizer, id) {
  if (authorizer(id) === true) return
  throw new CountersignError('ERR_UNTRUSTED_SVID', `${id.uri} is not authorized: expected ${authorizer.description}`, {
    rule: 'not_authorized',
    spiffeId: id.uri,
    expected: authorizer.description
  })
}

/**
 * The trust domains outside of which an authorizer accepts no name; `undefined` when nothing is known.
 * @param {Function} authorizer
 */
function domainsOf(authorizer) {
  return domainsByAuthorizer.get(authorizer)
}

/**
 * @param {readonly Function[]} authorizers
 * @returns {Iterable<string> | undefined}
 */
function union(authorizers) {
  const all = authorizers.map(domainsOf)
  return all.includes(undefined) ? undefined : all.flatMap((domains) => [...(domains ?? [])])
}

/**
 * @param {readonly Function[]} authorizers
 * @returns {Iterable<string> | undefined}
 */
function intersection(authorizers) {
  const all = authorizers.map(domainsOf).filter((domains) => domains !== undefined)
  return all.length === 0 ? undefined : [...all[0]].filter((domain) => all.every((domains) => domains.has(domain)))
}

const anybody = makeAuthorizer('anybody', () => true)

const authorize = Object.freeze({
  any: () => anybody,

  /** @param {SpiffeId | string} id */
  id: (id) => authorize.oneOf([SpiffeId.from(id)]),

  /** @param {Iterable<SpiffeId | string>} ids */
  oneOf: (ids) => {
    const all = spread(ids, 'ids').map((id, index) => SpiffeId.from(id, `ids[${index}]`))
    const names = new Set(all.map((id) => id.uri))
    return makeAuthorizer(
      list('one of', [...names].sort()),
      (id) => names.has(id.uri),
      all.map((id) => id.trustDomain.name)
    )
  },

  /** @param {TrustDomain | SpiffeId | string} trustDomain */
  memberOf: (trustDomain) => {
    const domain = TrustDomain.from(trustDomain)
    return makeAuthorizer(`a member of ${domain.name}`, (id) => id.memberOf(domain), [domain.name])
  },

  /** @param {SpiffeId | string} prefix */
  idPrefix: (prefix) => {
    const { uri, trustDomain } = SpiffeId.from(prefix, 'prefix')
    // Segment by segment: /shop covers /shop/web, and not /shopkeeper.
    return makeAuthorizer(`${uri} or below`, (id) => id.uri === uri || id.uri.startsWith(`${uri}/`), [trustDomain.name])
  },

  /** @param {Iterable<(id: SpiffeId) => boolean>} authorizers */
  anyOf: (authorizers) => {
    const all = spread(authorizers, 'authorizers').map((one, index) => compile(one, `authorizers[${index}]`))
    return makeAuthorizer(
      list(
        'any of',
        all.map((one) => one.description)
      ),
      (id) => all.some((one) => one(id)),
      union(all)
    )
  },

  /** @param {Iterable<(id: SpiffeId) => boolean>} authorizers */
  allOf: (authorizers) => {
    const all = spread(authorizers, 'authorizers').map((one, index) => compile(one, `authorizers[${index}]`))
    // "All of nothing" is a configuration that got lost, not a decision to accept every name.
    return makeAuthorizer(
      list(
        'all of',
        all.map((one) => one.description)
      ),
      (id) => all.length > 0 && all.every((one) => one(id)),
      intersection(all)
    )
  },

  /** @param {(id: SpiffeId) => boolean} authorizer */
  not: (authorizer) => {
    const other = compile(authorizer, 'authorizer')
    return makeAuthorizer(`not (${other.description})`, (id) => !other(id))
  },

  custom
})

module.exports = { authorize, compile, requireAuthorized, domainsOf, anybody }
