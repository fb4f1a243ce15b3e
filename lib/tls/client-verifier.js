'use strict'
/**
 * Verifies client certificates before any listener sees application data.
 *
 * The verification runs at 'secure', before node:tls looks at its own verdict: some versions of Node.js forget the
 * intermediate certificates after that (nodejs/node#65579), and of a client that node:tls refuses nothing is left
 * afterwards to report. The one public way to a socket that early is the server's 'keylog' event. The result takes
 * effect at 'secureConnection', ahead of all listeners.
 */

const { CountersignError } = require('../native/errors')
const { verifyPeer, refusal } = require('./verify')
const { Peer, setPeer } = require('./peer')
const { report } = require('./rejection')
const { currentContext } = require('./source')

/** @typedef {import('node:tls').TLSSocket} TLSSocket */

/**
 * The result of a connection's verification: `error` when it is refused, `peer` when a peer is verified. Neither: no
 * client certificate was asked for.
 * @typedef {{
 *   error?: (Error & { code: string, rule?: string }) | undefined,
 *   peer?: InstanceType<typeof Peer>,
 *   chain?: readonly Uint8Array[]
 * }} Outcome
 */

/**
 * @typedef {object} Options
 * @property {'required' | 'optional' | 'none'} clients
 * @property {((rejection: import('../../types/tls').Rejection) => void) | undefined} onReject
 * @property {import('../../types/tls').MakePrincipal | undefined} [principal]
 */

/** What node:tls says when a client has no certificate and must have one. */
const NO_CERTIFICATE = 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE'

class ClientVerifier {
  #source
  #authorizer
  #clients
  #onReject
  #principal
  #closed = false
  /** @type {WeakMap<TLSSocket, Outcome>} */
  #outcomes = new WeakMap()
  /** @type {WeakSet<TLSSocket>} */
  #expected = new WeakSet()

  /**
   * @param {import('../../types/tls').TlsSource} source
   * @param {import('../spiffe/authorizer').Authorizer} authorizer
   * @param {Options} options
   */
  constructor(source, authorizer, { clients, onReject, principal }) {
    this.#source = source
    this.#authorizer = authorizer
    this.#clients = clients
    this.#onReject = onReject
    this.#principal = principal
  }

  /**
   * @param {import('node:tls').Server} server
   * @param {(socket: TLSSocket, outcome: Outcome) => void} onVerified called for every connection that may stay
   */
  attach(server, onVerified) {
    server.on('keylog', (_line, socket) => {
      // Once a connection; there are several secrets to a handshake.
      if (this.#expected.has(socket)) return
      this.#expected.add(socket)
      socket.prependListener('secure', () => this.#outcomeOf(socket))
    })
    server.prependListener('secureConnection', (socket) => {
      const outcome = this.#outcomeOf(socket)
      // Where a certificate is optional, node:tls leaves acting on its verdict to us.
      if (outcome.peer && !socket.authorized) this.#rejectUnauthorized(outcome, socket)
      if (outcome.error) {
        socket.destroy()
        return
      }
      if (outcome.peer) setPeer(socket, outcome.peer)
      onVerified(socket, outcome)
    })
    server.on('tlsClientError', (error, socket) => this.#onHandshakeError(/** @type {any} */ (error), socket))
  }

  /** From now on every new connection is refused. */
  close() {
    this.#closed = true
  }

  /**
   * Report a connection that cannot come to a handshake.
   * @param {Error & { code: string }} error
   * @param {import('node:net').Socket} socket
   */
  reportRejection(error, socket) {
    report({ side: 'server', error, socket }, this.#onReject)
  }

  /** @param {TLSSocket} socket */
  #outcomeOf(socket) {
    const before = this.#outcomes.get(socket)
    if (before) return before
    /** @type {Outcome} */
    let outcome
    let leaf
    try {
      const certificate = this.#clients === 'none' ? undefined : socket.getPeerCertificate(false)
      leaf = certificate?.raw
      outcome = this.#verify(socket, leaf ? certificate : undefined)
    } catch (error) {
      outcome = { error: refusal(error) }
    }
    this.#outcomes.set(socket, outcome)
    if (outcome.error) report({ side: 'server', error: outcome.error, leaf, socket }, this.#onReject)
    return outcome
  }

  /**
   * @param {TLSSocket} socket
   * @param {import('node:tls').PeerCertificate | undefined} certificate
   * @returns {Outcome}
   */
  #verify(socket, certificate) {
    if (this.#closed)
      return {
        error: new CountersignError('ERR_CLOSED', 'the server is no longer secured: it takes no new connections')
      }
    const context = currentContext(this.#source)
    // A resumed session shows no certificate chain, and we verified none.
    if (socket.isSessionReused())
      return { error: untrusted('session_reused', 'the client resumed a session instead of proving who it is') }
    if (!certificate) {
      return this.#clients === 'required'
        ? { error: untrusted('no_certificate', 'the client showed no certificate') }
        : {}
    }
    const { error, svid, chain } = /** @type {any} */ (
      verifyPeer(certificate, () => socket.getPeerCertificate(true), context, this.#authorizer, 'clientAuth')
    )
    return error ? { error } : { peer: new Peer('x509', svid, this.#principal), chain }
  }

  /**
   * A handshake that node:tls broke off. Not every failure is a rejection: only those of the verification by node:tls
   * are reported, unless they have been reported already.
   * @param {Error & { code?: string }} error
   * @param {TLSSocket} socket
   */
  #onHandshakeError(error, socket) {
    if (this.#clients === 'none') return
    const outcome = this.#outcomes.get(socket)
    if (error.code === NO_CERTIFICATE) {
      report(
        { side: 'server', error: untrusted('no_certificate', 'the client showed no certificate', error), socket },
        this.#onReject
      )
    } else if (outcome?.peer && socket.authorizationError) this.#rejectUnauthorized(outcome, socket)
  }

  /**
   * We accept the chain, node:tls does not: it is refused.
   * @param {Outcome} outcome
   * @param {TLSSocket} socket
   */
  #rejectUnauthorized(outcome, socket) {
    outcome.error = untrusted('tls_verification', `node:tls does not accept the chain: ${socket.authorizationError}`)
    report({ side: 'server', error: outcome.error, leaf: outcome.chain?.[0], socket }, this.#onReject)
  }
}

/**
 * @param {string} rule
 * @param {string} message
 * @param {unknown} [cause]
 */
function untrusted(rule, message, cause) {
  return new CountersignError('ERR_UNTRUSTED_SVID', message, { rule, cause })
}

module.exports = { ClientVerifier, untrusted }
