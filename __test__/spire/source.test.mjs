// Live X.509 identities against a real agent, through everything that happens to one: rotation, withdrawal, an agent
// that dies, a server that is away, federations that come and go.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { countersign } from '../support/spiffe-scene.mjs'
import { until } from '../support/until.mjs'
import { startSpire } from './harness.mjs'
import { setTimeout as pause } from 'node:timers/promises'
import { watched } from './watched.mjs'

const { WorkloadApiClient, X509Source, verifyX509Svid } = countersign

/** @type {import('./harness.mjs').Spire} */
let spire
const BILLING = 'spiffe://example.org/billing'
const SHOP = 'spiffe://example.org/shop'
const FEDERATED = 'example-federated.org'

before(
  async () => {
    spire = await startSpire()
  },
  { timeout: 120_000 }
)
beforeEach(async () => {
  await Promise.all([...spire.local.entries.keys()].map((id) => spire.local.deleteEntry(id)))
})
after(() => spire?.stop())

/**
 * A source that is ready, with everything that it said since.
 * @param {import('node:test').TestContext} t
 * @param {Record<string, unknown>} [options]
 */
async function opened(t, options) {
  const source = await X509Source.open({ endpoint: spire.local.endpoint, ...options })
  t.after(() => source.close())
  /** @type {any[]} */
  const events = []
  source.subscribe((/** @type {any} */ event) => events.push(event))
  return { source, events, of: (/** @type {string} */ type) => events.filter((event) => event.type === type) }
}

