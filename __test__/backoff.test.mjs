// The pauses between attempts.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'

const { Backoff } = createRequire(import.meta.url)('../lib/internal/backoff')

test('pauses double up to the longest, and begin anew after a success', () => {
  const backoff = new Backoff(10, 70)
  assert.deepEqual(
    Array.from({ length: 5 }, () => backoff.next()),
    [10, 20, 40, 70, 70]
  )
  backoff.reset()
  assert.equal(backoff.next(), 10)
})

test('with jitter a pause is between half of it and all of it, and pauses differ', () => {
  const first = Array.from({ length: 200 }, () => new Backoff(100, 1000, { jitter: true }).next())
  assert.ok(
    first.every((pause) => pause >= 50 && pause <= 100),
    String(first)
  )
  assert.ok(new Set(first).size > 100)
  const backoff = new Backoff(100, 150, { jitter: true })
  backoff.next()
  // The jitter of one pause does not change the next one.
  for (let index = 0; index < 50; index++) {
    const pause = backoff.next()
    assert.ok(pause >= 75 && pause <= 150, String(pause))
  }
})
