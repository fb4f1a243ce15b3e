// Calls that are answered, taken back, or run out of time, and sources that are opened and closed: ten thousand of
// each.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { countersign } from '../support/spiffe-scene.mjs'
import { healthy, domain, startStub } from '../support/workload-stub.mjs'
import { startAgents } from './agents.mjs'
import { AUDIENCE, startSluggards } from './sluggards.mjs'
import { handles, nothingMore, plateau } from './vitals.mjs'
import { until } from '../support/until.mjs'

const { JwtSource, WorkloadApiClient, X509Source } = countersign

/** Milliseconds: from what is never enough to what always is. */
const PATIENCE = [1, 2, 5, 20, 500]
const METHODS = /** @type {const} */ (['FetchX509SVID', 'FetchJWTSVID', 'FetchX509Bundles', 'FetchJWTBundles'])

/** @type {Awaited<ReturnType<typeof startSluggards>>} */
let slow
/** @type {any[]} */
let clients
/** @type {string[]} */
let atRest
before(async () => {
  atRest = await handles()
  slow = await startSluggards()
  clients = METHODS.map((method) => new WorkloadApiClient({ endpoint: slow.endpoints[method] }))
})
after(() => slow.stop())

/** So many, a hundred at a time. @param {number} count @param {(index: number) => Promise<unknown>} one */
async function many(count, one) {
  let next = 0
  await Promise.all(
    Array.from({ length: 100 }, async () => {
      while (next < count) await one(next++)
    })
  )
}

/** Every method in turn. @param {number} index @param {object} options */
const fetch = (index, options) =>
  [
    () => clients[0].fetchX509Context(options),
    () => clients[1].fetchJwtSvid({ audience: AUDIENCE, ...options }),
    () => clients[2].fetchX509Bundles(options),
    () => clients[3].fetchJwtBundles(options)
  ][index % 4]()

/** Nothing is left on the way, the servers were told of each; and it took no more than one connection to each. */
async function settled() {
  await until(async () => (await slow.count()).streams === 0, 'no stream is left')
  assert.equal((await slow.count()).connections, 4)
}

test('ten thousand calls that are taken back', async (t) => {
  const outcomes = { fine: 0, taken: 0 }
  const reason = new Error('enough')
  await plateau(t, () =>
    many(500, async (index) => {
      const controller = new AbortController()
      const timer = setTimeout(() => controller.abort(reason), PATIENCE[index % 5])
      try {
        await fetch(index, { signal: controller.signal })
        outcomes.fine++
      } catch (error) {
        assert.equal(error, reason)
        outcomes.taken++
      }
      clearTimeout(timer)
    })
  )
  t.diagnostic(JSON.stringify(outcomes))
  assert.equal(outcomes.fine + outcomes.taken, 10_000)
  assert.ok(outcomes.taken > 1000 && outcomes.fine > 1000)
  await settled()
})
test('ten thousand calls that run out of time', async (t) => {
  const outcomes = { fine: 0, late: 0 }
  await plateau(t, () =>
    many(500, async (index) => {
      try {
        await fetch(index, { timeout: PATIENCE[index % 5] })
        outcomes.fine++
      } catch (error) {
        assert.equal(/** @type {any} */ (error).code, 'ERR_TIMEOUT')
        outcomes.late++
      }
    })
  )
  t.diagnostic(JSON.stringify(outcomes))
  assert.equal(outcomes.fine + outcomes.late, 10_000)
  assert.ok(outcomes.late > 1000 && outcomes.fine > 1000)
  await settled()
})
test('ten thousand sources that are opened and closed, some before they are ready', async (t) => {
  let ready = 0
  await plateau(t, () =>
    many(500, async (index) => {
      const source =
        index % 2 === 0
          ? new X509Source({ endpoint: slow.endpoints.FetchX509SVID })
          : new JwtSource({ endpoint: slow.endpoints.FetchJWTBundles })
      const updates = source.updates()
      const next = updates.next().catch(() => {})
      source.subscribe(() => {})
      if (index % 3 === 0)
        await source.ready({ timeout: 20 }).then(
          () => ready++,
          (/** @type {any} */ { code }) => assert.equal(code, 'ERR_TIMEOUT')
        )
      if (index % 5 === 0) await updates.return?.()
      source.close()
      await next
    })
  )
  t.diagnostic(`${ready} were ready`)
  assert.ok(ready > 1000)
  await settled()
})
test('tokens for ten thousand audiences: no more are kept than allowed', async (t) => {
  const prompt = await startAgents(1)
  t.after(() => prompt.stop())
  const source = await JwtSource.open({ endpoint: prompt.endpoints[0], cacheSize: 100 })
  await plateau(t, (part) => many(500, (index) => source.fetch({ audience: `shop-${part}-${index}` })))
  assert.deepEqual([source.counters.cache.size, source.counters.cache.misses], [100, 10_000])
  source.close()
  prompt.stop()
})
test('a server that takes calls taken back for an attack: another connection, and nobody notices', async (t) => {
  // What Node itself does by default, after a thousand.
  const stub = await startStub(healthy(domain()))
  t.after(() => stub.kill())
  const client = new WorkloadApiClient({ endpoint: stub.endpoint })
  // Every fetch of a stream ends by taking the call back.
  for (let count = 0; count < 3000; count++) await client.fetchX509Bundles()
  t.diagnostic(`${stub.connections} connections`)
  assert.ok(stub.connections > 1)
})
test('nothing is left that would keep the process alive', async () => {
  slow.stop()
  await nothingMore(atRest)
})
