// Waiting for a condition.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * @param {() => unknown} condition may also throw while it does not hold
 * @param {string} what the condition in words, for the error
 * @param {{ seconds?: number, every?: number }} [options] how long to wait, and the milliseconds between two looks
 * @returns {Promise<number>} the seconds it took
 */
export async function until(condition, what, { seconds = 30, every = 5 } = {}) {
  const start = performance.now()
  for (;;) {
    /** @type {unknown} */
    let reason
    try {
      if (await condition()) return (performance.now() - start) / 1000
    } catch (error) {
      reason = error
    }
    assert.ok(
      performance.now() - start < seconds * 1000,
      `not within ${seconds} s: ${what}${reason ? `: ${reason}` : ''}`
    )
    await sleep(every)
  }
}

/**
 * `until` with another limit than 30 seconds.
 * @param {number} seconds
 * @returns {typeof until}
 */
export const untilWithin = (seconds) => (condition, what, options) => until(condition, what, { seconds, ...options })
