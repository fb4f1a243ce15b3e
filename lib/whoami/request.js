'use strict'
/** What a caller says about itself, as it goes over the wire. */

const { invalidArgument, reason, shown } = require('../native/errors')
const { checkOptions } = require('../internal/options')

/** Names that only the daemon may set, and the two typed ones. */
const RESERVED = new Set(['identity', 'hostname', 'process', 'pid', 'uid', 'gid', 'instance_id', 'timestamp'])
const MAX_U64 = 2n ** 64n - 1n
const MAX_REQUEST = 1024 * 1024
/** Parsers stop at some depth, a daemon's commonly at 128; and so must we, or a stack overflows. */
const MAX_DEPTH = 100

/**
 * @param {unknown} runner
 * @returns {string}
 */
function writeRequest(runner) {
  const { instanceId, timestamp, extra } = checkOptions(runner, ['instanceId', 'timestamp', 'extra'], 'runner')
  const parts = []
  if (instanceId !== undefined) parts.push(`"instance_id":${u64(instanceId, 'runner.instanceId')}`)
  if (timestamp !== undefined) {
    const seconds = timestamp instanceof Date ? Math.floor(timestamp.getTime() / 1000) : timestamp
    parts.push(`"timestamp":${u64(seconds, 'runner.timestamp')}`)
  }
  const fields = writeExtra(extra)
  if (fields !== '') parts.push(fields)
  const request = `{"runner":{${parts.join(',')}}}`
  const length = Buffer.byteLength(request)
  if (length > MAX_REQUEST) throw invalidArgument(`runner: ${length} bytes, at most ${MAX_REQUEST} can be sent`)
  return request
}

/**
 * @param {unknown} value
 * @param {string} name
 */
function u64(value, name) {
  if (typeof value === 'bigint' && value >= 0n && value <= MAX_U64) return String(value)
  if (Number.isSafeInteger(value) && /** @type {number} */ (value) >= 0) return String(value)
  if (typeof value === 'number' && Number.isInteger(value) && value > 0) {
    throw invalidArgument(`${name}: ${value} is beyond what a number holds exactly; pass a bigint`)
  }
  throw invalidArgument(`${name}: expected an integer from 0 to 2^64-1 (number or bigint), got ${shown(value)}`)
}

/**
 * The members of `extra`, without the braces.
 * @param {unknown} extra
 */
function writeExtra(extra) {
  if (extra === undefined) return ''
  if (typeof extra !== 'object' || extra === null || Array.isArray(extra))
    throw invalidArgument('runner.extra: expected an object')
  let text
  try {
    text = JSON.stringify(extra)
  } catch (cause) {
    throw invalidArgument(`runner.extra: cannot be written as JSON: ${reason(cause)}`, { cause })
  }
  // What counts is what was written: toJSON and getters may have said something else than the object shows.
  const written = text === undefined ? undefined : JSON.parse(text)
  if (typeof written !== 'object' || written === null || Array.isArray(written))
    throw invalidArgument('runner.extra: is not written as a JSON object')
  for (const key of Object.keys(written)) {
    if (RESERVED.has(key)) {
      throw invalidArgument(`runner.extra: ${JSON.stringify(key)} is a name of the protocol and cannot be an extra`)
    }
  }
  checkWellFormed(written, 'runner.extra')
  return text.slice(1, -1)
}

/**
 * A lone surrogate leaves as an escape that no strict parser takes.
 * @param {unknown} value
 * @param {string} name
 * @param {number} [depth]
 */
function checkWellFormed(value, name, depth = 0) {
  if (depth > MAX_DEPTH) throw invalidArgument(`${name}: is nested deeper than ${MAX_DEPTH} levels`)
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw invalidArgument(`${name}: a string with a lone surrogate cannot be sent`)
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      checkWellFormed(key, name)
      checkWellFormed(item, name, depth + 1)
    }
  }
}

module.exports = { writeRequest }
