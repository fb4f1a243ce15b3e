'use strict'
/**
 * Stands at the door of a server: judges every client before a byte of application data reaches anybody.
 *
 * The judgement is made at 'secure', before node:tls looks at its own verdict: some versions of Node.js forget the
 * intermediate certificates after that (nodejs/node#65579), and of a client that node:tls refuses nothing is left
 * afterwards to tell. The one public way to a socket that early is the server's 'keylog' event. It is carried out at
 * 'secureConnection', ahead of all listeners.
 */

const { CountersignError } = require('../native/errors')
const { judge, refusal } = require('./verify')
const { Peer, setPeer } = require('./peer')
const { report } = require('./rejection')
const { currentContext } = require('./source')

/** @typedef {import('node:tls').TLSSocket} TLSSocket */
/** @typedef {import('./verify').Verdict} Verdict */

/**
 * What became of a connection, found once: `error` when it is refused, `peer` when a peer is proven. Neither: nobody was
 * asked to say who they are.
 * @typedef {{ error?: (Error & { code: string, rule?: string }) | undefined, peer?: InstanceType<typeof Peer>, chain?: readonly Uint8Array[] }} Outcome
 */

/** What node:tls says when a client has no certificate and must have one. */
const NO_CERTIFICATE = 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE'

class Guard {
  #source
  #welcome
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
   * @param {import('../spiffe/authorizer').Judge} welcome
   * @param {{ clients: 'required' | 'optional' | 'none', onReject: ((rejection: import('../../types/tls').Rejection) => void) | undefined, principal?: import('../../types/tls').MakePrincipal | undefined }} options
   */
  constructor(source, welcome, { clients, onReject, principal }) {
    this.#source = source
    this.#welcome = welcome
    this.#clients = clients
    this.#onReject = onReject
    this.#principal = principal
  }

  /**
   * @param {import('node:tls').Server} server
   * @param {(socket: TLSSocket, outcome: Outcome) => void} admitted called for every connection that may stay
   */
  stand(server, admitted) {
    server.on('keylog', (line, socket) => {
      // Once a connection; there are several secrets to a handshake.
      if (this.#expected.has(socket)) return
      this.#expected.add(socket)
      socket.prependListener('secure', () => this.#examine(socket))
    })
    server.prependListener('secureConnection', (socket) => {
      const outcome = this.#examine(socket)
      // Where a certificate is optional, node:tls leaves it to us to act on its verdict.
      if (outcome.peer && !socket.authorized) this.#refusedByWall(outcome, socket)
      if (outcome.error) {
        socket.destroy()
        return
      }
      if (outcome.peer) setPeer(socket, outcome.peer)
      admitted(socket, outcome)
    })
    server.on('tlsClientError', (error, socket) => this.#refusedByNode(/** @type {any} */ (error), socket))
  }

  /** From now on, nobody new. */
  close() {
    this.#closed = true
  }

  /**
   * Refuse a connection that has come to no handshake.
   * @param {Error & { code: string }} error
   * @param {import('node:net').Socket} socket
   */
  turnAway(error, socket) {
    report({ side: 'server', error, socket }, this.#onReject)
  }

  /** @param {TLSSocket} socket */
  #examine(socket) {
    const before = this.#outcomes.get(socket)
    if (before) return before
    /** @type {Outcome} */
    let outcome
    let leaf
    try {
      const certificate = this.#clients === 'none' ? undefined : socket.getPeerCertificate(false)
      leaf = certificate?.raw
      outcome = this.#judge(socket, leaf ? certificate : undefined)
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
  #judge(socket, certificate) {
    if (this.#closed)
      return {
        error: new CountersignError('ERR_CLOSED', 'the server is no longer secured: it takes no new connections')
      }
    const context = currentContext(this.#source)
    // Whoever resumes a session shows no certificate chain, and none was judged by us.
    if (socket.isSessionReused())
      return { error: untrusted('session_reused', 'the client resumed a session instead of proving who it is') }
    if (!certificate) {
      return this.#clients === 'required'
        ? { error: untrusted('no_certificate', 'the client showed no certificate') }
        : {}
    }
    const { error, svid, chain } = /** @type {any} */ (
      judge(certificate, () => socket.getPeerCertificate(true), context, this.#welcome, 'clientAuth')
    )
    return error ? { error } : { peer: new Peer('x509', svid, this.#principal), chain }
  }

  /**
   * A handshake that node:tls broke off. Not everything that fails there was a refusal: only those of the outer wall are
   * told, as far as we have not told them already.
   * @param {Error & { code?: string }} error
   * @param {TLSSocket} socket
   */
  #refusedByNode(error, socket) {
    if (this.#clients === 'none') return
    const outcome = this.#outcomes.get(socket)
    if (error.code === NO_CERTIFICATE) {
      report(
        { side: 'server', error: untrusted('no_certificate', 'the client showed no certificate', error), socket },
        this.#onReject
      )
    } else if (outcome?.peer && socket.authorizationError) this.#refusedByWall(outcome, socket)
  }

  /**
   * We would take the chain, node:tls does not: then nobody does.
   * @param {Outcome} outcome
   * @param {TLSSocket} socket
   */
  #refusedByWall(outcome, socket) {
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

module.exports = { Guard, untrusted }
