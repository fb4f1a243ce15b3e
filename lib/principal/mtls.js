'use strict'
/** Principals of the certificates of TLS peers. */

const { isUint8Array } = require('node:util').types
const { invalidArgument, shown } = require('../native/errors')
const { native } = require('../native/load')
const { ownOptions } = require('../internal/options')
const encoded = require('../spiffe/encoded')
const { answer } = require('../native/answer')
const { CredentialResolver, FIND, VERIFY } = require('./credential')
const { UNAVAILABLE, notAuthenticated, refused } = require('./failure')
const { incoming, socketOf } = require('./incoming')
const { Issuer } = require('./issuer')
const { checkCredential } = require('./resolver')
const { checkSplit, partsOf } = require('./spiffe')
const { tenantRule } = require('./tenant')
const { TrustDomain } = require('./trust-domain')
const { WorkloadPrincipal } = require('./workload')

const OPTIONS = ['trustDomain', 'bundles', 'source', 'verified', 'tenantId', 'tenantOf', 'split', 'peer']
const REFUSALS = ['ERR_UNTRUSTED_SVID', ...UNAVAILABLE]

/** @param {unknown} value */
const isPeer = (value) => isUint8Array(value) || (typeof value === 'object' && value !== null)

class MtlsResolver extends CredentialResolver {
  #trustDomain
  #bundles
  #verified
  #tenant
  #split

  /** @param {import('../../types/principal').MtlsResolverOptions} options */
  constructor(options) {
    const {
      trustDomain,
      bundles,
      source,
      verified = false,
      tenantId,
      tenantOf,
      split,
      peer
    } = ownOptions(options ?? null, OPTIONS, 'options')
    super(checkCredential(peer, 'peer', isPeer, 'a TLS socket or certificates'))
    if (typeof verified !== 'boolean')
      throw invalidArgument(`options.verified: expected a boolean, got ${shown(verified)}`)
    if (bundles !== undefined && source !== undefined)
      throw invalidArgument('options: give bundles or a source, not both')
    if (source !== undefined && typeof source?.context !== 'function')
      throw invalidArgument(
        `options.source: expected something with context(), such as an X509Source, got ${shown(source)}`
      )
    this.#trustDomain = TrustDomain.parse(trustDomain)
    this.#bundles = source === undefined ? () => bundles : () => source.context().bundles
    this.#verified = verified
    this.#tenant = tenantRule(tenantId, tenantOf, { claims: false })
    this.#split = checkSplit(split)
    Object.freeze(this)
  }

  /** @param {any} req */
  [FIND](req) {
    return tlsSocket(req)
  }

  /** @param {any} peer */
  async [VERIFY](peer) {
    const parts = partsOf(this.#spiffeId(peer), this.#trustDomain, this.#split)
    const tenantId = await this.#tenant(parts.tenantSlug)
    return new WorkloadPrincipal({ ...parts, issuer: Issuer.mtls, tenantId })
  }

  /** @param {any} peer */
  #spiffeId(peer) {
    try {
      const bundles = this.#bundles()
      const onSocket = typeof peer.getPeerCertificate === 'function'
      if (bundles !== undefined) return onSocket ? verifiedOnSocket(peer, bundles) : verified(peer, bundles)
      // A certificate is public: unless its chain is verified here or by TLS, showing it proves nothing.
      if (onSocket) {
        const leaf = leafOf(peer)
        checkAccepted(peer)
        return readLeaf(leaf)
      }
      if (!this.#verified)
        throw notAuthenticated(
          'refused',
          'nobody judged the certificate: give bundles, or say that TLS did (options.verified)'
        )
      return readLeaf(Array.isArray(peer) ? peer[0] : peer)
    } catch (error) {
      throw refused(error, REFUSALS)
    }
  }
}

/**
 * @param {any} chain
 * @param {any} bundles
 */
function verified(chain, bundles) {
  return require('../spiffe/verify').verifyX509Svid(chain, bundles).spiffeId
}

/**
 * The leaf alone, which is enough where no certificate stands between it and its authority, and cheaper to ask for;
 * else all the peer showed.
 * @param {import('node:tls').TLSSocket} socket
 * @param {any} bundles
 */
function verifiedOnSocket(socket, bundles) {
  try {
    return verified(leafOf(socket), bundles)
  } catch (error) {
    if (/** @type {any} */ (error)?.rule !== 'unknown_issuer') throw error
  }
  /** @type {Buffer[]} */
  const chain = []
  // The last one is its own issuer. Not getPeerX509Certificate: on many releases of Node.js it forgets when asked
  // twice.
  for (
    let one = socket.getPeerCertificate(true);
    one?.raw && !chain.at(-1)?.equals(one.raw) && chain.length < 16;
    one = one.issuerCertificate
  )
    chain.push(one.raw)
  return verified(chain, bundles)
}

/** @param {import('node:tls').TLSSocket} socket */
function leafOf(socket) {
  const { raw } = socket.getPeerCertificate(false) ?? {}
  if (raw === undefined) throw notAuthenticated('no_credential', 'the peer showed no certificate')
  return raw
}

/**
 * Whether TLS itself verified the peer.
 * @param {import('node:tls').TLSSocket} socket
 */
function checkAccepted(socket) {
  if (socket.authorized !== true) {
    throw notAuthenticated(
      'refused',
      `TLS did not accept the peer's certificate (${socket.authorizationError ?? 'it was not asked to'}), and there ` +
        `are no bundles to judge it by`
    )
  }
  // A resumed session shows no certificate, and the old one is not verified again.
  if (socket.isSessionReused?.() === true)
    throw notAuthenticated('refused', 'the TLS session was resumed: give bundles to judge by, or switch resumption off')
}

/** @param {unknown} certificate */
function readLeaf(certificate) {
  const [id, notBefore, notAfter] = JSON.parse(answer(native.x509Leaf(encoded.certificate(certificate, 'certificate'))))
  const now = Date.now()
  // The connection may be older than the certificate is young.
  if (now >= notAfter + 1000 || now < notBefore) throw notAuthenticated('refused', 'the certificate is not valid now')
  return id
}

/** @param {any} req */
function tlsSocket(req) {
  // Over HTTP/2 the request's own socket is a stand-in that refuses some questions.
  const socket = /** @type {any} */ (incoming(req)).stream?.session?.socket ?? socketOf(req)
  return typeof socket.getPeerCertificate === 'function' ? socket : undefined
}

module.exports = { MtlsResolver }
