'use strict'
/** What live sources have in common: a feed, states, and a way to wait for the first good one. */

const { CountersignError, invalidArgument, shown } = require('../../native/errors')
const { publish } = require('../../internal/diagnostics')
const { checkOptions, checkSignal, checkTimeout } = require('../../internal/options')
const { endpointOf } = require('../workload-api/endpoint')
const { within } = require('../../internal/deadline')
const { Feed } = require('./feed')
const { Listeners } = require('./listeners')

/** @typedef {import('./feed').State} State */
/** @typedef {InstanceType<typeof CountersignError>} Failure */
/** @typedef {import('./feed').Event} Event */

/** A first answer that takes longer has a reason worth knowing. */
const DEFAULT_READY = 30_000

class Live {
  #feed
  #closed = false
  #listeners = new Listeners()
  /** Those who wait for something: closing ends their waiting. @type {Set<() => void>} */
  #waiting = new Set()
  #unsubscribe
  #grace
  /** Until when what was withdrawn may still be used. */
  #graceUntil = 0
  /** @type {NodeJS.Timeout | undefined} */
  #graceTimer

  /**
   * @param {import('./feed').Subject} subject
   * @param {Record<string, any>} options
   */
  constructor(subject, { endpoint, withdrawGrace = 0 }) {
    if (typeof withdrawGrace !== 'number' || !(withdrawGrace >= 0 && withdrawGrace <= 0x7fffffff)) {
      throw invalidArgument(
        `options.withdrawGrace: expected milliseconds from 0 to 2147483647, got ${shown(withdrawGrace)}`
      )
    }
    this.#grace = withdrawGrace
    this.#feed = Feed.take(endpointOf(endpoint), subject)
    this.endpoint = this.#feed.endpoint
    this.#unsubscribe = this.#feed.subscribe((event) => this.#happened(event))
  }

  /** @protected */
  get feed() {
    return this.#feed
  }

  /** @protected */
  get closed() {
    return this.#closed
  }

