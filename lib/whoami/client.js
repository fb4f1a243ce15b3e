'use strict'
/** Who am I: the identity-by-PID client. */

const { answer, failureOf, fromFailure } = require('../native/answer')
const { CountersignError, invalidArgument } = require('../native/errors')
const { Identity, buildIdentity } = require('./identity')
const { linuxOnly, native } = require('../native/load')
const { checkOptions, checkPath, checkSignal, checkTimeout } = require('../internal/options')

const DEFAULT_SOCKET_PATH = /** @type {const} */ ('/var/run/whoami.sock')
const DEFAULT_TIMEOUT = 5000

/** Nothing to say: the one form that every daemon is known to take. */
const EMPTY_REQUEST = '{"runner":{}}'

/** @typedef {InstanceType<typeof Identity>} Me */

/** What a call that ended without an identity ended with. */
class Failure {
  /** @param {unknown} value a failure of the addon, or the error of the server check; undefined: cancelled */
  constructor(value) {
    this.value = value
  }

  /** @param {number | null} timeout what the whole call was allowed; the addon only knows of the last attempt */
  toError(timeout) {
    const failure = failureOf(this.value)
    if (failure === undefined) return this.value
    const error = fromFailure(failure)
    if (error.code !== 'ERR_TIMEOUT') return error
    return new CountersignError(error.code, error.message.replace(/within \S+/, `within ${timeout} ms`), { timeout })
  }

  /** The socket is not there yet, or no process listens on it yet. */
  get notThereYet() {
    const failure = failureOf(this.value)
    return (
      failure?.code === 'ERR_SOCKET_NOT_FOUND' ||
      (failure?.code === 'ERR_CONNECTION_FAILED' && failure.errno === require('node:os').constants.errno.ECONNREFUSED)
    )
  }
}

/**
 * The calls in flight, by the key the addon gave them.
 * @type {Map<number, (outcome: Me | Failure) => void>}
 */
const waiting = new Map()

/**
 * Called by the addon once for each call, with nothing but the key for one that was cancelled, one value for one
 * that failed, and the values of an identity.
 * @param {number} key
 * @param {any} [a]
 * @param {any} [b]
 * @param {any} [c]
 * @param {any} [d]
 * @param {any} [e]
 * @param {any} [f]
 * @param {any} [g]
 * @param {any} [h]
 * @param {any} [i]
 * @param {any} [j]
 * @param {any} [k]
 * @param {any} [l]
 * @param {any} [m]
 */
function settle(key, a, b, c, d, e, f, g, h, i, j, k, l, m) {
  const resolve = waiting.get(key)
  if (resolve === undefined) return
  waiting.delete(key)
  // biome-ignore-start lint/complexity/noArguments: their number is the message; a rest parameter makes a list for each
  // call
  if (arguments.length > 2) return resolve(buildIdentity(a, b, c, d, e, f, g, h, i, j, k, l, m))
  resolve(new Failure(arguments.length === 1 ? undefined : a))
  // biome-ignore-end lint/complexity/noArguments: see above
}

let attached = false
function attach() {
  // Bun exports the symbols of libuv and aborts the process when one is called.
  answer(linuxOnly('attach', 'identity-by-PID')(settle, process.versions.bun === undefined))
  attached = true
}

const CLIENT_OPTIONS = ['socketPath', 'timeout', 'expectServer', 'verifySelf', 'retry']
const CALL_OPTIONS = ['runner', 'signal', 'timeout']
const SYNC_OPTIONS = ['runner', 'timeout']

class IdentityClient {
  #checkServer
  #verifySelf
  #retry

  /** @param {import('../../index').IdentityClientOptions} [options] */
  constructor(options) {
    const {
      socketPath,
      timeout = DEFAULT_TIMEOUT,
      expectServer,
      verifySelf = false,
      retry = false
    } = checkOptions(options, CLIENT_OPTIONS, 'options')
    this.socketPath =
      socketPath === undefined
        ? checkPath(process.env.WHOAMI_SOCKET || DEFAULT_SOCKET_PATH, 'WHOAMI_SOCKET')
        : checkPath(socketPath, 'options.socketPath')
    this.timeout = checkTimeout(timeout, 'options.timeout')
    if (typeof verifySelf !== 'boolean') throw invalidArgument('options.verifySelf: expected a boolean')
    this.#verifySelf = verifySelf
    if (typeof retry !== 'boolean') throw invalidArgument('options.retry: expected a boolean')
    this.#retry = retry
    // A policy that was meant and is missing must not mean "any peer".
    if (options && 'expectServer' in options && expectServer === undefined) {
      throw invalidArgument('options.expectServer: is undefined; leave it out to talk to any server')
    }
    this.#checkServer = expectServer === undefined ? undefined : serverCheckOf(expectServer, this.socketPath)
    Object.freeze(this)
  }

  /**
   * @param {import('../../index').GetIdentityOptions} [options]
   * @returns {Promise<Me>}
   */
  async getIdentity(options) {
    let { runner, signal, timeout } =
      options === undefined ? NO_OPTIONS : checkOptions(options, CALL_OPTIONS, 'options')
    timeout = timeout === undefined ? this.timeout : checkTimeout(timeout, 'options.timeout')
    checkSignal(signal, 'options.signal')
    const request = runner === undefined ? EMPTY_REQUEST : require('./request').writeRequest(runner)
    signal?.throwIfAborted()
    if (!attached) attach()
    const outcome = this.#retry
      ? await this.#attemptUntilThere(request, timeout, signal)
      : await this.#attempt(request, timeout, signal)
    if (outcome instanceof Identity) return this.#verifySelf ? verified(outcome) : outcome
    if (outcome.value === undefined && signal?.aborted) throw signal.reason
    throw outcome.toError(timeout)
  }

