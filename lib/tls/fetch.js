'use strict'
/** The host's own `fetch`, with an identity. */

const { CountersignError, invalidArgument, shown } = require('../native/errors')
const { Client } = require('./client')
const { readLifetimes } = require('./lifetimes')
const { connector } = require('./undici-connect')

const OPTIONS = ['closeOnWithdraw', 'closeOnBundleRemoval']

/**
 * Where a fetch of undici looks for its dispatcher: from version 8 on, and before. Packages may put theirs there too.
 */
const DISPATCHERS = { 1: Symbol.for('undici.globalDispatcher.1'), 2: Symbol.for('undici.globalDispatcher.2') }
const HOSTS = Number.parseInt(process.versions.undici ?? '0', 10) >= 8 ? DISPATCHERS[2] : DISPATCHERS[1]

/** @typedef {{ close (): Promise<void>, destroy (): Promise<void> }} Dispatcher */
/** @typedef {(options: object) => Dispatcher} MakeDispatcher */

/**
 * Makes dispatchers that fit the host's fetch: one of another version of undici need not.
 * @returns {Promise<MakeDispatcher>}
 */
async function hostDispatchers() {
  const place = /** @type {any} */ (globalThis)
  // The first use of fetch puts the host's own dispatcher there, unless another package was faster.
  if (place[HOSTS] === undefined) await (await fetch('data:,')).arrayBuffer()
  const found = place[HOSTS]?.constructor
  if (found?.name === 'Agent') return (options) => new found(options)
  // Undici 8 serves older hosts too: with this in front of its own.
  const newer = place[DISPATCHERS[2]]?.constructor
  if (found?.name === 'Dispatcher1Wrapper' && newer?.name === 'Agent') return (options) => new found(new newer(options))
  throw new CountersignError(
    'ERR_UNSUPPORTED_PLATFORM',
    'this runtime has no fetch of undici to give an identity to, or its global dispatcher was replaced: pass { ' +
      'undici }, or use createAgent'
  )
}

/**
 * @param {unknown} source
 * @param {unknown} authorize
 * @param {import('../../types/tls').FetchOptions} [options]
 */
function createFetch(source, authorize, options = {}) {
  // The age is that of the pool here: undici alone knows when a connection is idle.
  const { undici, connectTimeout, maxConnectionAge, ...rest } = options
  if (undici !== undefined && (typeof undici?.fetch !== 'function' || typeof undici.Agent !== 'function')) {
    throw invalidArgument(`options.undici: expected the module undici, got ${shown(undici)}`)
  }
  const client = new Client(source, authorize, rest, OPTIONS)
  const connect = connector(client, connectTimeout === undefined ? {} : { connectTimeout })
  const pool = new Pool(
    undici ? async () => (/** @type {object} */ options) => new undici.Agent(options) : hostDispatchers,
    connect,
    readLifetimes({ maxConnectionAge }).maxAge
  )

  /**
   * @param {any} input
   * @param {any} [init]
   */
  async function spiffeFetch(input, init) {
    if (init?.dispatcher !== undefined) throw invalidArgument('init.dispatcher: this fetch has a dispatcher of its own')
    const dispatcher = await pool.current()
    return /** @type {any} */ (undici?.fetch ?? fetch)(input, { ...init, dispatcher })
  }
  /** Requests in flight are finished. */
  spiffeFetch.close = async () => {
    client.close()
    await pool.close()
  }
  Object.defineProperty(spiffeFetch, Symbol.asyncDispose, { value: spiffeFetch.close })
  return /** @type {import('../../types/tls').SpiffeFetch} */ (/** @type {unknown} */ (spiffeFetch))
}

/** The dispatcher in use. One that is old takes no more requests, finishes those it has, and is replaced. */
class Pool {
  #dispatchers
  #connect
  #maxAge
  /** @type {Promise<Dispatcher> | undefined} */
  #dispatcher
  #bestBefore = Infinity
  #closed = false

  /**
   * @param {() => Promise<MakeDispatcher>} dispatchers
   * @param {ReturnType<typeof connector>} connect
   * @param {number | 'svid' | undefined} maxAge
   */
  constructor(dispatchers, connect, maxAge) {
    if (maxAge === 'svid')
      throw invalidArgument(
        `options.maxConnectionAge: a pool for many peers has no SVID of its own, expected milliseconds`
      )
    this.#dispatchers = dispatchers
    this.#connect = connect
    this.#maxAge = maxAge
  }

  current() {
    if (this.#closed) throw new CountersignError('ERR_CLOSED', 'this fetch was closed')
    if (this.#dispatcher && Date.now() >= this.#bestBefore) this.#retire()
    if (!this.#dispatcher) {
      this.#dispatcher = this.#dispatchers().then((make) => make({ connect: this.#connect }))
      if (this.#maxAge !== undefined) this.#bestBefore = Date.now() + this.#maxAge
      // A host that cannot is asked again next time.
      this.#dispatcher.catch(() => {
        this.#dispatcher = undefined
      })
    }
    return this.#dispatcher
  }

  async #retire() {
    const old = this.#dispatcher
    this.#dispatcher = undefined
    await (await old)?.close()
  }

  async close() {
    this.#closed = true
    await this.#retire()
  }
}

module.exports = { createFetch }