  /**
   * Whether the last message before a withdrawal may still be used.
   * @protected
   */
  get inGrace() {
    if (this.#grace === 0 || this.#feed.now.state !== 'withdrawn') return false
    // It begins when the withdrawal is first seen: a reader may be ahead of the event.
    if (this.#graceUntil === 0) this.#graceUntil = Date.now() + this.#grace
    return Date.now() < this.#graceUntil
  }

  /** @returns {State} */
  get state() {
    if (this.#closed) return 'closed'
    const { state } = this.#feed.now
    return state === 'withdrawn' && this.inGrace ? 'ready' : state
  }

  /** @returns {Failure | undefined} */
  get lastError() {
    return this.#closed ? undefined : this.#feed.lastError
  }

  get lastUpdate() {
    return this.#closed ? undefined : this.#feed.lastMessageAt
  }

  /** @returns {import('../../../types/workload-api').SourceCounters} */
  get counters() {
    return this.#feed.counters
  }

  /** @param {(event: any) => void} listener */
  subscribe(listener) {
    if (this.#closed) throw closed()
    return this.#listeners.add(listener)
  }

  /** @param {Event} event */
  #happened(event) {
    if (event.type === 'withdraw' && event.withdrawn && this.inGrace) {
      const left = this.#graceUntil - Date.now()
      this.#graceTimer = setTimeout(() => this.#over(event), left)
      this.#graceTimer.unref()
      this.#listeners.publish(Object.freeze({ ...event, grace: left }))
      return
    }
    if (event.type === 'update') {
      this.#graceUntil = 0
      clearTimeout(this.#graceTimer)
    }
    this.changed(event)
    this.#listeners.publish(event)
  }

  /** @param {Event} event the withdrawal whose grace is over */
  #over(event) {
    const final = Object.freeze({ ...event, grace: 0 })
    this.changed(final)
    this.#listeners.publish(final)
  }

  /**
   * For what has to be done before listeners get the event.
   * @protected
   * @param {Event} _event
   */
  changed(_event) {}

  /**
   * Why nothing can be had, as long as the state says so.
   * @protected
   * @returns {Failure}
   */
  unavailable() {
    if (this.#closed) return closed()
    const {
      now: { state },
      lastError: cause
    } = this.#feed
    const why = cause ? `: ${cause.message}` : ''
    const details = { state, endpoint: this.endpoint, ...(cause ? { cause } : {}) }
    switch (state) {
      case 'noIdentity':
        return new CountersignError(
          'ERR_NO_IDENTITY',
          `the Workload API has no identity for this process (is it registered, do its selectors match?)${why}`,
          { ...details, ...grpc(cause) }
        )
      case 'withdrawn':
        return new CountersignError(
          'ERR_IDENTITY_WITHDRAWN',
          `the Workload API has withdrawn the identity of this process${why}`,
          details
        )
      case 'closed':
        return new CountersignError('ERR_CLOSED', `the Workload API will not serve this process${why}`, details)
      default:
        return new CountersignError(
          'ERR_SOURCE_NOT_READY',
          `nothing was told yet by ${this.endpoint}${why || ' (await ready() first)'}`,
          details
        )
    }
  }

  /**
   * Reads, and says of a failure whether it is the last word. The two are of one moment: a feed that gives up in
   * between would have its last word said by the failure before.
   * @template T
   * @param {() => T} read
   * @returns {{ value: T } | { error: unknown, final: boolean }}
   */
  #attempt(read) {
    for (;;) {
      const final = this.#closed || this.#feed.now.givenUp
      try {
        return { value: read() }
      } catch (error) {
        if (final || !this.#feed.now.givenUp) return { error, final }
      }
    }
  }

  /**
   * @template T
   * @param {import('../../../index').ReadyOptions | undefined} options
   * @param {() => T} read
   * @returns {Promise<T>}
   * @protected
   */
  async untilReady(options, read) {
    const { signal, timeout = DEFAULT_READY } = checkOptions(options, ['signal', 'timeout'], 'options')
    checkSignal(signal, 'options.signal')
    checkTimeout(timeout, 'options.timeout')
    /** @type {() => void} */
    let stop = () => {}
    /** @type {unknown} */
    let cause
    const reached = new Promise((resolve, reject) => {
      const attempt = () => {
        const outcome = this.#attempt(read)
        if ('value' in outcome) return resolve(outcome.value)
        cause = outcome.error
        // Waiting helps against everything but these.
        const { code } = /** @type {any} */ (cause)
        if (outcome.final || code === 'ERR_INVALID_ARGUMENT' || !CountersignError.is(cause)) reject(cause)
      }
      const unlisten = this.#listeners.add(attempt)
      this.#waiting.add(attempt)
      stop = () => {
        unlisten()
        this.#waiting.delete(attempt)
      }
      attempt()
    })
    try {
      return await within(
        reached,
        { signal, timeout },
        () =>
          new CountersignError(
            'ERR_TIMEOUT',
            `not ready within ${timeout} ms: ${/** @type {any} */ (cause)?.message}`,
            { timeout, cause }
          )
      )
    } finally {
      stop()
    }
  }

  /**
   * @template T
   * @param {unknown} options
   * @param {() => { revision: number, value: T }} read throws while there is nothing
   * @returns {AsyncIterableIterator<T>}
   * @protected
   */
  follow(options, read) {
    const { signal, ref = false } = checkOptions(options, ['signal', 'ref'], 'options')
    checkSignal(signal, 'options.signal')
    if (typeof ref !== 'boolean') throw invalidArgument('options.ref: expected a boolean')
    signal?.throwIfAborted()
    // A file that most programs do without.
    const { updates } = require('./updates')
    return updates(
      {
        read: (seen) => {
          if (this.#closed) return null
          const outcome = this.#attempt(read)
          if ('value' in outcome) return outcome.value.revision === seen ? undefined : outcome.value
          if (outcome.final) throw outcome.error
          return undefined
        },
        subscribe: (listener) => {
          this.#waiting.add(listener)
          const unlisten = this.#listeners.add(listener)
          return () => {
            this.#waiting.delete(listener)
            unlisten()
          }
        },
        end: () => {}
      },
      { signal, ref }
    )
  }

  close() {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#graceTimer)
    this.#unsubscribe()
    this.#feed.release()
    this.disposed()
    const event = Object.freeze({ type: 'close' })
    publish('source.close', () => ({ endpoint: this.endpoint, subject: this.#feed.subject, ...event }))
    this.#listeners.publish(event)
    this.#listeners.clear()
    for (const wake of [...this.#waiting]) wake()
  }

  /** @protected */
  disposed() {}

  [Symbol.dispose]() {
    this.close()
  }

  async [Symbol.asyncDispose]() {
    this.close()
  }
}

function closed() {
  return new CountersignError('ERR_CLOSED', 'the source is closed', { state: 'closed' })
}

/** @param {any} cause */
function grpc(cause) {
  return cause?.grpcCode
    ? { grpcCode: cause.grpcCode, grpcStatus: cause.grpcStatus, grpcMessage: cause.grpcMessage }
    : {}
}

module.exports = { Live, closed }
