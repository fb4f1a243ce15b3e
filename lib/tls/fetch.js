'use strict'
/** The host's own `fetch`, with an identity. */

const { CountersignError, invalidArgument, shown } = require('../errors')
const { Client } = require('./client')
const { readLifetimes } = require('./lifetimes')
const { connector } = require('./undici-connect')

const asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')
const OPTIONS = ['closeOnWithdraw', 'closeOnBundleRemoval']

/** Where hosts keep the dispatcher of their fetch: Node.js 26, and those before. */
const GLOBAL_DISPATCHERS = [Symbol.for('undici.globalDispatcher.2'), Symbol.for('undici.globalDispatcher.1')]

/** @typedef {{ close (): Promise<void>, destroy (): Promise<void> }} Dispatcher */
/** @typedef {{ new (options: object): Dispatcher }} AgentClass */

/**
 * The Agent that the host's fetch is made for: one of another version of undici need not fit.
 * @returns {Promise<AgentClass>}
 */
async function hostAgent () {
  // The dispatcher is there after the first use.
  await (await fetch('data:,')).arrayBuffer()
  for (const symbol of GLOBAL_DISPATCHERS) {
    const found = /** @type {any} */ (globalThis)[symbol]?.constructor
    if (found?.name === 'Agent') return found
  }
  throw new CountersignError('ERR_UNSUPPORTED_PLATFORM', 'this runtime has no fetch of undici to give an identity to, or its global dispatcher was replaced: pass { undici }, or use createAgent')
}

/**
 * @param {unknown} source
 * @param {unknown} authorize
 * @param {import('../../tls').FetchOptions} [options]
 */
function createFetch (source, authorize, options = {}) {
  // The age is that of the pool here: undici alone knows when a connection is idle.
  const { undici, connectTimeout, maxConnectionAge, ...rest } = options
  if (undici !== undefined && (typeof undici?.fetch !== 'function' || typeof undici.Agent !== 'function')) {
    throw invalidArgument(`options.undici: expected the module undici, got ${shown(undici)}`)
  }
  const client = new Client(source, authorize, rest, OPTIONS)
  const connect = connector(client, connectTimeout === undefined ? {} : { connectTimeout })
  const pool = new Pool(undici ? async () => /** @type {AgentClass} */ (undici.Agent) : hostAgent, connect, readLifetimes({ maxConnectionAge }).maxAge)

  /**
   * @param {any} input
   * @param {any} [init]
   */
  async function spiffeFetch (input, init) {
    if (init?.dispatcher !== undefined) throw invalidArgument('init.dispatcher: this fetch has a dispatcher of its own')
    const dispatcher = await pool.current()
    return /** @type {any} */ (undici?.fetch ?? fetch)(input, { ...init, dispatcher })
  }
  /** Requests in flight are finished. */
  spiffeFetch.close = async () => {
    client.close()
    await pool.close()
  }
  Object.defineProperty(spiffeFetch, asyncDispose, { value: spiffeFetch.close })
  return /** @type {import('../../tls').SpiffeFetch} */ (/** @type {unknown} */ (spiffeFetch))
}

/** The dispatcher in use. One that is old takes no more requests, finishes those it has, and is replaced. */
class Pool {
  #agentClass
  #connect
  #maxAge
  /** @type {Promise<Dispatcher> | undefined} */
  #dispatcher
  #bestBefore = Infinity
  #closed = false

  /**
   * @param {() => Promise<AgentClass>} agentClass
   * @param {ReturnType<typeof connector>} connect
   * @param {number | 'svid' | undefined} maxAge
   */
  constructor (agentClass, connect, maxAge) {
    if (maxAge === 'svid') throw invalidArgument(`options.maxConnectionAge: a pool for many peers has no SVID of its own, expected milliseconds`)
    this.#agentClass = agentClass
    this.#connect = connect
    this.#maxAge = maxAge
  }

  current () {
    if (this.#closed) throw new CountersignError('ERR_CLOSED', 'this fetch was closed')
    if (this.#dispatcher && Date.now() >= this.#bestBefore) this.#retire()
    if (!this.#dispatcher) {
      this.#dispatcher = this.#agentClass().then((Agent) => new Agent({ connect: this.#connect }))
      if (this.#maxAge !== undefined) this.#bestBefore = Date.now() + this.#maxAge
      // A host that cannot is asked again next time.
      this.#dispatcher.catch(() => { this.#dispatcher = undefined })
    }
    return this.#dispatcher
  }

  async #retire () {
    const old = this.#dispatcher
    this.#dispatcher = undefined
    await (await old)?.close()
  }

  async close () {
    this.#closed = true
    await this.#retire()
  }
}

module.exports = { createFetch }
