'use strict'
/** What the daemon answers, as JavaScript sees it. */

const inspect = Symbol.for('nodejs.util.inspect.custom')
const REDACTED = /** @type {const} */ ('[redacted]')

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
  constructor(identity, hostname, process, pid, uid, gid, instanceId, timestamp, extra) {
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
   * @returns {Record<string, unknown>}
   */
  toJSON() {
    return require('../internal/lossless-json').forJSON(wire(this), 'runner.toWire()')
  }

  /** The wire form as text, exact on every runtime. */
  toWire() {
    return require('../internal/lossless-json').write(wire(this), 'runner')
  }
}

/** @param {Runner} runner */
function wire(runner) {
  /** @type {Record<string, unknown>} */
  const out = Object.create(null)
  for (const [key, value] of Object.entries(runner.extra)) out[key] = value
  out.identity = runner.identity
  out.hostname = runner.hostname
  out.process = runner.process
  out.pid = runner.pid
  out.uid = runner.uid
  out.gid = runner.gid
  out.instance_id = runner.instanceId
  out.timestamp = runner.timestamp
  return out
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
  constructor(identity, idmUrl, configUrl, token, runner) {
    this.identity = identity
    this.idmUrl = idmUrl
    this.configUrl = configUrl
    this.#token = token
    this.runner = runner
    Object.freeze(this)
  }

  get token() {
    return this.#token
  }

  toJSON() {
    const { identity, idmUrl, configUrl, runner } = this
    return { identity, idmUrl, configUrl, token: REDACTED, runner }
  }

  toString() {
    return this.identity
  }

  /**
   * @param {number} _depth
   * @param {import('node:util').InspectOptions} options
   * @param {typeof import('node:util').inspect} show
   */
  [inspect](_depth, options, show) {
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
function buildIdentity(
  identity,
  idmUrl,
  configUrl,
  token,
  runnerIdentity,
  hostname,
  process,
  pid,
  uid,
  gid,
  instanceId,
  timestamp,
  extra
) {
  const fields = extra === undefined ? NO_EXTRA : parseExtra(extra)
  return new Identity(
    identity,
    idmUrl,
    configUrl,
    token,
    new Runner(runnerIdentity, hostname, process, pid, uid, gid, instanceId, timestamp, fields)
  )
}

/** @param {string} text */
function parseExtra(text) {
  const [extra, large] = JSON.parse(text)
  if (large.length > 0) require('../internal/lossless-json').restore(extra, large)
  // Without a prototype, a field called `constructor` or `toString` is only a field.
  return require('../internal/freeze').freezeDeep(Object.setPrototypeOf(extra, null))
}

module.exports = { Identity, Runner, buildIdentity }
