'use strict'
/** Who is at the other end of a connection, or behind a request. */

const { isPromise } = require('node:util').types
const { invalidArgument, shown } = require('../native/errors')

const inspect = Symbol.for('nodejs.util.inspect.custom')

/** An http2 session shows its socket through a proxy, which passes on properties and nothing else. */
const attached = Symbol('countersign.peer')

/** Of sockets, sessions and requests. @type {WeakMap<object, Peer>} */
const peers = new WeakMap()
/**
 * Of client sockets that others made: the options that node:tls keeps with the socket.
 * @type {WeakMap<object, Peer>}
 */
const byOptions = new WeakMap()

/** A peer whose name is verified and authorized. */
class Peer {
  #svid
  #makePrincipal
  /** @type {import('../../types/principal').Principal | undefined} */
  #principal

  /**
   * @param {'x509' | 'jwt'} kind what it was proven with
   * @param {any} svid a VerifiedX509Svid, or a JwtSvid
   * @param {import('../../types/tls').MakePrincipal} [makePrincipal] as the caller has it
   */
  constructor(kind, svid, makePrincipal) {
    this.#svid = svid
    this.#makePrincipal = makePrincipal
    this.kind = kind
    this.spiffeId = svid.spiffeId
    this.expiresAt = svid.expiresAt
    Object.freeze(this)
  }

  get svid() {
    return this.#svid
  }

  get certificates() {
    return this.kind === 'x509' ? this.#svid.certificates : undefined
  }

  /** Made when it is asked for, once. Where the caller's function fails there is an error, and never nothing. */
  get principal() {
    if (this.#makePrincipal && !this.#principal)
      this.#principal = checkPrincipal(this.#makePrincipal(this.spiffeId, /** @type {any} */ (this)))
    return this.#principal
  }

  /** @param {unknown} value */
  static is(value) {
    return typeof value === 'object' && value !== null && #svid in value
  }

  toString() {
    return this.spiffeId.uri
  }

  toJSON() {
    const { kind, spiffeId, expiresAt } = this
    return { kind, spiffeId, expiresAt }
  }

  /**
   * @param {number} _depth
   * @param {import('node:util').InspectOptions} options
   * @param {typeof import('node:util').inspect} show
   */
  [inspect](_depth, options, show) {
    return `Peer ${show(this.toJSON(), options)}`
  }
}

/** @param {unknown} made */
function checkPrincipal(made) {
  const { Principal } = require('../principal/principal')
  if (Principal.is(made)) return /** @type {any} */ (made)
  throw invalidArgument(
    `options.principal: expected it to return a principal, got ` +
      `${isPromise(made) ? 'a promise: whoever must ask somebody needs requirePrincipal' : shown(made)}`
  )
}

/**
 * @param {object} target
 * @param {Peer} peer
 */
function setPeer(target, peer) {
  peers.set(target, peer)
  Object.defineProperty(target, attached, { value: peer, configurable: true })
}

/**
 * Code that only has the certificate of the socket can find the peer by it; and it is read only once.
 * @param {import('node:tls').TLSSocket} socket
 * @param {Peer} peer
 */
function setPeerOfCertificate(socket, peer) {
  const read = socket.getPeerCertificate
  const certificate = socket.getPeerCertificate(false)
  setPeer(certificate, peer)
  socket.getPeerCertificate = /** @type {any} */ (
    (/** @type {boolean | undefined} */ detailed) => (detailed ? read.call(socket, true) : certificate)
  )
}

/**
 * @param {object} options
 * @param {Peer} peer
 */
function setPeerByOptions(options, peer) {
  byOptions.set(options, peer)
}

/**
 * @param {any} target
 * @returns {Peer | undefined}
 */
function known(target) {
  if (typeof target !== 'object' || target === null) return undefined
  const peer = peers.get(target)
  if (peer) return peer
  const shownPeer = target[attached]
  if (Peer.is(shownPeer)) return shownPeer
  for (const symbol of Object.getOwnPropertySymbols(target)) {
    const value = target[symbol]
    const found = typeof value === 'object' && value !== null ? byOptions.get(value) : undefined
    if (found) return found
  }
  return undefined
}

/**
 * Where a connection is found from what stands on it. What was closed meanwhile may throw.
 * @type {((target: any) => unknown)[]}
 */
const WAYS = [
  (target) => target,
  (target) => target.raw,
  (target) => target.socket,
  (target) => target.session,
  (target) => target.session?.socket,
  (target) => target.stream?.session,
  (target) => target.stream?.session?.socket,
  (target) => target.raw?.socket,
  (target) => target.raw?.stream?.session,
  (target) => target.raw?.stream?.session?.socket,
  // A call of @grpc/grpc-js, on either side: of its connection it shows the certificate.
  (target) => target.getAuthContext?.()?.sslPeerCertificate
]

/**
 * @param {unknown} target
 * @returns {Peer | undefined}
 */
function peerOf(target) {
  if (typeof target !== 'object' || target === null)
    throw invalidArgument(`target: expected a socket, a request, a session or a stream, got ${shown(target)}`)
  for (const way of WAYS) {
    try {
      const peer = known(way(target))
      if (peer) return peer
    } catch {
      // A session whose socket is gone.
    }
  }
  return undefined
}

module.exports = { Peer, peerOf, setPeer, setPeerByOptions, setPeerOfCertificate }