  /**
   * The same, blocking the thread.
   * @param {import('../../index').GetIdentitySyncOptions} [options]
   * @returns {Me}
   */
  getIdentitySync(options) {
    let { runner, timeout } = options === undefined ? NO_OPTIONS : checkOptions(options, SYNC_OPTIONS, 'options')
    timeout = timeout === undefined ? this.timeout : checkTimeout(timeout, 'options.timeout')
    const request = runner === undefined ? EMPTY_REQUEST : require('./request').writeRequest(runner)
    if (!attached) attach()
    const deadline = timeout === null ? Infinity : performance.now() + timeout
    const backoff = this.#retry ? retryBackoff() : undefined
    for (;;) {
      const outcome = native.identitySync(
        this.socketPath,
        request,
        deadline === Infinity ? Infinity : Math.max(deadline - performance.now(), 0.001),
        /** @type {any} */ (buildIdentity),
        this.#checkServer
      )
      if (outcome instanceof Identity) return this.#verifySelf ? verified(outcome) : outcome
      const failure = new Failure(outcome)
      const pause = failure.notThereYet ? backoff?.next() : undefined
      if (pause === undefined || performance.now() + pause >= deadline) throw failure.toError(timeout)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pause)
    }
  }

  /**
   * @param {string} request
   * @param {number | null} timeout
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<Me | Failure>}
   */
  #attempt(request, timeout, signal) {
    const key = native.identityStart(this.socketPath, request, timeout ?? Infinity, this.#checkServer)
    if (typeof key !== 'number') return Promise.resolve(new Failure(key))
    if (signal === undefined) return new Promise((resolve) => waiting.set(key, resolve))
    return new Promise((resolve) => {
      const onAbort = () => native.identityCancel(key) && settle(key)
      waiting.set(key, (outcome) => {
        signal.removeEventListener('abort', onAbort)
        resolve(outcome)
      })
      signal.addEventListener('abort', onAbort, { once: true })
      // The server check may have aborted it.
      if (signal.aborted) onAbort()
    })
  }

  /**
   * Try again while the socket is not there, within the one deadline.
   * @param {string} request
   * @param {number | null} timeout
   * @param {AbortSignal | undefined} signal
   */
  async #attemptUntilThere(request, timeout, signal) {
    const deadline = timeout === null ? Infinity : performance.now() + timeout
    const backoff = retryBackoff()
    for (;;) {
      const left = deadline === Infinity ? null : Math.max(deadline - performance.now(), 0.001)
      const outcome = await this.#attempt(request, left, signal)
      if (outcome instanceof Identity || !outcome.notThereYet) return outcome
      const pause = backoff.next()
      if (performance.now() + pause >= deadline) return outcome
      await sleep(pause, signal)
      if (signal?.aborted) return new Failure(undefined)
    }
  }
}

const NO_OPTIONS = Object.freeze({ runner: undefined, signal: undefined, timeout: undefined })

/** The pauses between attempts while the socket is not there. */
function retryBackoff() {
  const { Backoff } = require('../internal/backoff')
  return new Backoff(10, 500, { jitter: true })
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<void>}
 */
async function sleep(milliseconds, signal) {
  const { setTimeout } = require('node:timers/promises')
  // It ends early, by an error, when the signal is aborted.
  await setTimeout(milliseconds, undefined, { signal }).catch(() => {})
}

/**
 * @param {unknown} policy
 * @param {string} path
 * @returns {(fd: number) => unknown}
 */
function serverCheckOf(policy, path) {
  const evaluate = require('../peer/policy').compilePolicy(policy, 'expectServer')
  return (fd) => {
    try {
      evaluate(fd)
      return undefined
    } catch (error) {
      return require('../peer/connect-verified').untrusted(path, error)
    }
  }
}

/**
 * The daemon must have seen this very process.
 * @param {Me} identity
 */
function verified(identity) {
  const self = { pid: process.pid, uid: process.geteuid?.(), gid: process.getegid?.() }
  for (const field of /** @type {const} */ (['pid', 'uid', 'gid'])) {
    const expected = self[field]
    const actual = identity.runner[field]
    if (actual !== expected) {
      throw new CountersignError(
        'ERR_IDENTITY_MISMATCH',
        `the answer is about another process: ${field} is ${actual ?? 'absent'}, ours is ${expected}`,
        { field, expected, actual }
      )
    }
  }
  return identity
}

/** @param {import('../../index').IdentityClientOptions & import('../../index').GetIdentityOptions} [options] */
function split(options) {
  if (options === undefined) return { client: undefined, call: undefined }
  checkOptions(options, [...CLIENT_OPTIONS, ...CALL_OPTIONS], 'options')
  /** @type {Record<string, unknown>} */
  const client = {}
  /** @type {Record<string, unknown>} */
  const call = {}
  for (const [key, value] of Object.entries(options)) (CLIENT_OPTIONS.includes(key) ? client : call)[key] = value
  return { client, call }
}

/** @param {import('../../index').IdentityClientOptions & import('../../index').GetIdentityOptions} [options] */
async function getIdentity(options) {
  const { client, call } = split(options)
  // Awaited here, so that an error names the caller.
  return await new IdentityClient(client).getIdentity(call)
}

/** @param {import('../../index').IdentityClientOptions & import('../../index').GetIdentitySyncOptions} [options] */
function getIdentitySync(options) {
  const { client, call } = split(options)
  return new IdentityClient(client).getIdentitySync(call)
}

module.exports = { IdentityClient, getIdentity, getIdentitySync, DEFAULT_SOCKET_PATH }
