'use strict'
/** What HTTP adds to a connection: sessions that stand for it, and gentle ways to end it. */

const { GRACE } = require('./lifetimes')
const { peerOf, setPeer } = require('./peer')

/** @typedef {import('./lifetimes').Connection} Connection */

/** An http2 session shows its socket through a proxy, which passes on properties and nothing else. */
const held = Symbol('countersign.connection')

/**
 * HTTP/2: told to send no more requests; those that are open go on.
 * @param {import('node:http2').ServerHttp2Session} session
 */
function sessionStarted(session) {
  if (session.destroyed) return
  const peer = peerOf(session)
  // Also for a question after the socket is gone.
  if (peer) setPeer(session, peer)
  const connection = /** @type {Connection | undefined} */ (/** @type {any} */ (session.socket)[held])
  if (connection) connection.retire = () => session.close()
}

/**
 * HTTP/1: a request that is being answered is answered, the next one as well, as the last one.
 * @param {import('node:http').IncomingMessage} request
 * @param {import('node:http').ServerResponse} response
 */
function requestStarted(request, response) {
  const connection = /** @type {Connection & { active?: number, retired?: boolean, over?: boolean } | undefined} */ (
    /** @type {any} */ (request.socket)[held]
  )
  if (!connection || request.httpVersionMajor !== 1) return
  const { socket } = connection
  connection.retire ??= () => {
    connection.retired = true
    connection.timer = setTimeout(() => {
      connection.over = true
      if (!connection.active) socket.destroy()
    }, GRACE)
    connection.timer.unref?.()
  }
  connection.active = (connection.active ?? 0) + 1
  if (connection.retired) response.setHeader('connection', 'close')
  response.once('close', () => {
    connection.active = (connection.active ?? 1) - 1
    if (connection.over && !connection.active) socket.end()
  })
}

/**
 * @param {import('node:net').Server} server
 * @param {boolean} ends whether connections are ever ended by us
 */
function followHttp(server, ends) {
  server.prependListener('session', sessionStarted)
  // An http2 server builds requests and responses as soon as there is a listener for this event.
  if (ends && 'headersTimeout' in server) server.prependListener('request', requestStarted)
}

/** @param {Connection} connection */
function holdConnection(connection) {
  Object.defineProperty(connection.socket, held, { value: connection, configurable: true })
}

module.exports = { followHttp, holdConnection }
