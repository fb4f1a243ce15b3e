'use strict'
/** What the daemon answers, as JavaScript sees it. */

const { invalidArgument } = require('./errors')

const inspect = Symbol.for('nodejs.util.inspect.custom')
const REDACTED = '[redacted]'

/** @type {((text: string) => object) | undefined} */
const rawJSON = /** @type {any} */ (JSON).rawJSON

/** The process as the daemon saw it. */
class Runner {
  /**
   * @param {string} identity
   * @param {string} hostname
   * @param {string} process
   * @param {number | undefined} pid
   * @param {number | undefined} uid
   * @param {number | undefined} gid
   * @param {number | bigint | undefined} instanceId
   * @param {number | bigint | undefined} timestamp
   * @param {Record<string, unknown>} extra
   */
  constructor (identity, hostname, process, pid, uid, gid, instanceId, timestamp, extra) {
    this.identity = identity
    this.hostname = hostname
    this.process = process
    this.pid = pid
    this.uid = uid
    this.gid = gid
    this.instanceId = instanceId
    this.timestamp = timestamp
    this.extra = extra
    Object.freeze(this)
  }

  /**
   * The wire form: snake_case, extras flattened; what the daemon vouches for overwrites an extra of that name.
   * Integers that a number cannot hold stay exact where the runtime has JSON.rawJSON; elsewhere they would have to be
   * rounded, which is refused.
   */
  toJSON () {
    return wire(this, exactJSON)
  }

  /** The wire form as text, exact on every runtime. */
  toWire () {
    /** @type {string[]} */
    const exact = []
    // Numbers beyond 2^53 leave as a marker no other string can contain (a random one), and come back as digits.
    const marker = `\u0000${require('node:crypto').randomUUID()}:`
    const text = JSON.stringify(wire(this, (value) => marker + (exact.push(String(value)) - 1)))
    const quoted = JSON.stringify(marker).slice(0, -1)
    return exact.reduce((all, digits, index) => all.replace(`${quoted}${index}"`, digits), text)
  }
}

/**
 * @param {Runner} runner
 * @param {(value: bigint) => unknown} exact
 */
function wire (runner, exact) {
  /** @type {Record<string, unknown>} */
  const out = Object.create(null)
  for (const [key, value] of Object.entries(runner.extra)) out[key] = deepExact(value, exact)
  out.identity = runner.identity
  out.hostname = runner.hostname
  out.process = runner.process
  out.pid = runner.pid
  out.uid = runner.uid
  out.gid = runner.gid
  out.instance_id = typeof runner.instanceId === 'bigint' ? exact(runner.instanceId) : runner.instanceId
  out.timestamp = typeof runner.timestamp === 'bigint' ? exact(runner.timestamp) : runner.timestamp
  return out
}

/**
 * @param {unknown} value
 * @param {(value: bigint) => unknown} exact
 * @returns {unknown}
 */
function deepExact (value, exact) {
  if (typeof value === 'bigint') return exact(value)
  if (Array.isArray(value)) return value.map((item) => deepExact(item, exact))
  if (typeof value !== 'object' || value === null) return value
  /** @type {Record<string, unknown>} */
  const out = Object.create(null)
  for (const [key, item] of Object.entries(value)) out[key] = deepExact(item, exact)
  return out
}

/** @param {bigint} value */
function exactJSON (value) {
  if (rawJSON) return rawJSON(String(value))
  throw invalidArgument(`this runtime cannot write the integer ${value} with JSON.stringify; use runner.toWire()`)
}

/** Who the daemon says we are. The token is read by its name and shown nowhere. */
class Identity {
  #token

  /**
   * @param {string} identity
   * @param {string} idmUrl
   * @param {string} configUrl
   * @param {string} token
   * @param {Runner} runner
   */
  constructor (identity, idmUrl, configUrl, token, runner) {
    this.identity = identity
    this.idmUrl = idmUrl
    this.configUrl = configUrl
    this.#token = token
    this.runner = runner
    Object.freeze(this)
  }

  get token () { return this.#token }

  toJSON () {
    const { identity, idmUrl, configUrl, runner } = this
    return { identity, idmUrl, configUrl, token: REDACTED, runner }
  }

  toString () { return this.identity }

  /**
   * @param {number} depth
   * @param {import('node:util').InspectOptions} options
   * @param {typeof import('node:util').inspect} show
   */
  [inspect] (depth, options, show) {
    const { identity, idmUrl, configUrl, runner } = this
    return `Identity ${show({ identity, idmUrl, configUrl, token: REDACTED, runner }, options)}`
  }
}

const NO_EXTRA = Object.freeze(Object.create(null))

/**
 * The thirteen values of an answer, in the order the addon gives them.
 * @param {string} identity
 * @param {string} idmUrl
 * @param {string} configUrl
 * @param {string} token
 * @param {string} runnerIdentity
 * @param {string} hostname
 * @param {string} process
 * @param {number | undefined} pid
 * @param {number | undefined} uid
 * @param {number | undefined} gid
 * @param {number | bigint | undefined} instanceId
 * @param {number | bigint | undefined} timestamp
 * @param {string | undefined} extra
 */
function buildIdentity (identity, idmUrl, configUrl, token, runnerIdentity, hostname, process, pid, uid, gid, instanceId, timestamp, extra) {
  const fields = extra === undefined ? NO_EXTRA : parseExtra(extra)
  return new Identity(identity, idmUrl, configUrl, token,
    new Runner(runnerIdentity, hostname, process, pid, uid, gid, instanceId, timestamp, fields))
}

/** @param {string} text */
function parseExtra (text) {
  const [extra, large] = JSON.parse(text)
  for (const [path, digits] of large) {
    let at = extra
    for (const step of path.slice(0, -1)) at = at[step]
    // Not an assignment: the name may be `__proto__`, which JSON.parse made an ordinary property.
    Object.defineProperty(at, path.at(-1), { value: BigInt(digits), writable: true, enumerable: true, configurable: true })
  }
  // Without a prototype, a field called `constructor` or `toString` is only a field.
  return freezeDeep(Object.setPrototypeOf(extra, null))
}

/**
 * @template T
 * @param {T} value
 * @returns {T}
 */
function freezeDeep (value) {
  if (typeof value === 'object' && value !== null) {
    for (const item of Object.values(value)) freezeDeep(item)
    Object.freeze(value)
  }
  return value
}

module.exports = { Identity, Runner, buildIdentity }
