// Waiting for something that will be so.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * @param {() => unknown} condition may also throw while it is not so
 * @param {string} what for the error
 * @param {{ seconds?: number, every?: number }} [options]
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
      `in vain, for ${seconds} s: ${what}${reason ? `: ${reason}` : ''}`
    )
    await sleep(every)
  }
}
