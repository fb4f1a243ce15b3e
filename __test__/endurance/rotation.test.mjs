// Ten thousand rotations, and as many before that to warm up, under everything live: what months bring, in a minute.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startAgents } from './agents.mjs'
import { everything } from './live.mjs'
import { handles, nothingMore, plateau } from './vitals.mjs'
import { until } from '../support/until.mjs'

test('ten thousand rotations leave nothing behind', async (t) => {
  const before = await handles()
  const agents = await startAgents(1)
  t.after(() => agents.stop())
  const live = await everything(agents.endpoints[0])
  let updates = live.x509.counters.updates
  await plateau(t, async () => {
    // Twenty times fifty: twenty thousand in all, and what is looked at are the last twelve thousand.
    for (let batch = 0; batch < 20; batch++) {
      await agents.rotate(50)
      updates += 50
      // Each of them came, and readers saw as many of them as they had the time for.
      await until(() => live.x509.counters.updates === updates && live.jwt.counters.updates === updates, 'all of them')
      assert.ok(live.x509.isHealthy() && live.jwt.isHealthy())
      assert.equal(String(live.x509.svid()), 'spiffe://example.org/billing')
    }
  })
  assert.equal(updates, 20_001)
  t.diagnostic(
    `seen by updates(): ${live.seen.x509}, ${live.seen.jwt} and by a watch ${live.seen.watched}; events: ${live.events}`
  )
  for (const count of [live.seen.x509, live.seen.jwt, live.seen.watched]) assert.ok(count > 100, `${count}`)
  assert.ok(live.events > 10_000)
  assert.deepEqual([live.x509.counters.errors, live.x509.counters.connects], [0, 1])
  await live.close()
  await until(async () => (await agents.count()).streams === 0, 'no stream is left')
  agents.stop()
  await nothingMore(before)
})
