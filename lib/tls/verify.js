'use strict'
/** Verifies the certificates of a TLS peer, as node:tls has them: the legacy objects of `getPeerCertificate`. */

const { RecentMap } = require('../internal/recent-map')
const { CountersignError, reason } = require('../native/errors')
const { verifyX509Svid } = require('../spiffe/verify')

/** @typedef {import('node:tls').PeerCertificate} PeerCertificate */
/** @typedef {import('node:tls').DetailedPeerCertificate} DetailedPeerCertificate */
/** @typedef {import('../../types/spiffe').VerifiedX509Svid} VerifiedX509Svid */

/**
 * The result of a verification: the SVID of an authorized peer, or why it is refused.
 * @typedef {{ svid: VerifiedX509Svid, chain: readonly Uint8Array[], error?: undefined }
 *   | { error: Error & { code: string, rule?: string }, svid?: undefined }} Verification
 */

/** As many as the core looks at. */
const MAX_CHAIN = 16

/**
 * The issuers that came with a leaf and led to an authority. Reading a whole chain from node:tls costs more than
 * verifying it: the chain is verified again each time, only not read again.
 */
const MAX_KNOWN = 1024
/** @type {InstanceType<typeof RecentMap<string, readonly Uint8Array[]>>} */
const known = new RecentMap(MAX_KNOWN)

/** The rules a leaf without its issuers breaks: the second where one of them has the name of an authority. */
const INCOMPLETE = new Set(['unknown_issuer', 'invalid_signature'])
/** The rules about names, whatever the chain. */
const OF_NAMES = new Set(['not_authorized', 'authorizer_failed'])

/**
 * @param {PeerCertificate} certificate the leaf, of which only the bytes count
 * @param {() => DetailedPeerCertificate} whole the leaf with its issuers
 * @param {import('../../types/tls').TlsSourceContext} context
 * @param {import('../spiffe/authorizer').Authorizer} authorizer
 * @param {'serverAuth' | 'clientAuth'} usage
 * @returns {Verification}
 */
function verifyPeer(certificate, whole, context, authorizer, usage) {
  const leaf = certificate.raw
  const { fingerprint256 } = certificate
  const issuers = known.get(fingerprint256)
  const first = verifyChain(issuers ? [leaf, ...issuers] : [leaf], context, authorizer, usage)
  if (!first.error) return first
  const rule = /** @type {string} */ (first.error.rule)
  // What is remembered may be out of date: the peer may show other issuers by now.
  if (issuers ? OF_NAMES.has(rule) : !INCOMPLETE.has(rule)) return first
  const chain = chainOf(whole())
  const second = verifyChain(chain, context, authorizer, usage)
  if (!second.error && fingerprint256) known.set(fingerprint256, chain.slice(1))
  return second
}

/**
 * @param {readonly Uint8Array[]} chain
 * @param {import('../../types/tls').TlsSourceContext} context
 * @param {any} authorizer
 * @param {'serverAuth' | 'clientAuth'} usage
 * @param {Date} [now]
 * @returns {Verification}
 */
function verifyChain(chain, context, authorizer, usage, now) {
  try {
    return {
      svid: verifyX509Svid(/** @type {Uint8Array[]} */ (chain), context.bundles, {
        authorize: authorizer,
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

module.exports = { verifyPeer, verifyChain, refusal, chainOf }
