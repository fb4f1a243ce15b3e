'use strict'
/**
 * From a revision of a source to what node:tls takes. What is built is shared by everything in the process that wants
 * the same: a rotation costs one context, not one for each server and client.
 */

const { randomBytes } = require('node:crypto')
const tls = require('node:tls')
const { invalidArgument, shown } = require('../native/errors')
const { SECURE_OPTIONS } = require('./settings')

/** @typedef {import('../../types/tls').TlsSourceContext} TlsSourceContext */
/** @typedef {{ cert: string | Buffer, key: string | Buffer }} Shown a certificate chain and its key, as PEM */

/**
 * What a secure context is for.
 * @typedef {object} Plan
 * @property {'server' | 'client'} side
 * @property {Readonly<import('../../types/tls').TlsSettings>} settings
 * @property {ReadonlySet<string> | undefined} domains the trust domains whose authorities count; `undefined`: all
 * @property {boolean} shows whether it shows a certificate
 * @property {(() => Shown) | undefined} certificate the one to show instead of the SVID
 * @property {'spiffe' | 'web' | 'nobody'} trusts whose certificates are accepted by node:tls
 * @property {readonly (string | Buffer)[] | undefined} [webRoots] the roots of `web`; those of the runtime when not
 *   given
 */

const END = '-----END CERTIFICATE-----\n'

/** @type {WeakMap<object, Map<string, tls.SecureContext>>} */
const built = new WeakMap()
/** @type {WeakMap<Plan, string>} */
const keys = new WeakMap()
let plans = 0

/** @param {Plan} plan */
function keyOf(plan) {
  let key = keys.get(plan)
  if (key === undefined) {
    const { side, settings, domains, shows, certificate, trusts, webRoots } = plan
    // A context with material of the caller's own is not shared.
    const own = certificate || webRoots ? ++plans : 0
    key = JSON.stringify([side, settings, domains ? [...domains].sort() : null, shows, trusts, own])
    keys.set(plan, key)
  }
  return key
}

/**
 * The secure context for one revision of a source.
 * @param {Plan} plan
 * @param {TlsSourceContext} context
 * @returns {tls.SecureContext}
 */
function secureContext(plan, context) {
  let known = built.get(context)
  if (!known) built.set(context, (known = new Map()))
  const key = keyOf(plan)
  let made = known.get(key)
  if (!made) known.set(key, (made = tls.createSecureContext(contextOptions(plan, context))))
  return made
}

/**
 * All options of it: one that is left out when a context is replaced gets the default of the runtime, and the default
 * of `ca` is the public web.
 * @param {Plan} plan
 * @param {TlsSourceContext} context
 * @returns {tls.SecureContextOptions}
 */
function contextOptions(plan, context) {
  const { settings, domains, shows, certificate, trusts, webRoots } = plan
  /** @type {tls.SecureContextOptions & { allowPartialTrustChain?: boolean }} */
  const options = { ...settings, secureOptions: SECURE_OPTIONS, sessionIdContext: sessionIdContext() }
  if (trusts === 'spiffe') {
    options.ca = authorities(context.bundles, domains)
    // Every authority of a bundle is an anchor, self-signed or not.
    options.allowPartialTrustChain = true
  } else if (trusts === 'nobody') {
    options.ca = []
  } else if (webRoots) {
    options.ca = [...webRoots]
  }
  if (certificate) {
    Object.assign(options, shownBy(certificate))
  } else if (shows) {
    options.cert = context.svid.chainPem()
    options.key = context.svid.keyPem()
  }
  return options
}

/** @param {() => Shown} certificate */
function shownBy(certificate) {
  const { cert, key } = certificate() ?? {}
  for (const [name, value] of Object.entries({ cert, key })) {
    if (typeof value !== 'string' && !Buffer.isBuffer(value))
      throw invalidArgument(`options.certificate.${name}: expected PEM, got ${shown(value)}`)
  }
  return { cert, key }
}

/**
 * Options that accept no peer and show no certificate: for a source without a usable identity. A client keeps the roots
 * it had, so that the handshake gets far enough to report the reason.
 * @param {Plan} plan
 * @param {TlsSourceContext['bundles']} [bundles] those it had
 */
function sealedOptions(plan, bundles) {
  const trusts = bundles && plan.trusts === 'spiffe' ? plan.trusts : 'nobody'
  return contextOptions({ ...plan, shows: false, certificate: undefined, trusts }, /** @type {any} */ ({ bundles }))
}

/**
 * One certificate a piece: of a text that holds many, OpenSSL drops whatever follows the first it cannot read.
 * @param {import('../../index').BundleSet} bundles
 * @param {ReadonlySet<string> | undefined} domains
 * @returns {string[]}
 */
function authorities(bundles, domains) {
  const names = bundles.trustDomains.map((one) => one.name).filter((name) => !domains || domains.has(name))
  return names.flatMap((name) => {
    return (
      bundles
        .x509Bundle(name)
        ?.toPem()
        .split(END)
        .filter((one) => one.trim() !== '')
        .map((one) => one + END) ?? []
    )
  })
}

const prefix = randomBytes(12).toString('hex')
let serial = 0

/** At most 32 bytes, never the same again in this process. */
function sessionIdContext() {
  return `${prefix}${(++serial % 0xffffffff).toString(36)}`
}

/**
 * The next connection is the only one that a session of it belongs to. OpenSSL then resumes nothing, even if the peer
 * keeps the sessions: a server falls back to a full handshake, a client gives up.
 * @param {any} native what a SecureContext holds
 */
function forgetSessions(native) {
  native?.setSessionIdContext?.(sessionIdContext())
}

module.exports = { secureContext, contextOptions, sealedOptions, forgetSessions }
