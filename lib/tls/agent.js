'use strict'
/** An agent for node:https, and for everything that takes one: axios, got, node-fetch, the AWS SDK. */

const https = require('node:https')
const { Client } = require('./client')
const { LIFETIMES } = require('./lifetimes')

class Agent extends https.Agent {
  #client
  #tls
  /** Connections that are to end. @type {WeakSet<object>} */
  #retired = new WeakSet()

  /**
   * @param {InstanceType<typeof Client>} client
   * @param {https.AgentOptions | undefined} options
   */
  constructor(client, options) {
    super({ keepAlive: true, ...options, maxCachedSessions: 0 })
    this.#client = client
    this.#tls = client.options()
  }

  /**
   * @override
   * @param {any} options
   * @returns {any}
   */
  createConnection(options) {
    return this.#client.connect(options, this.#tls, {
      opened: (/** @type {import('./lifetimes').Connection} */ connection) => {
        connection.retire = () => this.#retire(connection.socket)
      }
    })
  }

  /** @param {import('node:tls').TLSSocket} socket */
  #retire(socket) {
    this.#retired.add(socket)
    // One that is busy is not kept when its request is done.
    if (Object.values(this.freeSockets).some((sockets) => sockets?.includes(socket))) socket.destroy()
  }

  /**
   * @override
   * @param {any} socket
   * @returns {any}
   */
  keepSocketAlive(socket) {
    return this.#retired.has(socket)
      ? false
      : /** @type {any} */ (https.Agent.prototype).keepSocketAlive.call(this, socket)
  }

  /** @override */
  destroy() {
    this.#client.close()
    super.destroy()
  }
}

/**
 * @param {unknown} source
 * @param {unknown} authorize
 * @param {import('../../types/tls').AgentOptions} [options]
 */
function createAgent(source, authorize, options) {
  return new Agent(new Client(source, authorize, options, ['agent', ...LIFETIMES]), options?.agent)
}

module.exports = { createAgent }
