'use strict'
/** Who is at the other end of a local socket. */

const { CountersignError, fromDetails, invalidArgument } = require('../native/errors')
const { descriptorOf } = require('./descriptor')
const { linuxOnly, native } = require('../native/load')
const { checkOptions, checkPath, checkSignal, checkTimeout } = require('../internal/options')
const { compilePolicy } = require('./policy')

/** What the addon writes, in this order: flags, pid, uid, gid, the number of groups, the groups. */
const [scratch, fill] = native.peerScratch?.() ?? [new ArrayBuffer(0), () => false]
const words = new Uint32Array(scratch)
const PID = 1
const UID = 2
const GID = 4
const GROUPS = 8

const PEERS = 'to look at the peer of a socket'

/** @type {readonly number[]} */
const NO_GROUPS = Object.freeze([])

/** @param {unknown} target */
function getPeerCredentials(target) {
  const fd = descriptorOf(target)
  if (!fill(fd)) return toCredentials(unwrap(linuxOnly('peerCredentialsFull', PEERS)(fd)))
  const flags = words[0]
  let groups
  if (flags & GROUPS) groups = words[4] === 0 ? NO_GROUPS : Object.freeze(Array.from(words.subarray(5, 5 + words[4])))
  return Object.freeze({
    pid: flags & PID ? words[1] : undefined,
    uid: flags & UID ? words[2] : undefined,
    gid: flags & GID ? words[3] : undefined,
    groups,
    securityLabel: undefined
  })
}

/**
 * @param {unknown} target
 * @param {{ sha256?: boolean }} [options]
 */
function getPeerProcess(target, options) {
  const { sha256 = false } = checkOptions(options, ['sha256'], 'options')
  if (typeof sha256 !== 'boolean') throw invalidArgument('options.sha256: expected a boolean')
  return peerProcess(descriptorOf(target), sha256)
}

/**
 * @param {unknown} target
 * @param {import('../../index').PeerPolicies} policy
 */
function authorizePeer(target, policy) {
  const evaluate = compilePolicy(policy)
  return evaluate(descriptorOf(target))
}

/**
 * @param {number} fd
 * @param {boolean} [sha256]
 */
function peerProcess(fd, sha256 = false) {
  return toProcess(unwrap(linuxOnly('peerProcess', PEERS)(fd, sha256)))
}

/** @param {string} text */
function unwrap(text) {
  const { ok, err } = JSON.parse(text)
  if (!err) return ok
  const error = fromDetails(err)
  // The frames of this file say nothing to the caller.
  Error.captureStackTrace?.(error, unwrap)
  throw error
}

/** @param {any} value */
function toCredentials({ pid, uid, gid, groups, securityLabel }) {
  return Object.freeze({
    pid: pid ?? undefined,
    uid: uid ?? undefined,
    gid: gid ?? undefined,
    groups: groups ? Object.freeze(groups) : undefined,
    securityLabel: securityLabel ?? undefined
  })
}

/** @param {any} value */
function toProcess(value) {
  return Object.freeze({
    ...toCredentials(value),
    exe: value.exe ?? undefined,
    exeDoubt: value.exeDoubt
      ? Object.freeze({ reason: value.exeDoubt.reason, path: value.exeDoubt.path ?? undefined })
      : undefined,
    exeSha256: value.exeSha256 ?? undefined,
    process: value.process ?? undefined,
    startTime: value.startTime == null ? undefined : new Date(value.startTime),
    cgroup: value.cgroup ?? undefined
  })
}

/**
 * Connect, and hand the socket over only when the process that listens there is the right one.
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
  const evaluate = compilePolicy(policy)
  signal?.throwIfAborted()
  const { connect } = require('node:net')
  /** @type {import('node:net').Socket} */
  let socket = /** @type {any} */ (undefined)
  /** @type {NodeJS.Timeout | undefined} */
  let timer
  /** @type {NodeJS.Timeout | undefined} */
  let again
  /** @type {(() => void) | undefined} */
  let onAbort
  const outcome = await new Promise((resolve) => {
    const attempt = (/** @type {number} */ pause) => {
      socket = connect({ path, allowHalfOpen })
      socket.once('connect', () => {
        try {
          evaluate(descriptorOf(socket))
          resolve(socket)
        } catch (error) {
          resolve(untrusted(path, error))
        }
      })
      socket.once('error', (/** @type {NodeJS.ErrnoException} */ error) => {
        // The listener's backlog is full; a Unix socket has no event for room in it.
        if (error.code === 'EAGAIN') again = setTimeout(attempt, pause, Math.min(pause * 2, 20))
        else resolve(connectError(path, error))
      })
    }
    attempt(1)
    if (timeout !== null) {
      timer = setTimeout(
        () =>
          resolve(
            new CountersignError('ERR_TIMEOUT', `not connected to ${path} within ${timeout} ms`, { path, timeout })
          ),
        timeout
      )
    }
    if (signal) {
      onAbort = () => resolve(new Aborted(signal.reason))
      signal.addEventListener('abort', onAbort, { once: true })
    }
  })
  clearTimeout(timer)
  clearTimeout(again)
  if (signal && onAbort) signal.removeEventListener('abort', onAbort)
  if (outcome === socket) {
    socket.removeAllListeners('error')
    return socket
  }
  // A late error of a socket nobody has any more must not become an uncaught exception.
  socket.on('error', () => {})
  socket.destroy()
  if (outcome instanceof Aborted) throw outcome.reason
  Error.captureStackTrace?.(outcome, connectVerified)
  throw outcome
}

class Aborted {
  /** @param {unknown} reason */
  constructor(reason) {
    this.reason = reason
  }
}

/**
 * The server is not who it should be, or cannot be told: the one code for both, the reason in `cause`.
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

module.exports = {
  getPeerCredentials,
  getPeerProcess,
  authorizePeer,
  connectVerified,
  peerProcess,
  toProcess,
  toCredentials,
  unwrap,
  untrusted,
  connectError
}
