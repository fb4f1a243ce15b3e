// Live tokens against a real agent: what is kept, what is renewed, and whom they are judged by when keys change.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { countersign } from '../support/spiffe-scene.mjs'
import { until } from '../support/until.mjs'
import { GoWorkload } from './go-workload.mjs'
import { startSpire } from './harness.mjs'
import { setTimeout as pause } from 'node:timers/promises'

const { JwtSource, WorkloadApiClient } = countersign

/** @type {import('./harness.mjs').Spire} */
let spire
const BILLING = 'spiffe://example.org/billing'

// The agent keeps tokens by name and audience, also when their entry is gone: each test has audiences of its own.
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

/** @param {import('node:test').TestContext} t */
async function opened(t) {
  const source = await JwtSource.open({ endpoint: spire.local.endpoint })
  t.after(() => source.close())
  return source
}

test('a token is fetched once, for the set of its audiences, and accepted by everybody', async (t) => {
  await spire.local.createEntries([
    { spiffeId: BILLING, hint: 'internal', entryId: 'a' },
    { spiffeId: 'spiffe://example.org/shop', hint: 'external', entryId: 'b' }
  ])
  const source = await opened(t)
  const first = await source.fetch({ audience: ['shop', 'bank'], hint: 'internal' })
  assert.equal(await source.fetch({ audience: ['bank', 'shop', 'bank'], hint: 'internal' }), first)
  assert.equal(
    (await Promise.all(Array.from({ length: 50 }, () => source.fetch({ audience: 'mint', spiffeId: BILLING })))).every(
      (svid, _, all) => svid === all[0]
    ),
    true
  )
  const { misses, size } = source.counters.cache
  assert.deepEqual({ misses, size }, { misses: 1 + 50, size: 2 })
  assert.equal(source.validate(first.token, { audience: 'bank' }).spiffeId.uri, BILLING)
  const go = new GoWorkload(spire.directory, spire.local.endpoint)
  assert.equal((await go.validate({ audience: 'bank', token: first.token, local: true })).id, BILLING)
  assert.equal((await spire.local.ask.validateJwt({ audience: 'shop', token: first.token })).spiffeId, BILLING)
  const [{ token: theirs }] = await go.jwt({ audience: 'shop', spiffeId: BILLING })
  assert.equal(source.validate(theirs, { audience: 'shop' }).spiffeId.uri, BILLING)
})
test('a token that is used is renewed at half of its life, and none is handed out that is nearly over', {
  timeout: 120_000
}, async (t) => {
  // The agent, too, renews at half-life when it is asked: a little earlier than that it still has the old one.
  await spire.local.createEntry({ spiffeId: BILLING, jwtSvidTtl: 10 })
  const source = await opened(t)
  const idle = await source.fetch({ audience: 'idle' })
  /** @type {Map<string, number>} */
  const seen = new Map()
  const shortest = { left: Infinity }
  for (const end = Date.now() + 22_000; Date.now() < end; await pause(20)) {
    const svid = await source.fetch({ audience: 'renewed' })
    shortest.left = Math.min(shortest.left, svid.expiresAt.getTime() - Date.now())
    assert.equal(source.validate(svid.token, { audience: 'renewed' }).spiffeId.uri, BILLING)
    seen.set(svid.token, (seen.get(svid.token) ?? 0) + 1)
  }
  const { cache } = source.counters
  t.diagnostic(
    `${seen.size} tokens for ${[...seen.values()].reduce((sum, count) => sum + count)} fetches; ` +
      `the shortest had ${shortest.left} ms left; ${JSON.stringify(cache)}`
  )
  assert.ok(seen.size >= 4 && seen.size <= 6, `${seen.size}`)
  assert.ok(shortest.left >= 1000, "the last tenth is nobody's")
  assert.ok(cache.failures === 0 && cache.size === 1 && cache.evictions === 1, 'the one that nobody used is gone')
  assert.notEqual(await source.fetch({ audience: 'idle' }), idle)
})
test('the server is away: a token serves until it is nearly over, and then it is Unavailable', {
  timeout: 120_000
}, async (t) => {
  await spire.local.createEntry({ spiffeId: BILLING, jwtSvidTtl: 8 })
  const source = await opened(t)
  const svid = await source.fetch({ audience: 'outage' })
  assert.equal(await source.fetch({ audience: 'outage' }), svid)
  await spire.local.stopServer()
  let last = Date.now()
  const error = await (async () => {
    for (;;) {
      try {
        assert.equal((await source.fetch({ audience: 'outage' })).token, svid.token)
        last = Date.now()
      } catch (error) {
        return /** @type {any} */ (error)
      }
      await pause(20)
    }
  })()
  assert.deepEqual([error.code, error.grpcCode], ['ERR_WORKLOAD_API', 'UNAVAILABLE'])
  assert.ok(
    last < svid.expiresAt.getTime() && last > svid.expiresAt.getTime() - 3000,
    `${svid.expiresAt.getTime() - last} ms before`
  )
  // The bundles are there all the same, and judge.
  assert.ok(source.isHealthy() && source.bundle('example.org').size > 0)
  await spire.local.startServer()
  await until(async () => (await source.fetch({ audience: 'outage' })).token !== svid.token, 'a new one')
})
test('the key for tokens is rotated: old and new tokens are good, until the old key is revoked', {
  timeout: 120_000
}, async (t) => {
  await spire.local.createEntry({ spiffeId: BILLING })
  const source = await opened(t)
  const client = new WorkloadApiClient({ endpoint: spire.local.endpoint })
  const old = await client.fetchJwtSvid({ audience: 'keys' })
  assert.ok(source.validate(old.token, { audience: 'keys' }))
  const {
    active: { authority_id: before }
  } = await spire.local.serverJson(['localauthority', 'jwt', 'show'])
  assert.equal(old.keyId, before)
  const {
    prepared_authority: { authority_id: next }
  } = await spire.local.serverJson(['localauthority', 'jwt', 'prepare'])
  await until(() => source.bundle('example.org').size === 2, 'both keys')
  await spire.local.serverJson(['localauthority', 'jwt', 'activate', '-authorityID', next])
  // The agent has the old one for this audience; for another it needs a new one.
  const fresh = await client.fetchJwtSvid({ audience: ['keys', 'fresh'] })
  assert.equal(fresh.keyId, next)
  for (const { token } of [old, fresh]) assert.equal(source.validate(token, { audience: 'keys' }).spiffeId.uri, BILLING)
  await spire.local.serverJson(['localauthority', 'jwt', 'taint', '-authorityID', before])
  await spire.local.serverJson(['localauthority', 'jwt', 'revoke', '-authorityID', before])
  await until(() => source.bundle('example.org').size === 1, 'the new key only')
  // It was judged good before, and that is forgotten.
  assert.throws(() => source.validate(old.token, { audience: 'keys' }), { rule: 'unknown_key_id' })
  assert.ok(source.validate(fresh.token, { audience: 'keys' }))
})
test('the identity is withdrawn: tokens and bundles go with it', async (t) => {
  const id = await spire.local.createEntry({ spiffeId: BILLING, federatesWith: ['example-federated.org'] })
  const source = await opened(t)
  const { token } = await source.fetch({ audience: 'withdrawn-from' })
  assert.deepEqual(source.bundles.trustDomains.map(String), ['example-federated.org', 'example.org'])
  await spire.local.deleteEntry(id)
  await until(() => source.state === 'withdrawn', 'withdrawn', { seconds: 2 })
  await assert.rejects(source.fetch({ audience: 'withdrawn-from' }), { code: 'ERR_NO_IDENTITY' })
  assert.throws(() => source.validate(token, { audience: 'withdrawn-from' }), { code: 'ERR_IDENTITY_WITHDRAWN' })
  await spire.local.createEntry({ spiffeId: BILLING })
  await source.ready()
  assert.ok(source.validate((await source.fetch({ audience: 'withdrawn-from' })).token, { audience: 'withdrawn-from' }))
  assert.deepEqual(source.bundles.trustDomains.map(String), ['example.org'])
})
