'use strict'
/**
 * One connection to an agent. Answers are matched by the `id` of their requests, so that one that was given up does
 * not put the others out of step; of an agent that echoes none, the answers come in the order of the requests.
 */

const net = require('node:net')
const { CountersignError } = require('../native/errors')
const { connectError, connectVerified } = require('../peer/connect-verified')
const { Lines } = require('./lines')
const { parseReply } = require('./reply')

/** Who waits for an answer. @typedef {{ settle (error: Error | undefined, ok?: Record<string, any>): void }} Waiting */

/**
 * @param {string} path
 * @param {any} expectServer
 * @param {number | null} timeout
 * @returns {Promise<net.Socket>}
 */
function connect(path, expectServer, timeout) {
  if (expectServer !== undefined) return connectVerified(path, expectServer, { timeout })
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path })
    const late =
      timeout === null
        ? undefined
        : setTimeout(
            () =>
              socket.destroy(
                new CountersignError('ERR_TIMEOUT', `not connected to ${path} within ${timeout} ms`, { path, timeout })
              ),
            timeout
          )
    socket.once('connect', () => {
      clearTimeout(late)
      socket.removeAllListeners('error')
      resolve(socket)
    })
    socket.once('error', (error) => {
      clearTimeout(late)
      reject(CountersignError.is(error) ? error : connectError(path, error))
    })
  })
}

class Connection {
  #socket
  #path
  #lastId = 0
  /**
   * In the order of the requests; those that were given up are still answered.
   * @type {Map<number, Waiting | undefined>}
   */
  #waiting = new Map()
  /** @type {(alert: Record<string, any>) => void} */
  #onAlert
  /** @type {(error: Error) => void} */
  #onEnd
  /** @type {Error | undefined} */
  #ended

  /**
   * @param {net.Socket} socket connected
   * @param {string} path
   * @param {{ alert?: (alert: Record<string, any>) => void, end?: (error: Error) => void }} [tell]
   */
  constructor(socket, path, { alert = () => {}, end = () => {} } = {}) {
    this.#socket = socket
    this.#path = path
    this.#onAlert = alert
    this.#onEnd = end
    const lines = new Lines((line) => this.#take(line))
    socket.on('data', (chunk) => {
      try {
        lines.feed(/** @type {Buffer} */ (chunk))
      } catch (error) {
        this.#end(/** @type {Error} */ (error))
      }
    })
    socket.on('end', () => {
      lines.end()
      this.#end()
    })
    socket.on('error', (error) => this.#end(error))
    socket.on('close', () => this.#end())
    socket.unref()
  }

  /** Why it cannot be asked any more; undefined while it can. */
  get ended() {
    return this.#ended
  }

  /**
   * @param {string} name the verb
   * @param {string} members the rest of the object, with a leading comma
   * @param {Waiting} waiting
   * @returns {number} for {@link giveUp}
   */
  ask(name, members, waiting) {
    const id = ++this.#lastId
    // Also when others are on their way: no call may wait for those any more.
    this.#socket.ref()
    this.#waiting.set(id, waiting)
    this.#socket.write(`{"type":"${name}"${members},"id":${id}}\n`)
    return id
  }

  /** No call waits for this answer any more; it is ignored when it comes. @param {number} id */
  giveUp(id) {
    if (this.#waiting.has(id)) this.#waiting.set(id, undefined)
    // A connection without waiting calls keeps no process alive.
    if (![...this.#waiting.values()].some(Boolean)) this.#socket.unref()
  }

  pause() {
    this.#socket.pause()
  }
  resume() {
    this.#socket.resume()
  }
  ref() {
    this.#socket.ref()
  }
  unref() {
    this.#socket.unref()
  }

  close() {
    this.#end(new CountersignError('ERR_CLOSED', 'the client is closed', { state: 'closed' }))
  }

  /** @param {string} line */
  #take(line) {
    const reply = parseReply(line, this.#path)
    if ('alert' in reply) return this.#onAlert(reply.alert)
    const id = typeof reply.id === 'number' ? reply.id : this.#waiting.keys().next().value
    if (id === undefined) return
    const waiting = this.#waiting.get(id)
    if (!this.#waiting.delete(id)) return
    if (this.#waiting.size === 0) this.#socket.unref()
    if ('error' in reply) waiting?.settle(reply.error)
    else waiting?.settle(undefined, reply.ok)
  }

  /** @param {Error} [cause] */
  #end(cause) {
    if (this.#ended) return
    this.#ended =
      cause && CountersignError.is(cause)
        ? cause
        : new CountersignError(
            'ERR_CONNECTION_FAILED',
            cause
              ? `the connection to ${this.#path} broke: ${cause.message}`
              : `the agent at ${this.#path} ended the connection`,
            { path: this.#path, cause }
          )
    this.#socket.destroy()
    for (const waiting of this.#waiting.values()) waiting?.settle(this.#ended)
    this.#waiting.clear()
    this.#onEnd(this.#ended)
  }
}

module.exports = { Connection, connect }
