'use strict'
/**
 * A TLS server in front of another one, for asynchronous authorizers. A server of node:https hands a connection to HTTP
 * at once; this one holds it back until the authorizer has decided. What the client sends meanwhile waits in the
 * socket.
 */

const tls = require('node:tls')
const { CountersignError, invalidArgument, reason, shown } = require('../native/errors')
const { within } = require('../internal/deadline')
const { checkTimeout } = require('../internal/options')
const {
  authorize: { custom }
} = require('../spiffe/authorizer')
const { untrusted } = require('./client-verifier')
const { report } = require('./rejection')
const { secure } = require('./secure-server')
const { readServerOptions, serverOptions } = require('./server-options')

/** @typedef {import('node:tls').TLSSocket} TLSSocket */
/** @typedef {InstanceType<typeof import('./peer').Peer>} Peer */
/** @typedef {(id: Peer['spiffeId'], peer: Peer) => unknown} Decide */

/** An authorizer that never answers must not collect connections for ever. */
const AUTHORIZE_TIMEOUT = 5000

/**
 * @param {unknown} target
 * @param {unknown} source
 * @param {unknown} authorize
 * @param {import('../../types/tls').FrontServerOptions} [options]
 */
function createFrontServer(target, source, authorize, options) {
  const { authorizeTimeout = AUTHORIZE_TIMEOUT, ALPNProtocols, ...rest } = options ?? {}
  const timeout = checkTimeout(authorizeTimeout, 'options.authorizeTimeout') ?? undefined
  if (typeof authorize !== 'function') throw invalidArgument(`authorize: expected a function, got ${shown(authorize)}`)
  const { pass, protocols } = destination(target)
  // Every verified client comes this far; the asynchronous authorizer decides then.
  const proven = custom('a proven name', () => true)
  const read = readServerOptions(source, proven, rest)
  if (read.clients !== 'required') throw invalidArgument(`options.clients: a front server knows 'required' only`)
  const server = tls.createServer({ ...serverOptions(source, proven, rest), ALPNProtocols: ALPNProtocols ?? protocols })
  const secured = secure(
    server,
    read,
    (socket, { peer, chain }) => {
      hold(socket, /** @type {Peer} */ (peer), /** @type {Decide} */ (authorize), timeout).then((error) => {
        if (socket.destroyed) return
        if (!error) return pass(socket)
        report({ side: 'server', error, leaf: chain?.[0], socket }, read.onReject)
        socket.destroy()
      })
    },
    target
  )
  server.once('close', () => secured.close())
  return server
}

/**
 * Whether the peer is authorized. What the client sends meanwhile, and that it disconnects, waits.
 * @param {TLSSocket} socket
 * @param {Peer} peer
 * @param {Decide} decide
 * @param {number | undefined} timeout
 * @returns {Promise<(Error & { code: string, rule?: string }) | undefined>}
 */
async function hold(socket, peer, decide, timeout) {
  const ignore = () => {}
  // There is no other listener yet, and an error without a listener ends the process.
  socket.on('error', ignore)
  try {
    const answer = decide(peer.spiffeId, peer)
    const late = () => failure(peer, 'authorizer_timeout', `the authorizer did not answer within ${timeout} ms`)
    const verdict = timeout === undefined ? await answer : await within(Promise.resolve(answer), { timeout }, late)
    if (verdict === true) return undefined
    return verdict === false
      ? failure(peer, 'not_authorized', 'the authorizer refused it')
      : failure(peer, 'authorizer_failed', `the authorizer must answer true or false, it answered ${shown(verdict)}`)
  } catch (error) {
    if (CountersignError.is(error)) return /** @type {any} */ (error)
    return failure(peer, 'authorizer_failed', `the authorizer failed: ${reason(error)}`, error)
  } finally {
    // The code that takes the socket over has listeners of its own by the next turn.
    setImmediate(() => socket.removeListener('error', ignore))
  }
}

/**
 * @param {Peer} peer
 * @param {string} rule
 * @param {string} why
 * @param {unknown} [cause]
 */
function failure(peer, rule, why, cause) {
  const error = untrusted(rule, `${peer.spiffeId.uri} is not authorized: ${why}`, cause)
  return Object.assign(error, { spiffeId: peer.spiffeId.uri })
}

/**
 * Where connections go, and what is spoken there.
 * @param {any} target
 * @returns {{ pass: (socket: TLSSocket) => void, protocols: string[] | undefined }}
 */
function destination(target) {
  if (typeof target === 'function') return { pass: target, protocols: undefined }
  if (typeof target?.injectConnection === 'function')
    return { pass: (socket) => target.injectConnection(socket), protocols: ['h2'] }
  if (typeof target?.setSecureContext === 'function')
    throw invalidArgument('target: expected a server without TLS of its own, such as one of http.createServer')
  if (typeof target?.emit === 'function' && typeof target.listen === 'function') {
    const http1 = 'headersTimeout' in target
    const http2 = !http1 && typeof target.updateSettings === 'function'
    return {
      pass: (socket) => target.emit('connection', socket),
      protocols: http1 ? ['http/1.1'] : http2 ? ['h2'] : undefined
    }
  }
  throw invalidArgument(
    `target: expected a server of node:http, http2.createServer or node:net, a connection injector of ` +
      `@grpc/grpc-js, or a function, got ${shown(target)}`
  )
}

module.exports = { createFrontServer }
