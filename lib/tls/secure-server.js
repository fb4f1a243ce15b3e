'use strict'
/** Secures a server: its certificate, the verification by node:tls, and that of client SVIDs. */

const { CountersignError, invalidArgument, shown } = require('../native/errors')
const { ClientVerifier } = require('./client-verifier')
const { followHttp, holdConnection } = require('./http-connections')
const { Lifetimes } = require('./lifetimes')
const { Rotation } = require('./rotation')
const { readServerOptions } = require('./server-options')

/** @type {WeakSet<object>} */
const secured = new WeakSet()

/** What keeps a server secured. */
class SecuredServer {
  #verifier
  #rotation
  #lifetimes
  #unsubscribe
  #closed = false

  /**
   * @param {import('node:tls').Server} server
   * @param {ReturnType<typeof readServerOptions>} options
   * @param {(socket: import('node:tls').TLSSocket, outcome: import('./client-verifier').Outcome) => void} [admitted]
   * @param {any} [http] the server that speaks HTTP, if it is another one
   */
  constructor(server, { source, authorizer, clients, plan, limits, onReject, principal }, admitted, http = server) {
    const verifier = (this.#verifier = new ClientVerifier(source, authorizer, { clients, onReject, principal }))
    const rotation = (this.#rotation = new Rotation(server, source, plan))
    const lifetimes = (this.#lifetimes = new Lifetimes(source, 'server', limits, onReject))
    if (typeof http.prependListener === 'function') followHttp(http, lifetimes.ends)
    // What is no source, or cannot be served at all, is an error now; one that is not ready yet is not.
    const error = rotation.refresh()
    if (error?.code === 'ERR_INVALID_ARGUMENT') throw error
    server.prependListener('connection', (socket) => {
      const error = rotation.refresh()
      rotation.forgetSessions()
      // The handshake will fail, because there is nothing to show; the reason is reported here.
      if (error) verifier.reportRejection(error, socket)
    })
    verifier.attach(server, (socket, outcome) => {
      const connection = lifetimes.add(socket, outcome)
      if (connection) holdConnection(connection)
      admitted?.(socket, outcome)
    })
    this.#unsubscribe = source.subscribe((event) => {
      rotation.refresh()
      if (lifetimes.watches) lifetimes.sourceChanged(event)
    })
    server.once('close', () => this.#unsubscribe())
  }

  get connections() {
    return this.#lifetimes.size
  }

  close() {
    if (this.#closed) return
    this.#closed = true
    this.#unsubscribe()
    this.#verifier.close()
    this.#rotation.close()
  }

  [Symbol.dispose]() {
    this.close()
  }
}

/**
 * @param {import('node:tls').Server} server
 * @param {unknown} source
 * @param {unknown} authorize
 * @param {import('../../types/tls').ServerOptions} [options]
 */
function secureServer(server, source, authorize, options) {
  return secure(server, readServerOptions(source, authorize, options))
}

/**
 * @param {any} server
 * @param {ReturnType<typeof readServerOptions>} options
 * @param {(socket: import('node:tls').TLSSocket, outcome: import('./client-verifier').Outcome) => void} [admitted]
 * @param {unknown} [http]
 */
function secure(server, options, admitted, http) {
  if (typeof server?.setSecureContext !== 'function') {
    if (typeof server?.listen === 'function' && process.versions.bun)
      throw new CountersignError(
        'ERR_UNSUPPORTED_PLATFORM',
        'server: in Bun, a server of node:https has no TLS sockets to judge; use tls.createServer'
      )
    throw invalidArgument(
      `server: expected a server of node:tls, node:https or http2.createSecureServer, got ${shown(server)}`
    )
  }
  if (secured.has(server)) throw invalidArgument('server: it is secured already')
  const asks = options.clients !== 'none'
  // Who is not asked for a certificate, or need not have one, is let in by node:tls.
  if (server.requestCert === !asks || server.rejectUnauthorized === (options.clients !== 'required')) {
    throw invalidArgument(
      'server: it was not made with serverOptions(source, authorize, options) and these very options'
    )
  }
  const made = new SecuredServer(server, options, admitted, http)
  secured.add(server)
  return made
}

module.exports = { secureServer, secure }
