'use strict'
/**
 * Lets a server of @grpc/grpc-js listen. Its own credentials cannot hold a connection back, nor see more of a client
 * than the leaf; so a server of ours stands in front of it, and hands on authorized connections.
 */

const { once } = require('node:events')
const { invalidArgument, shown } = require('../native/errors')
const { createFrontServer } = require('../tls/front-server')
const { peerOf, setPeerOfCertificate } = require('../tls/peer')
const { checkModule } = require('./module')

/** How long calls may go on when the server is closed. */
const GRACE = 10_000

/** A place where a server listens. */
class BoundServer {
  #front
  #injector

  /**
   * @param {import('node:tls').Server} front
   * @param {any} injector
   */
  constructor(front, injector) {
    this.#front = front
    this.#injector = injector
  }

  get address() {
    return this.#front.address()
  }

  get port() {
    const address = this.#front.address()
    return typeof address === 'object' && address !== null ? address.port : undefined
  }

  async close() {
    if (!this.#front.listening) return
    const closed = once(this.#front, 'close')
    this.#front.close()
    this.#injector.drain(GRACE)
    await closed
    this.#injector.destroy()
  }

  async [Symbol.asyncDispose]() {
    await this.close()
  }
}

/**
 * @param {unknown} grpc
 * @param {any} server
 * @param {unknown} address
 * @param {unknown} source
 * @param {unknown} authorize
 * @param {import('../../types/grpc').BindOptions} [options]
 */
async function bindServer(grpc, server, address, source, authorize, options) {
  const { ServerCredentials } = checkModule(grpc)
  if (typeof server?.createConnectionInjector !== 'function')
    throw invalidArgument(`server: expected a Server of @grpc/grpc-js, 1.12 or newer, got ${shown(server)}`)
  const place = placeOf(address)
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
  const pass = (/** @type {import('node:tls').TLSSocket} */ socket) => {
    const peer = peerOf(socket)
    if (peer) setPeerOfCertificate(socket, /** @type {any} */ (peer))
    injector.injectConnection(socket)
  }
  let front
  try {
    front = createFrontServer(pass, source, authorize, { ALPNProtocols: ['h2'], ...options })
    front.listen(place)
    await once(front, 'listening')
  } catch (error) {
    front?.close()
    injector.destroy()
    throw error
  }
  return new BoundServer(front, injector)
}

/**
 * @param {unknown} address as grpc-js writes it: `host:port`, `[::]:port`, `unix:path`
 * @returns {import('node:net').ListenOptions}
 */
function placeOf(address) {
  if (typeof address === 'string') {
    const path = /^unix:(?:\/\/)?(.+)$/.exec(address)?.[1]
    if (path) return { path }
    const [, six, four, port] =
      /^(?:dns:(?:\/\/\/)?)?(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/]+)):(\d{1,5})$/.exec(address) ?? []
    if (port !== undefined && Number(port) <= 65535) return { host: six ?? four, port: Number(port) }
  }
  throw invalidArgument(`address: expected 'host:port' or 'unix:path', got ${shown(address)}`)
}

module.exports = { bindServer }
