// Tokens that are kept: once fetched, renewed while used, dropped in time.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { countersign } from './support/spiffe-scene.mjs'
import { domain, jwtBundlesResponse, jwtResponse, startStub, strings } from './support/workload-stub.mjs'
import { untilWithin } from './support/until.mjs'

const until = untilWithin(15)

const { JwtSource } = countersign
const home = domain('example.org')
/** @type {{ kill (): Promise<void> }[]} */
const stubs = []
/** @type {{ close (): void }[]} */
const sources = []
after(async () => {
  for (const source of sources) source.close()
  await Promise.all(stubs.map((stub) => stub.kill()))
})

/** @param {{ seconds?: number, delay?: number, options?: Record<string, unknown> }} [wish] */
async function serve({ seconds = 600, delay = 0, options } = {}) {
  /** @type {{ status?: number }} */
  const fault = {}
  const stub = await startStub(async (call) => {
    if (call.method !== 'FetchJWTSVID') return call.send(jwtBundlesResponse({ 'spiffe://example.org': home.jwks }))
    if (delay > 0) await sleep(delay)
    if (fault.status) return call.end(fault.status, 'as told')
    const { 1: audience, 2: id } = strings(call.request)
    const paths = id ? [new URL(id[0]).pathname] : ['/billing', '/shop']
    call.send(jwtResponse(paths.map((path) => ({ ...home.token(path, audience, seconds), hint: path.slice(1) }))))
    call.end()
  })
  stubs.push(stub)
  const source = await JwtSource.open({ endpoint: stub.endpoint, ...options })
  sources.push(source)
  return { stub, source, fault, asked: () => stub.calls.filter(({ method }) => method === 'FetchJWTSVID').length }
}

test('one token for one wish, whatever the order it is said in', async () => {
  const { source, asked } = await serve()
  const token = await source.fetch({ audience: 'a' })
  assert.equal(await source.fetch({ audience: 'a' }), token)
  assert.equal(await source.fetch({ audience: ['a'] }), token)
  assert.equal(await source.fetch({ audience: ['a', 'a'] }), token)
  assert.equal(asked(), 1)
  const both = await source.fetch({ audience: ['a', 'b'] })
  assert.equal(await source.fetch({ audience: ['b', 'a', 'b'] }), both)
  assert.notEqual(both, token)
  assert.equal(asked(), 2)
  // Names that look like something else are only names.
  for (const audience of ['a|b', 'a,b', '["a","b"]', '[["a","b"],null,null]'])
    assert.notEqual(await source.fetch({ audience }), both)
  assert.equal(asked(), 6)
  const named = await source.fetch({ audience: 'a', spiffeId: 'spiffe://example.org/shop' })
  const hinted = await source.fetch({ audience: 'a', hint: 'shop' })
  assert.deepEqual([String(named), String(hinted)], ['spiffe://example.org/shop', 'spiffe://example.org/shop'])
  assert.equal(await source.fetch({ audience: 'a', hint: 'shop' }), hinted)
  assert.equal(asked(), 8)
  const { hits, misses, size } = source.counters.cache
  assert.deepEqual({ hits, misses, size }, { hits: 5, misses: 8, size: 8 })
})

test('a hundred who ask at once are one question', async () => {
  const { source, asked } = await serve({ delay: 50 })
  const all = await Promise.all(Array.from({ length: 100 }, () => source.fetch({ audience: 'a' })))
  assert.equal(new Set(all).size, 1)
  assert.equal(asked(), 1)
  // One of them may change its mind; the others are still answered.
  const controller = new AbortController()
  const leaving = source.fetch({ audience: 'b', signal: controller.signal }).catch((error) => error)
  const staying = source.fetch({ audience: 'b' })
  const hasty = source.fetch({ audience: 'b', timeout: 5 }).catch((error) => error.code)
  controller.abort(new Error('left'))
  assert.match(String(await leaving), /left/)
  assert.equal(await hasty, 'ERR_TIMEOUT')
  assert.equal(String(await staying), 'spiffe://example.org/billing')
  assert.equal(asked(), 2)
})

