'use strict'
/** The `connect` function of an undici Agent, Pool or Client, whichever version it is. */

const { isIP } = require('node:net')
const { CountersignError, invalidArgument } = require('../native/errors')
const { checkTimeout } = require('../internal/options')
const { Client } = require('./client')
const { checkFlag } = require('./settings')

/** @typedef {(error: Error | null, socket: any) => void} Callback */

const CONNECT_TIMEOUT = 10_000
const OPTIONS = ['connectTimeout', 'allowH2', 'closeOnWithdraw', 'closeOnBundleRemoval']

/**
 * @param {unknown} source
 * @param {unknown} authorize
 * @param {import('../../types/tls').UndiciConnectOptions} [options]
 */
function undiciConnect(source, authorize, options) {
  return connector(new Client(source, authorize, options, OPTIONS), options)
}

/**
 * @param {InstanceType<typeof Client>} client
 * @param {import('../../types/tls').UndiciConnectOptions} [options]
 */
function connector(client, options = {}) {
  const timeout = checkTimeout(options.connectTimeout ?? CONNECT_TIMEOUT, 'options.connectTimeout')
  const ALPNProtocols = checkFlag(options.allowH2, 'options.allowH2') ? ['h2', 'http/1.1'] : ['http/1.1']
  const tls = client.options()

  /**
   * @param {any} wanted what undici says of the connection
   * @param {Callback} callback
   */
  function connect(wanted, callback) {
    const { hostname, protocol, port, servername, localAddress, httpSocket } = wanted
    if (protocol !== 'https:') {
      // Without TLS there would be no server certificate to verify.
      queueMicrotask(() => callback(invalidArgument(`the URL: expected https:, got ${protocol}`), null))
      return undefined
    }
    const name = servername || hostname
    const socket = client.connect(
      {
        host: hostname,
        port: port || 443,
        ALPNProtocols,
        ...(isIP(name) ? {} : { servername: name }),
        ...(localAddress && { localAddress }),
        ...(httpSocket && { socket: httpSocket })
      },
      tls
    )
    settle(socket, timeout, callback)
    return socket
  }
  connect.close = () => client.close()
  return connect
}

/**
 * @param {import('node:tls').TLSSocket} socket
 * @param {number | null} timeout
 * @param {Callback} callback
 */
function settle(socket, timeout, callback) {
  const timer =
    timeout === null
      ? undefined
      : setTimeout(
          () => socket.destroy(new CountersignError('ERR_TIMEOUT', `no connection within ${timeout} ms`, { timeout })),
          timeout
        )
  let done = false
  /** @param {Error | null} error @param {any} [connected] */
  const finish = (error, connected = null) => {
    if (done) return
    done = true
    clearTimeout(timer)
    callback(error, connected)
  }
  socket.setKeepAlive(true, 60_000)
  socket.once('secureConnect', () => {
    if (!socket.destroyed) finish(null, socket)
  })
  // The reason in our words, where there is one.
  socket.on('error', (error) => finish(CountersignError.is(error.cause) ? /** @type {Error} */ (error.cause) : error))
  socket.once('close', () =>
    finish(new CountersignError('ERR_CONNECTION_FAILED', 'the connection was closed during the handshake'))
  )
}

module.exports = { undiciConnect, connector, settle }
