// Threads that are ended in the middle of fetches, with sources open: a hundred times.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { root } from '../support/child.mjs'
import { countersign } from '../support/spiffe-scene.mjs'
import { startAgents } from './agents.mjs'
import { AUDIENCE, startSluggards } from './sluggards.mjs'
import { handles, nothingMore, plateau } from './vitals.mjs'
import { until } from '../support/until.mjs'

const { X509Source } = countersign

const BUSY = `
  const { parentPort, workerData: { quiet, slow } } = require('node:worker_threads')
  const { X509Source, WorkloadApiClient, JwtSource } = require(${JSON.stringify(root)})
  const source = new X509Source({ endpoint: quiet })
  const tokens = new JwtSource({ endpoint: quiet })
  const follow = async (values) => { for await (const value of values) void value }
  follow(source.updates())
  follow(new WorkloadApiClient({ endpoint: quiet }).watchX509Bundles({ ref: true }))
  source.subscribe(() => {})
  const ask = (fetch) => fetch().then(() => ask(fetch), () => ask(fetch))
  const timeout = 20
  const [svids, jwt] = [slow.FetchX509SVID, slow.FetchJWTSVID]
    .map((endpoint) => new WorkloadApiClient({ endpoint, timeout }))
  for (let count = 0; count < 5; count++) {
    ask(() => svids.fetchX509Context())
    ask(() => jwt.fetchJwtSvid({ audience: '${AUDIENCE}' }))
    // Without a timeout: Node's HTTP/2 sends clients away that take a thousand calls back.
    ask(() => tokens.fetch({ audience: String(Math.random()) }))
  }
  source.ready().then(() => parentPort.postMessage('busy'))`

test('a hundred workers that are ended in the middle of everything', async (t) => {
  const before = await handles()
  const [agents, slow] = await Promise.all([startAgents(1), startSluggards()])
  t.after(() => {
    agents.stop()
    slow.stop()
  })
  const [quiet] = agents.endpoints
  // Somebody stays, on the very connection that they all use.
  const source = await X509Source.open({ endpoint: quiet })
  const { errors, connects } = source.counters
  let updates = source.counters.updates
  await plateau(
    t,
    async () => {
      const workers = Array.from(
        { length: 5 },
        () => new Worker(BUSY, { eval: true, workerData: { quiet, slow: slow.endpoints } })
      )
      await Promise.all(
        workers.map((worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)))
      )
      // Each at a moment of its own, with news on the way to it.
      const ends = workers.map(async (worker) => {
        await sleep(Math.random() * 30)
        await worker.terminate()
      })
      await agents.rotate(20)
      updates += 20
      await Promise.all(ends)
      await until(() => source.counters.updates === updates, 'all of them')
    },
    { resident: 12, heap: 1 }
  )
  assert.equal(String(source.svid()), 'spiffe://example.org/billing')
  assert.deepEqual([source.counters.errors, source.counters.connects], [errors, connects])
  await until(async () => (await agents.count()).streams === 1, 'only the stream of the source that stayed')
  assert.equal((await agents.count()).connections, 1)
  await until(async () => (await slow.count()).streams === 0, 'no call is left')
  source.close()
  agents.stop()
  slow.stop()
  await nothingMore(before)
})
