'use strict'
/** How long connections that were let in may stay. By default, until one side ends them. */

const { invalidArgument, shown } = require('../native/errors')
const { verifyChain } = require('./verify')
const { anybody } = require('../spiffe/authorizer')
const { report } = require('./rejection')
const { checkFlag } = require('./settings')
const { currentContext } = require('./source')

/** @typedef {import('node:tls').TLSSocket} TLSSocket */

/**
 * One connection. `retire` ends it gently, when the protocol on it has such a way.
 * @typedef {object} Connection
 * @property {TLSSocket} socket
 * @property {InstanceType<typeof import('./peer').Peer> | undefined} peer
 * @property {readonly Uint8Array[] | undefined} chain
 * @property {(() => void) | undefined} retire
 * @property {NodeJS.Timeout | undefined} timer
 */

/** What a timer takes. */
const MAX_TIMER = 0x7fffffff
/** How much earlier than asked for a connection may be ended, so that not all of them go at once. */
const JITTER = 0.1
/** How long a connection without a gentle way to end it may go on after it was half-closed. */
const GRACE = 10_000
/** Chains verified again in one turn of the event loop. */
const AT_ONCE = 64

/**
 * Rules that say that no authority stands for the peer any more. A certificate that merely expired, or a name that is
 * no longer authorized, stays connected.
 */
const WITHOUT_TRUST = new Set(['unknown_issuer', 'invalid_signature', 'no_bundle', 'no_authorities'])

const LIFETIMES = ['maxConnectionAge', 'closeOnWithdraw', 'closeOnBundleRemoval']

/** @param {Record<string, unknown>} options */
function readLifetimes({ maxConnectionAge, closeOnWithdraw, closeOnBundleRemoval }) {
  if (
    maxConnectionAge !== undefined &&
    maxConnectionAge !== 'svid' &&
    !(typeof maxConnectionAge === 'number' && maxConnectionAge > 0)
  ) {
    throw invalidArgument(
      `options.maxConnectionAge: expected milliseconds greater than 0, or 'svid', got ${shown(maxConnectionAge)}`
    )
  }
  return {
    maxAge: /** @type {number | 'svid' | undefined} */ (maxConnectionAge),
    closeOnWithdraw: checkFlag(closeOnWithdraw, 'options.closeOnWithdraw'),
    closeOnBundleRemoval: checkFlag(closeOnBundleRemoval, 'options.closeOnBundleRemoval')
  }
}

class Lifetimes {
  #source
  #side
  #limits
  #onReject
  /** @type {Set<Connection>} */
  #connections = new Set()
  /** The bundles the connections were last verified with. @type {unknown} */
  #bundles

  /**
   * @param {import('../../types/tls').TlsSource} source
   * @param {'server' | 'client'} side which one we are
   * @param {ReturnType<typeof readLifetimes>} limits
   * @param {((rejection: import('../../types/tls').Rejection) => void) | undefined} onReject
   */
  constructor(source, side, limits, onReject) {
    this.#source = source
    this.#side = side
    this.#limits = limits
    this.#onReject = onReject
  }

  get size() {
    return this.#connections.size
  }

  /** Whether anything but the two sides ends connections. */
  get ends() {
    return this.#limits.maxAge !== undefined || this.watches
  }

  /** Whether anything that the source says ends connections. */
  get watches() {
    return this.#limits.closeOnWithdraw || this.#limits.closeOnBundleRemoval
  }

  /**
   * @param {TLSSocket} socket
   * @param {object} who
   * @param {InstanceType<typeof import('./peer').Peer> | undefined} [who.peer]
   * @param {readonly Uint8Array[] | undefined} [who.chain]
   * @returns {Connection | undefined} `undefined` when nothing ends it
   */
  add(socket, { peer, chain }) {
    if (!this.ends) return undefined
    /** @type {Connection} */
    const connection = { socket, peer, chain, retire: undefined, timer: undefined }
    this.#connections.add(connection)
    socket.once('close', () => {
      clearTimeout(connection.timer)
      this.#connections.delete(connection)
    })
    const { maxAge } = this.#limits
    if (typeof maxAge === 'number') this.#schedule(connection, Date.now() + maxAge * (1 - JITTER * Math.random()))
    else if (maxAge === 'svid' && peer) this.#schedule(connection, peer.expiresAt.getTime())
    return connection
  }

  /**
   * @param {Connection} connection
   * @param {number} at
   */
  #schedule(connection, at) {
    const left = at - Date.now()
    connection.timer = setTimeout(
      () => {
        if (Date.now() < at) this.#schedule(connection, at)
        else retire(connection)
      },
      Math.min(Math.max(left, 0), MAX_TIMER)
    )
    connection.timer.unref?.()
  }

  /**
   * The source has said something.
   * @param {{ type?: string } | undefined} event
   */
  sourceChanged(event) {
    let context
    try {
      context = currentContext(this.#source)
    } catch (error) {
      const withdrawn = event?.type === 'withdraw' || /** @type {any} */ (error)?.code === 'ERR_IDENTITY_WITHDRAWN'
      if (withdrawn && this.#limits.closeOnWithdraw) this.closeAll()
      return
    }
    if (!this.#limits.closeOnBundleRemoval || context.bundles === this.#bundles) return
    this.#bundles = context.bundles
    this.#verifyAgain([...this.#connections], context)
  }

  /**
   * @param {Connection[]} left
   * @param {import('../../types/tls').TlsSourceContext} context
   */
  #verifyAgain(left, context) {
    for (const { socket, peer, chain } of left.splice(0, AT_ONCE)) {
      if (!peer || !chain) continue
      // An SVID that expired meanwhile is no sign that its authority is gone.
      const now = new Date(Math.min(Date.now(), peer.expiresAt.getTime()))
      const { error } = verifyChain(chain, context, anybody, this.#side === 'server' ? 'clientAuth' : 'serverAuth', now)
      if (error?.rule === undefined || !WITHOUT_TRUST.has(error.rule)) continue
      report({ side: this.#side, error, leaf: chain[0], socket }, this.#onReject)
      socket.destroy()
    }
    // Bundles that changed again are looked at by themselves.
    if (left.length > 0 && this.#bundles === context.bundles) setImmediate(() => this.#verifyAgain(left, context))
  }

  closeAll() {
    for (const { socket } of this.#connections) socket.destroy()
  }
}

/** @param {Connection} connection */
function retire(connection) {
  if (connection.retire) return connection.retire()
  const { socket } = connection
  socket.end()
  connection.timer = setTimeout(() => socket.destroy(), GRACE)
  connection.timer.unref?.()
}

module.exports = { Lifetimes, readLifetimes, LIFETIMES, GRACE }
