'use strict'
/** Connections to a Unix socket whose server is verified first. */

const { Backoff } = require('../internal/backoff')
const { within } = require('../internal/deadline')
const { checkOptions, checkPath, checkSignal, checkTimeout } = require('../internal/options')
const { CountersignError } = require('../native/errors')
const { descriptorOf } = require('./descriptor')
const { compilePolicy } = require('./policy')

/** One connection that is being made. */
class Attempt {
  #path
  #allowHalfOpen
  #evaluate
  // A Unix socket has no event for room in its listener's backlog.
  #backoff = new Backoff(1, 20)
  /** @type {NodeJS.Timeout | undefined} */
  #again
  /** @type {import('node:net').Socket | undefined} */
  #socket

  /**
   * @param {string} path
   * @param {boolean} allowHalfOpen
   * @param {import('./policy').Evaluate} evaluate
   */
  constructor(path, allowHalfOpen, evaluate) {
    this.#path = path
    this.#allowHalfOpen = allowHalfOpen
    this.#evaluate = evaluate
  }

  /** @returns {Promise<import('node:net').Socket>} */
  connect() {
    return new Promise((resolve, reject) => this.#open(resolve, reject))
  }

  /**
   * @param {(socket: import('node:net').Socket) => void} resolve
   * @param {(error: unknown) => void} reject
   */
  #open(resolve, reject) {
    const socket = require('node:net').connect({ path: this.#path, allowHalfOpen: this.#allowHalfOpen })
    this.#socket = socket
    socket.once('connect', () => {
      try {
        this.#evaluate(descriptorOf(socket))
      } catch (error) {
        return reject(untrusted(this.#path, error))
      }
      socket.removeAllListeners('error')
      resolve(socket)
    })
    socket.once('error', (/** @type {NodeJS.ErrnoException} */ error) => {
      // The listener's backlog is full.
      if (error.code === 'EAGAIN') this.#again = setTimeout(() => this.#open(resolve, reject), this.#backoff.next())
      else reject(connectError(this.#path, error))
    })
  }

  abandon() {
    clearTimeout(this.#again)
    // A late error of a socket that has no user must not become an uncaught exception.
    this.#socket?.on('error', () => {})
    this.#socket?.destroy()
  }
}

/**
 * Connect, and return the socket only when the process that listens there is the right one.
 * @param {string} path
 * @param {any} policy
 * @param {{ signal?: AbortSignal, timeout?: number | null, allowHalfOpen?: boolean }} [options]
 * @returns {Promise<import('node:net').Socket>}
 */
async function connectVerified(path, policy, options) {
  const {
    signal,
    timeout = 5000,
    allowHalfOpen = false
  } = checkOptions(options, ['signal', 'timeout', 'allowHalfOpen'], 'options')
  checkPath(path, 'path')
  checkTimeout(timeout, 'options.timeout')
  checkSignal(signal, 'options.signal')
  const attempt = new Attempt(path, allowHalfOpen, compilePolicy(policy))
  signal?.throwIfAborted()
  const late = () =>
    new CountersignError('ERR_TIMEOUT', `not connected to ${path} within ${timeout} ms`, { path, timeout })
  try {
    return await within(attempt.connect(), { signal, timeout }, late)
  } catch (error) {
    attempt.abandon()
    // The frames of this file say nothing to the caller; an abort is the caller's own value.
    if (error !== signal?.reason) Error.captureStackTrace?.(/** @type {Error} */ (error), connectVerified)
    throw error
  }
}

/**
 * The server is another process than it should be, or cannot be identified: the one code for both, the reason in
 * `cause`.
 * @param {string} path
 * @param {unknown} error
 */
function untrusted(path, error) {
  const { message, field, expected, actual, peer } = /** @type {any} */ (error)
  return new CountersignError('ERR_UNTRUSTED_SERVER', `not talking to ${path}: ${message}`, {
    path,
    field,
    expected,
    actual,
    peer,
    cause: error
  })
}

/**
 * @param {string} path
 * @param {NodeJS.ErrnoException} error
 */
function connectError(path, error) {
  const missing = error.code === 'ENOENT'
  return new CountersignError(
    missing ? 'ERR_SOCKET_NOT_FOUND' : 'ERR_CONNECTION_FAILED',
    missing ? `no socket at ${path}` : `cannot connect to ${path}: ${error.message}`,
    { path, errno: error.errno, syscallError: error.code, cause: error }
  )
}

module.exports = { connectError, connectVerified, untrusted }
