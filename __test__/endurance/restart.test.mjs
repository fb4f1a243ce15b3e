// Ten thousand restarts of an agent, under everything live.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startAgents } from './agents.mjs'
import { everything } from './live.mjs'
import { handles, nothingMore, plateau } from './vitals.mjs'
import { until } from '../support/until.mjs'

test('ten thousand restarts of an agent leave nothing behind', async (t) => {
  // A stream that lasts a second proves the agent good, and only then the attempt after the next break waits for
  // nothing. So there are 500 agents at 500 paths, each with two sources and a watch, and all are restarted twenty
  // times, a second apart. Mostly the new one listens when the old one goes, so the very first attempt succeeds; of
  // each fifth in turn nobody is there for 20 ms, and the pauses after that are drawn by lot.
  const AGENTS = 500
  const before = await handles()
  const agents = await startAgents(AGENTS)
  t.after(() => agents.stop())
  const live = await Promise.all(agents.endpoints.map(everything))
  let restarts = 0
  await sleep(1050)
  await plateau(
    t,
    async (part) => {
      const updates = live.map(({ x509, jwt }) => [x509.counters.updates, jwt.counters.updates])
      const connects = live.map(({ x509 }) => x509.counters.connects)
      await agents.restart(part % 5)
      restarts += AGENTS
      // Nobody is ever without: what they had counts until there is something else.
      for (const { x509 } of live) assert.equal(String(x509.svid()), 'spiffe://example.org/billing')
      await until(
        () =>
          live.every(
            ({ x509, jwt }, index) =>
              x509.counters.updates === updates[index][0] + 1 && jwt.counters.updates === updates[index][1] + 1
          ),
        'all of them were told anew'
      )
      // The watches, too, before anybody looks at the memory.
      await until(async () => (await agents.count()).streams === 3 * AGENTS, 'every stream is back')
      assert.ok(live.every(({ x509 }, index) => x509.counters.connects > connects[index]))
      assert.ok(live.every(({ x509 }) => x509.isHealthy()))
      await sleep(1050)
    },
    { resident: 8 }
  )
  assert.equal(restarts, 10_000)
  const failures = live.reduce((sum, { x509 }) => sum + x509.counters.errors, 0)
  t.diagnostic(
    `${failures} breaks and failed attempts for ${restarts} restarts; ` +
      `seen by updates(): ${live.reduce((sum, { seen }) => sum + seen.x509, 0)}`
  )
  const { connections, streams } = await agents.count()
  assert.deepEqual({ connections, streams }, { connections: AGENTS, streams: 3 * AGENTS })
  await Promise.all(live.map((one) => one.close()))
  agents.stop()
  await nothingMore(before)
})