test('rotations that come by themselves, with no gap', { timeout: 120_000 }, async (t) => {
  // 20 s are renewed every four.
  await spire.local.createEntry({ spiffeId: BILLING, x509SvidTtl: 20 })
  const { source, of } = await opened(t)
  const look = watched(source)
  const told = (async () => {
    const serials = []
    for await (const { svid, bundles, revision } of source.updates()) {
      serials.push(svid.serialNumber)
      assert.equal(verifyX509Svid(svid.certificates, bundles).spiffeId.uri, BILLING)
      assert.ok(revision > 0 && svid.expiresAt.getTime() > Date.now())
      assert.equal(svid.needsRotation(), false, 'fresh')
      if (serials.length === 5) return serials
    }
  })()
  const serials = await told
  look.stop()
  assert.equal(new Set(serials).size, 5)
  t.diagnostic(
    `${look.seen.looks} looks, ${look.seen.serials.size} SVIDs, ` +
      `never more than ${Math.round(look.seen.longest)} ms between two looks`
  )
  assert.ok(look.seen.looks > 1000)
  assert.deepEqual([...look.seen.serials].slice(0, 4), serials?.slice(0, 4))
  assert.deepEqual([of('error').length, of('overdue').length, source.counters.connects], [0, 0, 1])
  assert.ok(source.isHealthy())
})
test('the entry goes: withdrawn at once; it comes back: ready', async (t) => {
  const id = await spire.local.createEntry({ spiffeId: BILLING })
  const { source, of } = await opened(t)
  const watch = new WorkloadApiClient({ endpoint: spire.local.endpoint }).watchX509Context({ ref: true })
  await watch.next()
  const ended = watch.next().catch((/** @type {any} */ error) => error.code)
  const { source: graceful } = await opened(t, { withdrawGrace: 60_000 })
  await spire.local.deleteEntry(id)
  const took = await until(() => source.state === 'withdrawn', 'withdrawn', { seconds: 2 })
  t.diagnostic(`withdrawn ${Math.round(took * 1000)} ms after the agent knew`)
  assert.throws(() => source.svid(), { code: 'ERR_IDENTITY_WITHDRAWN' })
  assert.equal(await ended, 'ERR_NO_IDENTITY')
  assert.equal(String(graceful.svid()), BILLING, 'whoever asked for a grace has one')
  await until(
    () => of('withdraw').some(({ withdrawn, error }) => withdrawn && error.grpcMessage === 'no identity issued'),
    'told'
  )
  await spire.local.createEntry({ spiffeId: SHOP })
  t.diagnostic(`ready again after ${await until(() => source.state === 'ready', 'ready')} s`)
  assert.equal(String(source.svid()), SHOP)
  await until(() => String(graceful.svid()) === SHOP, 'both')
  assert.equal(source.counters.withdrawals, 1)
})
test('a source that comes before its entry: no identity, and then one', async (t) => {
  const source = new X509Source({ endpoint: spire.local.endpoint })
  t.after(() => source.close())
  await until(() => source.state === 'noIdentity', 'an answer')
  assert.throws(() => source.svid(), { code: 'ERR_NO_IDENTITY' })
  const ready = source.ready()
  await spire.local.createEntry({ spiffeId: BILLING })
  assert.equal(String((await ready).svid), BILLING)
})
test('one of two goes: nobody gets the other in its place', async (t) => {
  const [first] = await spire.local.createEntries([
    { spiffeId: BILLING, hint: 'internal', entryId: 'a' },
    { spiffeId: SHOP, hint: 'external', entryId: 'b' }
  ])
  const { source: internal } = await opened(t, { hint: 'internal' })
  const { source: external } = await opened(t, { hint: 'external' })
  const { source: byPath } = await opened(t, { path: '/shop' })
  const { source: plain } = await opened(t)
  assert.deepEqual(
    [internal, external, byPath, plain].map((source) => String(source.svid())),
    [BILLING, SHOP, SHOP, BILLING]
  )
  await spire.local.deleteEntry(first)
  await until(() => plain.context().svids.length === 1, 'one is left')
  assert.throws(
    () => internal.svid(),
    (/** @type {any} */ error) =>
      error.code === 'ERR_SVID_NOT_FOUND' && error.offered[0] === `${SHOP} (hint "external")`
  )
  assert.deepEqual(
    [external, byPath, plain].map((source) => String(source.svid())),
    [SHOP, SHOP, SHOP]
  )
  await spire.local.createEntry({ spiffeId: BILLING, hint: 'internal', entryId: 'a' })
  await internal.ready()
  assert.equal(String(internal.svid()), BILLING)
})
test('the agent is killed and started again: nothing is lost meanwhile', async (t) => {
  await spire.local.createEntry({ spiffeId: BILLING })
  const { source, of } = await opened(t)
  const look = watched(source)
  const before = source.svid().serialNumber
  await spire.local.killAgent('SIGKILL')
  await until(() => source.lastError, 'it was noticed')
  assert.deepEqual([source.state, source.svid().serialNumber], ['ready', before])
  await pause(1500)
  await spire.local.restartAgent()
  const took = await until(() => source.svid().serialNumber !== before, 'what the new agent says', { seconds: 15 })
  t.diagnostic(`news ${took.toFixed(1)} s after the agent was back, ${of('error').length} attempts meanwhile`)
  look.stop()
  assert.ok(source.isHealthy() && source.lastError === undefined)
  assert.deepEqual(
    of('error')
      .slice(0, 2)
      .map(({ retryIn }) => retryIn)
      .slice(0, 1),
    [0],
    'the first attempt waits for nothing'
  )
  assert.equal(source.counters.connects, 2)
})
test('the server is away: the agent serves what it has, and what has expired is refused until the server is back', {
  timeout: 120_000
}, async (t) => {
  const id = await spire.local.createEntry({ spiffeId: BILLING, x509SvidTtl: 15 })
  const { source, of } = await opened(t)
  await spire.local.stopServer()
  const { expiresAt } = source.svid()
  await until(
    () => {
      assert.ok(Date.now() >= source.svid().expiresAt.getTime() - 20_000)
      return of('overdue').length > 0
    },
    'overdue',
    { seconds: 20 }
  )
  assert.equal(source.isHealthy(), false, 'half of the lifetime is over')
  let last = 0
  await until(
    () => {
      try {
        source.svid()
        last = Date.now()
      } catch (error) {
        return /** @type {any} */ (error).code === 'ERR_SVID_EXPIRED'
      }
    },
    'expired',
    { seconds: 20 }
  )
  const ended = /** @type {any} */ (source).toJSON().svid.expiresAt
  assert.ok(ended >= expiresAt && last < ended.getTime() + 1000, 'to the last second, and no longer')
  // The agent still hands it out: to spire-agent's own command line, to a new client, to a new source.
  const {
    svids: [
      {
        chain: [leaf]
      }
    ]
  } = await spire.local.ask.fetchX509()
  assert.ok(Date.parse(leaf.validTo) < Date.now())
  const error = await new WorkloadApiClient({ endpoint: spire.local.endpoint })
    .fetchX509Svid()
    .catch((/** @type {any} */ error) => error)
  assert.deepEqual(
    [error.code, error.rule, error.ignored[0].reason],
    ['ERR_INVALID_RESPONSE', 'nothing_usable', 'expired']
  )
  const late = new X509Source({ endpoint: spire.local.endpoint })
  t.after(() => late.close())
  assert.equal(
    (await late.ready({ timeout: 300 }).catch((/** @type {any} */ error) => error)).cause.code,
    'ERR_SVID_EXPIRED'
  )
  await until(() => of('expire').length > 0, 'told')
  await spire.local.startServer()
  const took = await until(() => source.isHealthy(), 'well again', { seconds: 40 })
  t.diagnostic(`well again ${took.toFixed(1)} s after the server was back`)
  assert.ok(source.svid().expiresAt > ended)
  await late.ready()
  await spire.local.deleteEntry(id)
})
test('a federation that goes takes its bundle along, and brings it back', async (t) => {
  await spire.local.createEntry({ spiffeId: BILLING, federatesWith: [FEDERATED] })
  await spire.foreign.createEntry({ spiffeId: `spiffe://${FEDERATED}/partner` })
  const { source } = await opened(t)
  const partner = await new WorkloadApiClient({ endpoint: spire.foreign.endpoint }).fetchX509Svid()
  const bundles = new WorkloadApiClient({ endpoint: spire.local.endpoint }).watchX509Bundles({ ref: true })
  assert.equal((await bundles.next()).value.size, 2)
  const judge = () => verifyX509Svid(partner.certificates, source.context().bundles).spiffeId.uri
  assert.equal(judge(), `spiffe://${FEDERATED}/partner`)
  await spire.removeFederation()
  await until(() => source.context().bundles.size === 1, 'it is gone')
  assert.throws(judge, { rule: 'no_bundle' })
  assert.throws(() => source.bundle(FEDERATED), { code: 'ERR_BUNDLE_NOT_FOUND' })
  assert.equal((await bundles.next()).value.size, 1)
  assert.equal(String(source.svid()), BILLING)
  await spire.addFederation()
  await until(() => judge() === `spiffe://${FEDERATED}/partner`, 'it is back')
  await bundles.return?.()
})
