'use strict'
/** Waiting with a limit, and what keeps the process alive meanwhile. */

const { setInterval } = require('node:timers')

/** How many wait now. The threads of the addon keep no process alive; this timer does. */
let waiting = 0
/** @type {NodeJS.Timeout | undefined} */
let keepAlive

function hold() {
  if (waiting++ > 0) return
  keepAlive ??= setInterval(() => {}, 0x7fffffff)
  keepAlive.ref()
}

function release() {
  if (--waiting === 0) keepAlive?.unref()
}

/**
 * Wait for a promise, but not longer than allowed.
 * @template T
 * @param {Promise<T>} promise
 * @param {{ signal?: AbortSignal, timeout?: number | null }} limits
 * @param {() => Error} late makes the error of a timeout
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
      // After a long turn of the loop the timer fires first: what has arrived is read before the timeout counts.
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

module.exports = { hold, release, within }
