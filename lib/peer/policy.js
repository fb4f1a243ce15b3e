'use strict'
/** What a peer must be. A policy that cannot be read exactly is an error: a typo must never widen access. */

const { isPromise } = require('node:util').types
const { CountersignError, invalidArgument, reason, shown } = require('../native/errors')
const { linuxOnly } = require('../native/load')
const { unwrap } = require('../native/answer')

/** @typedef {import('../../index').PeerPolicy} PeerPolicy */
/** @typedef {import('../../index').PeerProcess} PeerProcess */

const MAX_U32 = 0xffffffff

/** @param {unknown} value */
const id = (value) => typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_U32
/** @param {unknown} value */
const text = (value) => typeof value === 'string' && value.length > 0 && !value.includes('\0')

/** @type {Record<string, { ok: (value: unknown) => boolean, expected: string }>} */
const FIELDS = {
  uid: { ok: id, expected: 'a user id, an integer from 0 to 4294967295' },
  gid: { ok: id, expected: 'a group id, an integer from 0 to 4294967295' },
  group: { ok: (value) => id(value) || text(value), expected: 'a group name or a group id' },
  exe: { ok: text, expected: 'an absolute path, or a directory followed by /*' },
  exeSha256: { ok: text, expected: '64 hexadecimal digits' },
  process: { ok: text, expected: 'a process name' },
  pid: { ok: id, expected: 'a process id' },
  cgroup: { ok: text, expected: 'a cgroup path, or one followed by /*' },
  unit: { ok: text, expected: 'the name of a systemd unit' },
  allowSpoofable: { ok: (value) => typeof value === 'boolean', expected: 'a boolean' }
}

/**
 * Evaluates the peer of a descriptor: returns the process it accepts, throws a CountersignError when it accepts none.
 * @typedef {(fd: number) => PeerProcess} Evaluate
 */

/**
 * @param {unknown} policy
 * @param {string} [name] what the argument is called, for messages
 * @returns {Evaluate}
 */
function compilePolicy(policy, name = 'policy') {
  if (typeof policy === 'function') return functionPolicy(/** @type {any} */ (policy), name)
  const list = Array.isArray(policy)
    ? Array.from(policy, (item, index) => read(item, `${name}[${index}]`))
    : [read(policy, name)]
  if (list.length === 0) throw invalidArgument(`${name}: an empty list of policies would accept nobody`)
  const set = linuxOnly('PolicySet', 'a policy for peers').parse(JSON.stringify(list))
  if ('failure' in set) throw invalidArgument(`${name}: ${set.failure.message}`)
  return (fd) => {
    const { toProcess } = require('./process')
    const answer = unwrap(set.authorize(fd))
    if (answer.denied === undefined) return toProcess(answer)
    throw denied(answer)
  }
}

/**
 * A copy, each value read once: what was checked is what holds.
 * @param {unknown} policy
 * @param {string} name
 */
function read(policy, name) {
  if (typeof policy !== 'object' || policy === null || Array.isArray(policy)) {
    throw invalidArgument(`${name}: expected an object, a list of objects or a function`)
  }
  // Every own property counts, also one that is not enumerable or a symbol: what was written must be understood.
  const keys = Reflect.ownKeys(policy)
  if (Object.getPrototypeOf(policy) !== Object.prototype && Object.getPrototypeOf(policy) !== null) {
    throw invalidArgument(`${name}: expected a plain object`)
  }
  /** @type {Record<string, unknown>} */
  const copy = Object.create(null)
  for (const key of keys) {
    const field = typeof key === 'string' && Object.hasOwn(FIELDS, key) ? FIELDS[key] : undefined
    if (!field) {
      throw invalidArgument(
        `${name}: unknown key ${JSON.stringify(String(key))} (known: ${Object.keys(FIELDS).join(', ')})`
      )
    }
    const value = /** @type {Record<string, unknown>} */ (policy)[/** @type {string} */ (key)]
    if (!field.ok(value)) {
      const got =
        value === undefined
          ? 'undefined (a condition that is not there must not be written down)'
          : typeof value === 'string'
            ? JSON.stringify(value)
            : shown(value)
      throw invalidArgument(`${name}.${String(key)}: expected ${field.expected}, got ${got}`)
    }
    copy[/** @type {string} */ (key)] = value
  }
  return copy
}

/**
 * @param {(peer: PeerProcess) => unknown} accepts
 * @param {string} name
 * @returns {Evaluate}
 */
function functionPolicy(accepts, name) {
  return (fd) => {
    const { peerProcess } = require('./process')
    const peer = peerProcess(fd)
    let verdict
    try {
      verdict = accepts(peer)
    } catch (cause) {
      throw new CountersignError('ERR_PEER_DENIED', `the ${name} function threw: ${reason(cause)}`, {
        field: 'function',
        peer,
        cause
      })
    }
    if (verdict === true) return peer
    if (verdict === false)
      throw new CountersignError('ERR_PEER_DENIED', `the ${name} function refused the peer (${describe(peer)})`, {
        field: 'function',
        peer
      })
    // A promise is truthy: taking it for "yes" would accept every peer.
    const promise = isPromise(verdict)
    if (promise) /** @type {Promise<unknown>} */ (verdict).catch(() => {})
    throw new CountersignError(
      'ERR_PEER_DENIED',
      `the ${name} function must return true or false at once, it returned ${promise ? 'a promise' : typeof verdict}`,
      { field: 'function', peer }
    )
  }
}

/** @param {{ pid?: number, uid?: number, gid?: number }} peer */
function describe(peer) {
  return ['pid', 'uid', 'gid'].map((key) => `${key} ${/** @type {any} */ (peer)[key] ?? 'unknown'}`).join(', ')
}

/** @param {{ denied: { field: string, expected: string, actual: string }[], credentials: any }} answer */
function denied({ denied: denials, credentials }) {
  const said = denials.map(({ field, expected, actual }) => `${field}: expected ${expected}, peer has ${actual}`)
  const message = `the peer (${describe(credentials)}) was refused: ${said.join('; ')}`
  const { field, expected, actual } = denials[0]
  return new CountersignError('ERR_PEER_DENIED', message, {
    field,
    expected,
    actual,
    denials,
    peer: require('./process').toCredentials(credentials)
  })
}

module.exports = { compilePolicy, describe }
