'use strict'
/** Where the own identity and the bundles come from: anything with `context()` and `subscribe()`. */

const { CountersignError, invalidArgument, reason, shown } = require('../native/errors')
const { BundleSet } = require('../spiffe/bundle-set')
const { X509Svid } = require('../spiffe/x509-svid')

/** @typedef {import('../../types/tls').TlsSource} TlsSource */
/** @typedef {import('../../types/tls').TlsSourceContext} TlsSourceContext */

/** When the identity of a context that was looked at expires, in milliseconds. @type {WeakMap<object, number>} */
const expiries = new WeakMap()

/**
 * @param {unknown} source
 * @returns {TlsSource}
 */
function checkSource(source) {
  const { context, subscribe } = /** @type {any} */ (typeof source === 'object' && source !== null ? source : {})
  if (typeof context === 'function' && typeof subscribe === 'function') return /** @type {TlsSource} */ (source)
  throw invalidArgument(
    `source: expected an object with the methods context() and subscribe(), such as an X509Source, got ${shown(source)}`
  )
}

/**
 * What the source holds now. Throws a CountersignError when there is no identity that may be used.
 * @param {TlsSource} source
 * @returns {TlsSourceContext}
 */
function currentContext(source) {
  let context
  try {
    context = source.context()
  } catch (cause) {
    if (CountersignError.is(cause)) throw cause
    throw new CountersignError('ERR_SOURCE_FAILED', `the source failed: ${reason(cause)}`, { cause })
  }
  const expiry = expiries.get(context) ?? look(context)
  if (expiry < Date.now()) {
    const { svid } = context
    throw new CountersignError(
      'ERR_SVID_EXPIRED',
      `the own identity ${svid.spiffeId.uri} has expired at ${svid.expiresAt.toISOString()}`,
      {
        spiffeId: svid.spiffeId.uri,
        expiresAt: svid.expiresAt,
        state: /** @type {any} */ (source).state ?? 'ready'
      }
    )
  }
  return context
}

/** @param {TlsSourceContext} context */
function look(context) {
  if (typeof context !== 'object' || context === null)
    throw invalidArgument(`source.context(): expected an object, it returned ${shown(context)}`)
  const { svid, bundles } = context
  if (X509Svid.handle(svid) === undefined)
    throw invalidArgument(`source.context().svid: expected an X509Svid, got ${shown(svid)}`)
  if (BundleSet.handle(bundles) === undefined)
    throw invalidArgument(`source.context().bundles: expected a BundleSet, got ${shown(bundles)}`)
  // The last second of the validity belongs to it.
  const expiry = svid.expiresAt.getTime() + 999
  expiries.set(context, expiry)
  return expiry
}

module.exports = { checkSource, currentContext }
