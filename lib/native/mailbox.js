'use strict'
/** Calls that are answered by the addon's Workload API thread, and the events of that thread, by key. */

const { hold, release } = require('../internal/deadline')
const { answer } = require('./answer')
const { native } = require('./load')

/** @typedef {import('../../types/native').X509Context} X509Context */
/** @typedef {import('../../types/native').Failure} Failure */

/** @type {Map<number, (text: string | Failure, message: X509Context | undefined) => void>} */
const receivers = new Map()
let lastKey = 0

/** @type {import('../../types/native').Mailbox | undefined} */
let open

function mailbox() {
  open ??= new native.Mailbox((key, text, message) => receivers.get(key)?.(text, message ?? undefined))
  return open
}

/**
 * Receive everything that arrives under a new key, until `unlisten`.
 * @param {(text: string) => void} listener
 * @returns {number}
 */
function listen(listener) {
  // An event is a text; only a call can fail.
  receivers.set(++lastKey, /** @type {(text: any) => void} */ (listener))
  return lastKey
}

/** @param {number} key */
function unlisten(key) {
  receivers.delete(key)
}

/**
 * Make a call, and wait for its answer.
 * @param {(key: number) => void} start
 * @param {AbortSignal | undefined} signal
 * @param {Set<(reason: unknown) => void>} inFlight holds a function that ends the call early, while it lasts
 * @returns {Promise<{ text: string, message: X509Context | undefined }>}
 */
async function call(start, signal, inFlight) {
  signal?.throwIfAborted()
  const key = ++lastKey
  /** @type {(reason: unknown) => void} */
  let end = () => {}
  const onAbort = () => end(signal?.reason)
  hold()
  try {
    const { text, message } = await new Promise((resolve, reject) => {
      receivers.set(key, (text, message) => resolve({ text, message }))
      end = (reason) => {
        open?.cancel(key)
        reject(reason)
      }
      inFlight.add(end)
      signal?.addEventListener('abort', onAbort, { once: true })
      start(key)
    })
    return { text: answer(text), message }
  } finally {
    receivers.delete(key)
    inFlight.delete(end)
    signal?.removeEventListener('abort', onAbort)
    release()
  }
}

module.exports = { call, listen, mailbox, unlisten }
