'use strict'
/** Values that follow each other, as an async iterable that keeps the newest only. */

const { hold, release } = require('../../internal/deadline')

/**
 * @template T
 * @typedef {{
 *   read (seen: number): { revision: number, value: T } | undefined | null,
 *   subscribe (listener: () => void): () => void,
 *   end (): void,
 * }} Stream `read` gives what is newer than the revision seen last, nothing, or null when it is over; it may throw
 */

/**
 * @template T
 * @param {Stream<T>} stream
 * @param {{ signal?: AbortSignal, ref?: boolean }} options
 * @returns {AsyncIterableIterator<T>}
 */
function updates(stream, { signal, ref = false }) {
  let seen = -1
  let over = false
  /** @type {(() => void) | undefined} */
  let wake
  /** Keep order when `next` is called without waiting. @type {Promise<unknown>} */
  let queue = Promise.resolve()
  const unsubscribe = stream.subscribe(() => wake?.())
  const onAbort = () => wake?.()
  signal?.addEventListener('abort', onAbort, { once: true })

  const end = () => {
    if (over) return
    over = true
    unsubscribe()
    signal?.removeEventListener('abort', onAbort)
    stream.end()
    wake?.()
  }

  /** @returns {Promise<IteratorResult<T>>} */
  async function next() {
    if (ref) hold()
    try {
      for (;;) {
        if (over) return { done: true, value: undefined }
        signal?.throwIfAborted()
        const found = stream.read(seen)
        if (found === null) {
          end()
          return { done: true, value: undefined }
        }
        if (found) {
          seen = found.revision
          return { done: false, value: found.value }
        }
        await new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
          wake = resolve
        })
      }
    } catch (error) {
      end()
      throw error
    } finally {
      wake = undefined
      if (ref) release()
    }
  }

  return {
    next() {
      const turn = queue.then(next)
      queue = turn.catch(() => {})
      return turn
    },
    async return() {
      end()
      return { done: true, value: undefined }
    },
    async throw(error) {
      end()
      throw error
    },
    [Symbol.asyncIterator]() {
      return this
    }
  }
}

module.exports = { updates }
