'use strict'
/** Judges the certificates of a TLS peer, as node:tls tells them: the legacy objects of `getPeerCertificate`. */

const { CountersignError, reason } = require('../native/errors')
const { verifyX509Svid } = require('../spiffe/verify')

/** @typedef {import('node:tls').PeerCertificate} PeerCertificate */
/** @typedef {import('node:tls').DetailedPeerCertificate} DetailedPeerCertificate */
/** @typedef {import('../../types/spiffe').VerifiedX509Svid} VerifiedX509Svid */

/**
 * What became of a peer: proven and welcome, or why not.
 * @typedef {{ svid: VerifiedX509Svid, chain: readonly Uint8Array[], error?: undefined } | { error: Error & { code: string, rule?: string }, svid?: undefined }} Verdict
 */

/** As many as the core looks at. */
const MAX_CHAIN = 16

/**
 * Reading a whole chain from node:tls costs more than judging it. So it is remembered which certificates came with a leaf
 * and led to an authority; they are judged again each time, only not read again.
 */
const MAX_KNOWN = 1024
/** @type {Map<string, readonly Uint8Array[]>} */
const known = new Map()

/** What is said of a leaf whose issuers are missing: the second where one of them has the name of an authority. */
const INCOMPLETE = new Set(['unknown_issuer', 'invalid_signature'])
/** What is said of a name, whatever the chain. */
const OF_NAMES = new Set(['not_authorized', 'authorizer_failed'])

/**
 * @param {PeerCertificate} certificate the leaf, of which only the bytes count
 * @param {() => DetailedPeerCertificate} whole the leaf with its issuers
 * @param {import('../../types/tls').TlsSourceContext} context
 * @param {import('../spiffe/authorizer').Judge} welcome
 * @param {'serverAuth' | 'clientAuth'} usage
 * @returns {Verdict}
 */
function judge(certificate, whole, context, welcome, usage) {
  const leaf = certificate.raw
  const { fingerprint256 } = certificate
  const issuers = known.get(fingerprint256)
  const first = verdict(issuers ? [leaf, ...issuers] : [leaf], context, welcome, usage)
  if (!first.error) return first
  const rule = /** @type {string} */ (first.error.rule)
  // What is remembered may be out of date: the peer may show other issuers by now.
  if (issuers ? OF_NAMES.has(rule) : !INCOMPLETE.has(rule)) return first
  const chain = chainOf(whole())
  const second = verdict(chain, context, welcome, usage)
  if (!second.error && fingerprint256) remember(fingerprint256, chain.slice(1))
  return second
}

/**
 * @param {readonly Uint8Array[]} chain
 * @param {import('../../types/tls').TlsSourceContext} context
 * @param {any} welcome a judge of names
 * @param {'serverAuth' | 'clientAuth'} usage
 * @param {Date} [now]
 * @returns {Verdict}
 */
function verdict(chain, context, welcome, usage, now) {
  try {
    return {
      svid: verifyX509Svid(/** @type {Uint8Array[]} */ (chain), context.bundles, {
        authorize: welcome,
        usage,
        ...(now && { now })
      }),
      chain
    }
  } catch (error) {
    return { error: refusal(error) }
  }
}

/**
 * Whatever went wrong, as an error of ours: nothing that is thrown here may reach node:tls, where it would leave the
 * connection open.
 * @param {unknown} error
 * @returns {any}
 */
function refusal(error) {
  if (CountersignError.is(error)) return error
  return new CountersignError('ERR_UNTRUSTED_SVID', `the peer could not be judged: ${reason(error)}`, {
    rule: 'judge_failed',
    cause: error
  })
}

/**
 * Leaf first. A root at the end is not the peer's word but ours, put there by node:tls.
 * @param {DetailedPeerCertificate} certificate
 * @returns {Uint8Array[]}
 */
function chainOf(certificate) {
  const chain = [certificate.raw]
  for (let at = certificate.issuerCertificate; at?.raw && chain.length < MAX_CHAIN; at = at.issuerCertificate) {
    if (at.issuerCertificate === at) break
    chain.push(at.raw)
  }
  return chain
}

/**
 * @param {string} fingerprint
 * @param {readonly Uint8Array[]} issuers
 */
function remember(fingerprint, issuers) {
  known.delete(fingerprint)
  known.set(fingerprint, issuers)
  if (known.size > MAX_KNOWN) known.delete(/** @type {string} */ (known.keys().next().value))
}

module.exports = { judge, verdict, refusal, chainOf }
