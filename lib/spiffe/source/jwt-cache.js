'use strict'
/** Tokens, fetched once and kept fresh for as long as they are used. */

const { RecentMap } = require('../../internal/recent-map')

/** @typedef {import('../../../types/spiffe').JwtSvid} JwtSvid */

/**
 * One token, or the way to it.
 * @typedef {{
 *   svid: JwtSvid | undefined,
 *   until: number,
 *   coming: Promise<JwtSvid> | undefined,
 *   used: boolean,
 *   failedAt: number,
 *   timer: NodeJS.Timeout | undefined,
 *   fetch: () => Promise<JwtSvid>,
 * }} Entry
 */

/** A token is not handed out in the last part of its life: it has to be valid still when the server verifies it. */
const MARGIN = 0.1
const LONGEST_MARGIN = 30_000
/** After a refresh that failed, the next one that is asked for waits this long. */
const PAUSE = 1000

class JwtCache {
  /** @type {InstanceType<typeof RecentMap<string, Entry>>} */
  #entries
  #counters = { hits: 0, misses: 0, refreshes: 0, failures: 0, evictions: 0 }

  /** @param {number} limit how many tokens are kept */
  constructor(limit) {
    this.#entries = new RecentMap(limit)
  }

  get counters() {
    return { ...this.#counters, size: this.#entries.size }
  }

  /**
   * The token of this key if there is one that may be used now and is not to be renewed, without waiting.
   * @param {string} key
   */
  now(key) {
    const entry = this.#entries.get(key)
    if (entry?.svid === undefined || Date.now() >= entry.until || entry.svid.needsRotation()) return undefined
    entry.used = true
    this.#counters.hits++
    this.#entries.set(key, entry)
    return entry.svid
  }

  /**
   * The token of this key. However many ask at once, it is fetched once.
   * @param {string} key
   * @param {() => Promise<JwtSvid>} fetch
   * @returns {Promise<JwtSvid>}
   */
  async get(key, fetch) {
    const entry = this.#entry(key, fetch)
    const left = entry.until - Date.now()
    if (entry.svid && left > 0) {
      this.#counters.hits++
      // Late, because its timer was: the caller need not wait for that.
      if (entry.svid.needsRotation() && Date.now() - entry.failedAt >= PAUSE) this.#renew(key, entry)
      return entry.svid
    }
    this.#counters.misses++
    return await this.#refresh(key, entry)
  }

  /**
   * @param {string} key
   * @param {() => Promise<JwtSvid>} fetch
   */
  #entry(key, fetch) {
    let entry = this.#entries.get(key)
    entry ??= { svid: undefined, until: 0, coming: undefined, used: true, failedAt: 0, timer: undefined, fetch }
    entry.used = true
    entry.fetch = fetch
    const removed = this.#entries.set(key, entry)
    if (removed) this.#evicted(removed)
    return entry
  }

  /**
   * @param {string} key
   * @param {Entry} entry
   * @returns {Promise<JwtSvid>}
   */
  #refresh(key, entry) {
    if (entry.coming) return entry.coming
    const coming = entry
      .fetch()
      .then(
        (svid) => {
          // Flushed meanwhile: this caller gets it, it is not kept.
          if (this.#entries.get(key) === entry) this.#keep(key, entry, svid)
          return svid
        },
        (error) => {
          this.#counters.failures++
          entry.failedAt = Date.now()
          // A token that is denied now must not be handed out any more; and nothing is kept of one that never came.
          if (error?.code === 'ERR_NO_IDENTITY' || entry.svid === undefined) {
            if (this.#entries.get(key) === entry) this.#drop(key)
          }
          throw error
        }
      )
      .finally(() => {
        entry.coming = undefined
      })
    entry.coming = coming
    return coming
  }

  /**
   * @param {string} key
   * @param {Entry} entry
   * @param {JwtSvid} svid
   */
  #keep(key, entry, svid) {
    const now = Date.now()
    const expires = svid.expiresAt.getTime()
    const lifetime = expires - Math.min(svid.issuedAt?.getTime() ?? now, now)
    entry.svid = svid
    entry.until = expires - Math.min(lifetime * MARGIN, LONGEST_MARGIN)
    entry.used = false
    clearTimeout(entry.timer)
    // Half of what is left of it, so that a clock that differs does not make it an endless loop.
    const half = Math.max((expires - now) / 2, 1000)
    entry.timer = setTimeout(() => this.#due(key, entry), Math.min(half, 0x7fffffff))
    entry.timer.unref()
  }

  /**
   * Half of its life is over. Every token costs the Workload API an attestation: one that was not used is not
   * renewed.
   * @param {string} key
   * @param {Entry} entry
   */
  #due(key, entry) {
    if (this.#entries.get(key) !== entry) return
    if (!entry.used) return this.#drop(key)
    this.#renew(key, entry)
  }

  /**
   * Ahead of time: no caller waits for it.
   * @param {string} key
   * @param {Entry} entry
   */
  #renew(key, entry) {
    if (entry.coming === undefined) this.#counters.refreshes++
    this.#refresh(key, entry).catch(() => {})
  }

  /** @param {string} key */
  #drop(key) {
    const entry = this.#entries.get(key)
    if (!entry) return
    this.#entries.delete(key)
    this.#evicted(entry)
  }

  /** @param {Entry} entry */
  #evicted(entry) {
    clearTimeout(entry.timer)
    this.#counters.evictions++
  }

  /** Forget them all. */
  flush() {
    for (const key of [...this.#entries.keys()]) this.#drop(key)
  }
}

module.exports = { JwtCache }