test('what is used is renewed at half-life, what is not is dropped', async () => {
  const { source, asked } = await serve({ seconds: 6 })
  const used = await source.fetch({ audience: 'used' })
  await source.fetch({ audience: 'idle' })
  assert.equal(await source.fetch({ audience: 'used' }), used)
  await until(() => source.counters.cache.size === 1 && asked() === 3, 'one renewed, one dropped')
  let renewed = used
  for (const start = Date.now(); renewed === used && Date.now() - start < 5000; await sleep(10))
    renewed = await source.fetch({ audience: 'used' })
  assert.equal(asked(), 3)
  assert.ok(renewed.expiresAt > used.expiresAt)
  assert.equal(source.counters.cache.size, 1)
  assert.equal(source.counters.cache.refreshes, 1)
})

test('what is asked for when half of its life is over is renewed behind the back of whoever asked', async (t) => {
  const { source, asked } = await serve({ seconds: 600 })
  const token = await source.fetch({ audience: 'a' })
  const now = Date.now()
  t.mock.timers.enable({ apis: ['Date'], now: now + 310_000 })
  assert.equal(await source.fetch({ audience: 'a' }), token, 'nobody waits')
  t.mock.timers.reset()
  for (const limit = Date.now() + 5000; asked() < 2 && Date.now() < limit; ) await sleep(5)
  await sleep(50)
  const { hits, misses, refreshes } = source.counters.cache
  assert.deepEqual({ hits, misses, refreshes, asked: asked() }, { hits: 1, misses: 1, refreshes: 1, asked: 2 })
})

test('when renewing fails, the old one serves until it is nearly over', async () => {
  const { source, fault } = await serve({ seconds: 10 })
  const token = await source.fetch({ audience: 'a' })
  await source.fetch({ audience: 'a' })
  fault.status = 14
  await until(() => source.counters.cache.failures > 0, 'half of its life is over')
  assert.equal(await source.fetch({ audience: 'a' }), token, 'it is still good')
  // The last tenth of its life is nobody's.
  await sleep(token.expiresAt.getTime() - Date.now() - 500)
  assert.equal(await source.fetch({ audience: 'a' }).catch((error) => error.grpcCode), 'UNAVAILABLE')
  fault.status = undefined
  assert.ok((await source.fetch({ audience: 'a' })).expiresAt > token.expiresAt)
})

test('a denial takes the token away', async () => {
  const { source, fault } = await serve({ seconds: 4 })
  await source.fetch({ audience: 'a' })
  await source.fetch({ audience: 'a' })
  fault.status = 7
  await until(() => source.counters.cache.size === 0, 'gone')
  assert.equal(await source.fetch({ audience: 'a' }).catch((error) => error.code), 'ERR_NO_IDENTITY')
})

test('no more are kept than allowed; the one used longest ago goes first', async () => {
  const { source, asked } = await serve({ options: { cacheSize: 3 } })
  for (const audience of ['a', 'b', 'c']) await source.fetch({ audience })
  await source.fetch({ audience: ['a'] })
  await source.fetch({ audience: 'd' })
  assert.equal(source.counters.cache.size, 3)
  assert.equal(asked(), 4)
  for (const audience of ['d', 'a', 'c']) await source.fetch({ audience })
  assert.equal(asked(), 4)
  await source.fetch({ audience: 'b' })
  assert.equal(asked(), 5)
  for (const cacheSize of [0, 1.5, '3', -1, 1e9]) {
    assert.throws(() => new JwtSource({ endpoint: 'unix:/x', cacheSize: /** @type {any} */ (cacheSize) }), {
      code: 'ERR_INVALID_ARGUMENT'
    })
  }
})

test('wishes that cannot be, and a source that is closed', async () => {
  const { source } = await serve()
  for (const options of [
    undefined,
    {},
    { audience: '' },
    { audience: [] },
    { audience: 'a', hint: '' },
    { audience: 'a', spiffeId: 1 },
    { audience: 'a', more: 1 },
    { audience: 'a', timeout: -1 }
  ]) {
    await assert.rejects(source.fetch(/** @type {any} */ (options)), { code: 'ERR_INVALID_ARGUMENT' }, inspect(options))
  }
  await assert.rejects(source.fetch({ audience: 'a', spiffeId: 'x' }), { code: 'ERR_INVALID_SPIFFE_ID' })
  const pending = source.fetch({ audience: 'late' }).catch((error) => error.code)
  source.close()
  assert.equal(await pending, 'ERR_CLOSED')
  assert.equal(await source.fetch({ audience: 'a' }).catch((error) => error.code), 'ERR_CLOSED')
})
