'use strict'
/** Calls that are answered by the thread that speaks to Workload APIs, and whatever else it has to say. */

const { setInterval } = require('node:timers')
const { fromNative } = require('../../native/errors')
const { native } = require('../../native/load')

/** @typedef {import('../../../types/native').X509Context} Told */

/**
 * Who waits for what, by key.
 * @type {Map<number, (text: string, told: Told | undefined) => void>}
 */
const waiting = new Map()
let lastKey = 0

/** @type {import('../../../types/native').Mailbox | undefined} */
let open

function mailbox() {
  return (open ??= new native.Mailbox((key, text, told) => waiting.get(key)?.(text, told ?? undefined)))
}

/**
 * Be told of everything that comes under a new key, until it is given up.
 * @param {(text: string) => void} listener
 * @returns {number}
 */
function listen(listener) {
  waiting.set(++lastKey, listener)
  return lastKey
}

/** @param {number} key */
function unlisten(key) {
  waiting.delete(key)
}

/** Keeps the process alive while somebody waits; the thread itself does not. */
let held = 0
/** @type {NodeJS.Timeout | undefined} */
let holder

function hold() {
  if (held++ > 0) return
  holder ??= setInterval(() => {}, 0x7fffffff)
  holder.ref()
}

function release() {
  if (--held === 0) holder?.unref()
}

/**
 * Make a call, and wait for what it comes to.
 * @param {(key: number) => void} start
 * @param {AbortSignal | undefined} signal
 * @param {Set<(reason: unknown) => void>} inFlight takes a way to end it early, while it lasts
 * @returns {Promise<{ text: string, told: Told | undefined }>}
 */
async function call(start, signal, inFlight) {
  signal?.throwIfAborted()
  const key = ++lastKey
  /** @type {(reason: unknown) => void} */
  let end = () => {}
  const onAbort = () => end(signal?.reason)
  hold()
  try {
    const { text, told } = await new Promise((resolve, reject) => {
      waiting.set(key, (text, told) => resolve({ text, told }))
      end = (reason) => {
        open?.cancel(key)
        reject(reason)
      }
      inFlight.add(end)
      signal?.addEventListener('abort', onAbort, { once: true })
      start(key)
    })
    if (text.startsWith('!')) throw fromNative(text.slice(1))
    return { text, told }
  } finally {
    waiting.delete(key)
    inFlight.delete(end)
    signal?.removeEventListener('abort', onAbort)
    release()
  }
}

/**
 * Wait for a promise, but not longer than allowed.
 * @template T
 * @param {Promise<T>} promise
 * @param {{ signal?: AbortSignal, timeout?: number | null }} limits
 * @param {() => Error} late
 * @returns {Promise<T>}
 */
async function within(promise, { signal, timeout }, late) {
  signal?.throwIfAborted()
  /** @type {NodeJS.Timeout | undefined} */
  let timer
  /** @type {(() => void) | undefined} */
  let onAbort
  hold()
  try {
    return await new Promise((resolve, reject) => {
      promise.then(resolve, reject)
      // After a long turn of the loop the timer comes first: what has arrived meanwhile is heard before time is called.
      if (typeof timeout === 'number') timer = setTimeout(() => setImmediate(() => reject(late())), timeout)
      if (signal) {
        onAbort = () => reject(signal.reason)
        signal.addEventListener('abort', onAbort, { once: true })
      }
    })
  } finally {
    clearTimeout(timer)
    if (onAbort) signal?.removeEventListener('abort', onAbort)
    release()
  }
}

module.exports = { call, listen, mailbox, unlisten, within, hold, release }
