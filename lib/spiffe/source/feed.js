'use strict'
/** This thread's view of a live stream. All sources of an endpoint look through the same one. */

const { publish } = require('../../internal/diagnostics')
const { native } = require('../../native/load')
const { answer, fromFailure } = require('../../native/answer')
const { listen, mailbox, unlisten } = require('../../native/mailbox')

const SUBJECTS = Object.freeze({ x509: 0, x509Bundles: 1, jwtBundles: 2 })

/** @typedef {import('../../../types/workload-api').SourceCounters} Counters */
/** @typedef {keyof typeof SUBJECTS} Subject */
/** @typedef {'connecting' | 'ready' | 'noIdentity' | 'withdrawn' | 'closed'} State */
/** @typedef {{ type: string, [detail: string]: any }} Event */
/**
 * How a feed stands at one moment. `givenUp`: nothing will change any more. `lastMessage`: the last one of the Workload
 * API, while it counts.
 * @typedef {{
 *   readonly revision: number,
 *   readonly state: State,
 *   readonly givenUp: boolean,
 *   readonly lastMessage: import('../../../types/native').X509Context | undefined,
 * }} Snapshot
 */

/** @type {Map<string, Feed>} */
const feeds = new Map()

class Feed {
  #native
  #key
  #name
  #users = 1
  /** @type {Set<(event: Event) => void>} */
  #listeners = new Set()
  /** @type {Snapshot} */
  #snapshot = { revision: -1, state: 'connecting', givenUp: false, lastMessage: undefined }
  /** What it did, once it is over. @type {Counters | undefined} */
  #counted

  /**
   * @param {string} endpoint
   * @param {Subject} subject
   * @param {string} name
   */
  constructor(endpoint, subject, name) {
    this.endpoint = endpoint
    this.subject = subject
    this.#name = name
    this.#key = listen((text) => this.#happened(JSON.parse(text)))
    try {
      this.#native = answer(native.Feed.open(mailbox(), this.#key, endpoint, SUBJECTS[subject]), Feed)
    } catch (error) {
      unlisten(this.#key)
      throw error
    }
  }

  /**
   * The view of an endpoint's stream. Each `take` needs a `release`.
   * @param {string} endpoint
   * @param {Subject} subject
   */
  static take(endpoint, subject) {
    const name = `${subject} ${endpoint}`
    const known = feeds.get(name)
    // A feed that has given up is of no use to a new source.
    if (known && !known.now.givenUp) {
      known.#users++
      return known
    }
    const feed = new Feed(endpoint, subject, name)
    feeds.set(name, feed)
    return feed
  }

  release() {
    if (--this.#users > 0) return
    this.#counted = this.counters
    unlisten(this.#key)
    if (feeds.get(this.#name) === this) feeds.delete(this.#name)
    this.#snapshot = { ...this.#snapshot, lastMessage: undefined }
    // What the collector would do some day.
    this.#native.close()
  }

  /**
   * How it stands now: the same object until something changes, and to know that costs a look at a number. Whoever
   * wants to know two things takes both out of one: the next look may find another one.
   */
  get now() {
    const { revision } = this.#snapshot
    return this.#native.revision() === revision ? this.#snapshot : this.#look()
  }

  #look() {
    // Text and context are read one after the other: they belong together when nothing happened in between.
    for (;;) {
      const { revision, state, givenUp } = JSON.parse(this.#native.snapshot())
      const lastMessage = this.#native.context() ?? undefined
      if (this.#native.revision() === revision)
        return (this.#snapshot = Object.freeze({ revision, state, givenUp, lastMessage }))
    }
  }

  /** What went wrong since something was last told. */
  get lastError() {
    const { error } = JSON.parse(this.#native.snapshot())
    return error === null ? undefined : fromFailure(error)
  }

  /** When something was last told, changed or not. */
  get lastMessageAt() {
    const { toldAt } = JSON.parse(this.#native.snapshot())
    return toldAt === null ? undefined : new Date(toldAt)
  }

  /** @returns {Counters} */
  get counters() {
    return this.#counted ?? Object.freeze(JSON.parse(this.#native.counters()))
  }

  /**
   * @param {(event: Event) => void} listener
   * @returns {() => void} the way out
   */
  subscribe(listener) {
    // A function that subscribes twice is called twice.
    const own = (/** @type {Event} */ event) => listener(event)
    this.#listeners.add(own)
    return () => {
      this.#listeners.delete(own)
    }
  }

  /** @param {any} said */
  #happened({ type, error, expiresAt, ...rest }) {
    /** @type {Event} */
    const event = Object.freeze({
      type,
      ...rest,
      ...(error ? { error: fromFailure(error) } : {}),
      ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt) })
    })
    publish(`source.${event.type}`, () => ({ endpoint: this.endpoint, subject: this.subject, ...event }))
    for (const listener of [...this.#listeners]) listener(event)
  }
}

module.exports = { Feed }
