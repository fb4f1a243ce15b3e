// Live sources: states, rotation, withdrawal, reconnecting; against a stand-in that says what it is told.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify, inspect } from 'node:util'
import { Worker } from 'node:worker_threads'
import { countersign } from './support/spiffe-scene.mjs'
import { domain, healthy, jwtBundlesResponse, startStub, x509Response } from './support/workload-stub.mjs'
import { root } from './support/child.mjs'
import { recorded } from './support/source-events.mjs'
import { untilWithin } from './support/until.mjs'

const until = untilWithin(8)

const { CountersignError, JwtSource, WorkloadApiClient, X509Source } = countersign

const home = domain('example.org')
const other = domain('other.org')
const first = home.svid('/billing')
const second = home.svid('/billing')
const shop = home.svid('/shop', { hint: 'shop' })
/** @type {{ kill (): Promise<void> }[]} */
const stubs = []
/** @type {{ close (): void }[]} */
const sources = []
after(async () => {
  for (const source of sources) source.close()
  await Promise.all(stubs.map((stub) => stub.kill()))
})

/**
 * @param {(call: import('./support/workload-stub.mjs').Call) => void} answer
 * @param {Record<string, unknown>} [options]
 */
async function live(answer, options) {
  const stub = await startStub(answer)
  stubs.push(stub)
  const source = new X509Source({ endpoint: stub.endpoint, ...options })
  sources.push(source)
  return { stub, source, events: recorded(source) }
}

/** @param {() => unknown} call */
function codeOf(call) {
  try {
    call()
    return 'fine'
  } catch (error) {
    return /** @type {any} */ (error).code
  }
}

const told = (/** @type {any[]} */ ...svids) => x509Response({ svids })
const says =
  (/** @type {any[]} */ ...svids) =>
  (/** @type {import('./support/workload-stub.mjs').Call} */ call) =>
    call.send(told(...svids))

test('it is there at once, and ready when something was told', async () => {
  const { source, stub } = await live(says(first))
  assert.equal(source.state, 'connecting')
  assert.equal(
    codeOf(() => source.context()),
    'ERR_SOURCE_NOT_READY'
  )
  assert.equal(
    codeOf(() => source.svid()),
    'ERR_SOURCE_NOT_READY'
  )
  assert.equal(source.isHealthy(), false)
  const context = await source.ready()
  assert.equal(source.state, 'ready')
  assert.equal(source.context(), context)
  assert.equal(source.svid(), context.svid)
  assert.equal(String(source.svid()), first.id)
  assert.equal(source.bundle('example.org').size, 1)
  assert.throws(() => source.bundle('other.org'), { code: 'ERR_BUNDLE_NOT_FOUND', trustDomain: 'other.org' })
  assert.equal(source.isHealthy(), true)
  assert.equal(source.needsRotation(), false)
  assert.equal(source.lastError, undefined)
  assert.ok(Date.now() - Number(source.lastUpdate) < 5000)
  assert.deepEqual(source.counters, { connects: 1, errors: 0, ignored: 0, unchanged: 0, updates: 1, withdrawals: 0 })
  assert.equal(stub.open.size, 1)
})

test('a rotation is there at once, repetitions are not', async () => {
  const { source, stub, events } = await live(says(first))
  await source.ready()
  const before = source.context()
  stub.push('FetchX509SVID', told(first))
  stub.push('FetchX509SVID', told(first))
  await until(() => source.counters.unchanged === 2, 'repetitions are counted')
  assert.equal(source.context(), before, 'the same object')
  stub.push('FetchX509SVID', told(second))
  await until(() => source.svid() !== before.svid, 'the new one')
  assert.ok(source.context().revision > before.revision)
  assert.equal(String(before.svid.serialNumber) === String(source.svid().serialNumber), false)
  await until(() => events.filter(({ type }) => type === 'update').length >= 1, 'told')
  assert.equal(source.counters.updates, 2)
})

test('updates: the newest only, in order, and an end', async () => {
  const { source, stub } = await live(says(first))
  await source.ready()
  const updates = source.updates()
  assert.equal((await updates.next()).value, source.context())
  const next = updates.next()
  const serials = [second, first, second].map((svid) => {
    stub.push('FetchX509SVID', told(svid))
    return svid
  })
  assert.equal(serials.length, 3)
  await until(() => source.counters.updates === 4, 'all of them came')
  const { value } = await next
  const rest = updates.next()
  const last = await Promise.race([rest.then(({ value }) => value), sleep(100).then(() => value)])
  assert.equal(last?.svid.equals(source.svid()), true, 'what was skipped is skipped')
  setTimeout(() => source.close(), 20)
  for await (const context of updates) assert.fail(`nothing more: ${context.revision}`)
  // Leaving a loop ends it.
  const again = await live(says(first))
  for await (const context of again.source.updates({ ref: true })) {
    assert.equal(String(context.svid), first.id)
    break
  }
  const reason = new Error('enough')
  const waiting = again.source.updates({ signal: AbortSignal.timeout(1e6) })
  await waiting.next()
  const pending = waiting.next()
  await waiting.return?.()
  assert.deepEqual(await pending, { done: true, value: undefined })
  const controller = new AbortController()
  const aborted = again.source.updates({ signal: controller.signal })
  await aborted.next()
  setTimeout(() => controller.abort(reason), 10)
  assert.equal(await aborted.next().catch((error) => error), reason)
})

test('an identity that is taken back must not be used, and comes back', async () => {
  const { source, stub, events } = await live(says(first))
  await source.ready()
  stub.answer((call) => call.end(7, 'no identity issued'))
  stub.end('FetchX509SVID', 7, 'no identity issued')
  await until(() => source.state === 'withdrawn', 'withdrawn')
  assert.throws(
    () => source.svid(),
    (error) =>
      CountersignError.is(error) && error.code === 'ERR_IDENTITY_WITHDRAWN' && /no identity issued/.test(error.message)
  )
  assert.throws(() => source.bundle('example.org'), { code: 'ERR_IDENTITY_WITHDRAWN' })
  assert.equal(source.isHealthy(), false)
  await until(() => events.some(({ type, withdrawn }) => type === 'withdraw' && withdrawn === true), 'told')
  assert.equal(source.counters.withdrawals, 1)
  stub.answer(says(second))
  await source.ready({ timeout: 12_000 })
  assert.equal(source.state, 'ready')
})

test('no identity at all: it says so, waits, and gets one', async () => {
  const { source, stub } = await live((call) => call.end(7, 'no identity issued'))
  await until(() => source.state === 'noIdentity', 'noIdentity')
  const error = await source.ready({ timeout: 50 }).catch((error) => error)
  assert.equal(error.code, 'ERR_TIMEOUT')
  assert.match(error.message, /no identity for this process .*no identity issued/)
  assert.deepEqual([error.cause.code, error.cause.grpcCode], ['ERR_NO_IDENTITY', 'PERMISSION_DENIED'])
  stub.answer(says(first))
  await source.ready({ timeout: 12_000 })
})

test('with a grace, what was withdrawn may be used a while longer', async () => {
  const { source, stub, events } = await live(says(first), { withdrawGrace: 300 })
  await source.ready()
  stub.answer((call) => call.end(7, 'no'))
  stub.end('FetchX509SVID', 7, 'no')
  await until(
    () => events.some(({ type, grace }) => type === 'withdraw' && grace > 0),
    'told, with the time that is left'
  )
  assert.equal(source.state, 'ready')
  assert.equal(String(source.svid()), first.id)
  await until(() => events.some(({ type, grace }) => type === 'withdraw' && grace === 0), 'told that it is over')
  assert.equal(source.state, 'withdrawn')
  assert.equal(
    codeOf(() => source.svid()),
    'ERR_IDENTITY_WITHDRAWN'
  )
  assert.throws(() => new X509Source({ endpoint: stub.endpoint, withdrawGrace: -1 }), { code: 'ERR_INVALID_ARGUMENT' })
})

test('a broken message keeps the last good one, and the stream', async () => {
  const { source, stub, events } = await live(says(first))
  await source.ready()
  const before = source.context()
  for (const broken of [
    Buffer.from('?'),
    told({ ...second, key: undefined }),
    told({ ...second, id: 'x' }),
    Buffer.alloc(0)
  ]) {
    const { errors } = source.counters
    stub.push('FetchX509SVID', broken)
    await until(() => source.counters.errors === errors + 1, 'noted')
    assert.equal(source.context(), before)
    assert.equal(/** @type {any} */ (source.lastError).code, 'ERR_INVALID_RESPONSE')
  }
  assert.ok(events.some(({ type, retryIn }) => type === 'error' && retryIn === null))
  assert.equal(source.counters.connects, 1)
  stub.push('FetchX509SVID', told(second))
  await until(() => source.context() !== before, 'the next good one')
  assert.equal(source.lastError, undefined)
})

test('with nothing to fall back on, a broken message is a reason to ask again', async () => {
  let asked = 0
  const { source } = await live((call) => call.send(++asked < 3 ? Buffer.from('?') : told(first)))
  await source.ready()
  assert.equal(asked, 3)
  assert.equal(source.counters.errors, 2)
})

test('streams that end or break are opened again, at once and then with pauses', async () => {
  const { source, stub, events } = await live(says(first))
  await source.ready()
  const before = source.context()
  stub.end('FetchX509SVID', 0)
  await until(() => source.counters.connects === 2 && stub.open.size === 1, 'after an end in good order')
  stub.end('FetchX509SVID', 14, 'restarting')
  await until(() => source.counters.connects === 3 && stub.open.size === 1, 'after an error')
  for (const call of stub.open) call.destroy()
  await until(() => source.counters.connects === 4, 'after a reset')
  assert.equal(source.context(), before, 'it was the same all along')
  await stub.kill()
  await sleep(300)
  assert.equal(source.state, 'ready')
  assert.equal(String(source.svid()), first.id, 'a dead agent takes nothing away')
  const again = await startStub(says(second), { socket: stub.socket })
  stubs.push(again)
  await until(() => source.context() !== before, 'another process at the same path', { seconds: 12 })
  assert.equal(again.connections, 1)
  const pauses = events.filter(({ type }) => type === 'error').map(({ retryIn }) => retryIn)
  assert.equal(pauses[0], 0, 'the first attempt waits for nothing')
  assert.ok(pauses.every((pause) => pause <= 10_000))
})

test('a server that hangs up after every message is not asked in a tight loop', async () => {
  const { source, stub } = await live((call) => {
    call.send(told(first))
    call.end(0)
  })
  await source.ready()
  await sleep(1500)
  assert.ok(stub.calls.length < 15, `${stub.calls.length} calls`)
})

test('a refusal that comes while somebody looks is the reason that is given', async () => {
  const elsewhere = `
    const { parentPort } = require('node:worker_threads')
    import(${JSON.stringify(new URL('support/workload-stub.mjs', import.meta.url))}).then(async ({ startStub }) => {
      const stub = await startStub(() => parentPort.postMessage('called'))
      parentPort.once('message', () => {
        stub.end('FetchX509SVID', 12, 'never')
        parentPort.once('message', () => stub.kill())
      })
      parentPort.postMessage(stub.endpoint)
    })`
  for (const follow of [false, true]) {
    // A thread of its own: this one does nothing else while it looks.
    const server = new Worker(elsewhere, { eval: true })
    const [endpoint] = await once(server, 'message')
    let looks = 0
    // It looks, finds nothing, and by the time it says so it is over.
    class Slow extends X509Source {
      /** @override */
      context() {
        try {
          return super.context()
        } finally {
          if (++looks === 1) {
            server.postMessage('refuse')
            const begin = performance.now()
            while (this.state !== 'closed') assert.ok(performance.now() - begin < 10_000, 'the refusal is heard')
          }
        }
      }
    }
    const source = new Slow({ endpoint })
    sources.push(source)
    await once(server, 'message')
    const waiting = follow ? source.updates().next() : source.ready()
    await assert.rejects(
      waiting,
      (/** @type {any} */ error) => error.code === 'ERR_CLOSED' && error.cause.grpcCode === 'UNIMPLEMENTED'
    )
    assert.equal(looks, 2)
    server.postMessage('end')
    await once(server, 'exit')
  }
})

test('a refusal for good ends the attempts', async () => {
  for (const [status, name] of [
    [3, 'INVALID_ARGUMENT'],
    [12, 'UNIMPLEMENTED']
  ]) {
    const { source, stub, events } = await live((call) => call.end(Number(status), 'never'))
    const error = await source.ready().catch((error) => error)
    assert.equal(error.code, 'ERR_CLOSED')
    assert.equal(error.cause.grpcCode, name)
    assert.equal(source.state, 'closed')
    await sleep(400)
    assert.equal(stub.calls.length, 1)
    assert.ok(events.some(({ type, error }) => type === 'close' && error.grpcCode === name))
    // Somebody new may try again.
    stub.answer(says(first))
    const fresh = await X509Source.open({ endpoint: stub.endpoint })
    fresh.close()
    // In the middle of its life: what was told counts until it is over.
    const { source: running, stub: changed } = await live(says(first))
    await running.ready()
    changed.answer((call) => call.end(Number(status), 'never'))
    changed.end('FetchX509SVID', Number(status), 'never')
    await until(() => running.isHealthy() === false, 'not healthy any more')
    assert.equal(String(running.svid()), first.id)
    assert.equal(running.state, 'ready')
    await sleep(300)
    assert.equal(changed.calls.length, 1)
    assert.equal(/** @type {any} */ (running.lastError).grpcCode, name)
  }
})

test('an expired SVID is never handed out', async (t) => {
  const { source } = await live(says(first))
  await source.ready()
  const { expiresAt } = source.svid()
  t.mock.timers.enable({ apis: ['Date'], now: expiresAt.getTime() + 999 })
  assert.equal(String(source.svid()), first.id, 'the last second counts')
  assert.equal(source.needsRotation(), true)
  assert.equal(source.isHealthy(), false)
  t.mock.timers.setTime(expiresAt.getTime() + 1000)
  assert.throws(() => source.svid(), { code: 'ERR_SVID_EXPIRED', spiffeId: first.id })
  t.mock.timers.reset()
})

test('picking: another identity is never used in its place', async () => {
  const { source, stub } = await live(says(first, shop), { hint: 'shop' })
  const { source: absent } = { source: new X509Source({ endpoint: stub.endpoint, hint: 'absent' }) }
  sources.push(absent)
  assert.equal(String((await source.ready()).svid), shop.id)
  assert.deepEqual(source.context().svids.map(String), [first.id, shop.id])
  await until(() => absent.state === 'ready', 'told')
  assert.throws(() => absent.svid(), { code: 'ERR_SVID_NOT_FOUND', offered: [first.id, `${shop.id} (hint "shop")`] })
  const error = await absent.ready({ timeout: 50 }).catch((error) => error)
  assert.deepEqual([error.code, error.cause.code], ['ERR_TIMEOUT', 'ERR_SVID_NOT_FOUND'])
  stub.push('FetchX509SVID', told(first))
  await until(
    () => codeOf(() => source.svid()) === 'ERR_SVID_NOT_FOUND',
    'the picked one is gone, and no other is taken'
  )
  stub.push('FetchX509SVID', told(first, { ...shop, hint: 'absent' }))
  await absent.ready({ timeout: 2000 })
})

test('five hundred sources share one connection and one stream', async () => {
  const stub = await startStub(healthy(home))
  stubs.push(stub)
  const many = Array.from({ length: 500 }, () => new X509Source({ endpoint: stub.endpoint }))
  await Promise.all(many.map((source) => source.ready()))
  const token = await JwtSource.open({ endpoint: stub.endpoint })
  await new WorkloadApiClient({ endpoint: stub.endpoint }).fetchX509Svid()
  assert.equal(stub.connections, 1)
  assert.equal(stub.calls.filter(({ method }) => method === 'FetchX509SVID').length, 2)
  assert.equal(new Set(many.map((source) => source.svid())).size, 1, 'and one object')
  for (const source of many) source.close()
  token.close()
  await until(() => stub.open.size === 0, 'the streams end with the last one who listens')
})

test('workers share the connection, and may die in the middle of anything', async () => {
  const stub = await startStub(healthy(home))
  stubs.push(stub)
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    const { X509Source, WorkloadApiClient, JwtSource } = require(${JSON.stringify(root)})
    const source = new X509Source({ endpoint: workerData })
    const client = new WorkloadApiClient({ endpoint: workerData })
    source.ready().then(({ svid }) => parentPort.postMessage(String(svid)))
    new JwtSource({ endpoint: workerData })
    const again = () => client.fetchJwtSvid({ audience: 'a' }).then(again, again)
    again(); again(); again()`
  const workers = Array.from({ length: 8 }, () => new Worker(code, { eval: true, workerData: stub.endpoint }))
  const said = await Promise.all(
    workers.map((worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)))
  )
  assert.deepEqual(said, Array(8).fill(first.id))
  assert.equal(stub.connections, 1)
  await Promise.all(workers.map((worker) => worker.terminate()))
  await until(
    () => [...stub.open].filter(({ method }) => method !== 'FetchJWTSVID').length === 0,
    'their streams end with them'
  )
})

test('closing: everybody who waits is told, twice is once', async () => {
  const { source, stub } = await live(() => {})
  const ready = source.ready({ timeout: null }).catch((error) => error.code)
  const updates = source.updates().next()
  source.close()
  source.close()
  assert.equal(await ready, 'ERR_CLOSED')
  assert.deepEqual(await updates, { done: true, value: undefined })
  assert.equal(source.state, 'closed')
  assert.equal(
    codeOf(() => source.context()),
    'ERR_CLOSED'
  )
  assert.equal(
    codeOf(() => source.subscribe(() => {})),
    'ERR_CLOSED'
  )
  assert.ok(source.counters.updates === 0)
  assert.match(inspect(source), /closed/)
  assert.match(inspect(await source.ready().catch((error) => error)), /ERR_CLOSED/)
  await until(() => stub.open.size === 0, 'the stream is over')
  const disposed = new X509Source({ endpoint: stub.endpoint })
  disposed[Symbol.dispose]()
  assert.equal(disposed.state, 'closed')
  const later = new X509Source({ endpoint: stub.endpoint })
  await later[Symbol.asyncDispose]()
  assert.equal(later.state, 'closed')
})

test('open closes what does not get ready', async () => {
  const stub = await startStub(() => {})
  stubs.push(stub)
  assert.equal(
    await X509Source.open({ endpoint: stub.endpoint, timeout: 100 }).catch((error) => error.code),
    'ERR_TIMEOUT'
  )
  const reason = new Error('changed my mind')
  assert.equal(
    await X509Source.open({ endpoint: stub.endpoint, signal: AbortSignal.abort(reason) }).catch((error) => error),
    reason
  )
  await until(() => stub.open.size === 0, 'nobody listens')
  for (const options of [
    { endpoint: 'x' },
    { endpoint: stub.endpoint, hints: 1 },
    { endpoint: stub.endpoint, hint: 'a', path: '/a' }
  ]) {
    await assert.rejects(X509Source.open(/** @type {any} */ (options)), (error) => CountersignError.is(error))
  }
})

test('a listener that throws is heard elsewhere, and the others are told', async () => {
  const { source, stub } = await live(says(first))
  await source.ready()
  /** @type {unknown[]} */
  const thrown = []
  const listeners = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  const hear = (/** @type {unknown} */ error) => thrown.push(error)
  process.on('uncaughtException', hear)
  let heard = 0
  source.subscribe(() => {
    throw new Error('mine')
  })
  const leave = source.subscribe(() => heard++)
  stub.push('FetchX509SVID', told(second))
  await until(() => heard > 0 && thrown.length === heard, 'both')
  leave()
  const before = thrown.length
  assert.throws(() => source.subscribe(/** @type {any} */ (1)), { code: 'ERR_INVALID_ARGUMENT' })
  source.close()
  await until(() => thrown.length > before, 'also when it is closed')
  process.off('uncaughtException', hear)
  for (const listener of listeners) process.on('uncaughtException', listener)
  assert.match(String(thrown[0]), /mine/)
})

test('watching by the client: reconnects, ends with a denial', async () => {
  const { source, stub } = await live(says(first))
  const client = new WorkloadApiClient({ endpoint: stub.endpoint })
  const watch = client.watchX509Context()
  const { value } = await watch.next()
  assert.equal(String(value.svid), first.id)
  stub.push('FetchX509SVID', told(second))
  assert.equal((await watch.next()).value.svid.equals(source.svid()), true)
  stub.answer((call) => call.end(7, 'no'))
  stub.end('FetchX509SVID', 7, 'no')
  assert.equal(await watch.next().catch((error) => error.code), 'ERR_NO_IDENTITY')
  assert.deepEqual(await watch.next(), { done: true, value: undefined })
  stub.answer(healthy(home))
  for await (const bundles of client.watchJwtBundles()) {
    assert.equal(bundles.size, 1)
    break
  }
  for await (const bundles of client.watchX509Bundles()) {
    assert.equal(bundles.size, 1)
    break
  }
  assert.throws(() => client.watchX509Context(/** @type {any} */ ({ timeout: 1 })), { code: 'ERR_INVALID_ARGUMENT' })
  const lasting = client.watchX509Bundles()
  client.close()
  assert.equal((await lasting.next()).value.size, 1, 'it goes on until it is left')
  await lasting.return?.()
  for (const watch of /** @type {const} */ (['watchX509Context', 'watchX509Bundles', 'watchJwtBundles']))
    assert.throws(() => client[watch](), { code: 'ERR_CLOSED' })
})

test('bundles of the JWT source are withdrawn and come back', async () => {
  const stub = await startStub(healthy(home))
  stubs.push(stub)
  const source = await JwtSource.open({ endpoint: stub.endpoint })
  sources.push(source)
  const { token } = await source.fetch({ audience: 'me' })
  assert.equal(source.validate(token, { audience: 'me' }).spiffeId.uri, first.id)
  assert.equal(source.validate(token, { audience: 'me' }).spiffeId.uri, first.id, 'out of memory')
  assert.throws(() => source.validate(token, { audience: 'you' }), { rule: 'audience_mismatch' })
  assert.throws(() => source.validate(token, { audience: 'me', now: new Date(Date.now() + 1e6) }), { rule: 'expired' })
  assert.throws(() => source.bundle('other.org'), { code: 'ERR_BUNDLE_NOT_FOUND' })
  // The key is taken back: what was judged before does not count any more.
  stub.push('FetchJWTBundles', jwtBundlesResponse({ 'spiffe://example.org': other.jwks }))
  await until(() => {
    try {
      source.validate(token, { audience: 'me' })
    } catch (error) {
      return /** @type {any} */ (error).rule === 'invalid_signature'
    }
  }, 'refused')
  stub.push('FetchJWTBundles', jwtBundlesResponse({ 'spiffe://other.org': home.jwks }))
  await until(() => {
    try {
      source.validate(token, { audience: 'me' })
    } catch (error) {
      return /** @type {any} */ (error).rule === 'no_bundle'
    }
  }, 'no bundle')
  stub.answer((call) => call.end(7, 'no'))
  stub.end('FetchJWTBundles', 7, 'no')
  await until(() => source.state === 'withdrawn', 'withdrawn')
  assert.throws(() => source.validate(token, { audience: 'me' }), { code: 'ERR_IDENTITY_WITHDRAWN' })
  assert.equal(source.counters.cache.size, 0, 'and the tokens with it')
  assert.equal(await source.fetch({ audience: 'me' }).catch((error) => error.code), 'ERR_NO_IDENTITY')
})

test('diagnostics channels tell, and tell no secret', async () => {
  /** @type {Record<string, any[]>} */
  const heard = {}
  const names = ['connect', 'update', 'error', 'withdraw', 'rotate', 'ignore', 'close']
  const listeners = names.map((name) => {
    const listener = (/** @type {any} */ message) => (heard[name] ??= []).push(message)
    subscribe(`countersign:source.${name}`, listener)
    return () => unsubscribe(`countersign:source.${name}`, listener)
  })
  const { source, stub } = await live(says(first, { ...shop, id: 'x' }))
  // Other tests have left sources behind that still try.
  const ours = (/** @type {string} */ name) => (heard[name] ?? []).filter(({ endpoint }) => endpoint === stub.endpoint)
  await source.ready()
  stub.push('FetchX509SVID', told(second))
  await until(() => ours('rotate').length > 0, 'rotate')
  stub.end('FetchX509SVID', 14, 'away')
  await until(() => ours('error').length > 0, 'error')
  stub.answer((call) => call.end(7, 'no'))
  stub.end('FetchX509SVID', 7, 'no')
  await until(() => ours('withdraw').length > 0, 'withdraw')
  source.close()
  for (const leave of listeners) leave()
  for (const name of names) assert.ok(ours(name).length > 0, name)
  const [rotation] = ours('rotate')
  assert.equal(rotation.spiffeId, first.id)
  assert.notEqual(rotation.serialNumber, rotation.previousSerialNumber)
  const everything = inspect(heard, { depth: 12, showHidden: true })
  assert.ok(!/PRIVATE KEY|BEGIN CERT/.test(everything))
})

test('an open source lets the process end', async () => {
  const stub = await startStub(healthy(home))
  stubs.push(stub)
  const script = `
    const { X509Source, JwtSource } = require(${JSON.stringify(root)})
    const source = new X509Source({ endpoint: ${JSON.stringify(stub.endpoint)} })
    const tokens = new JwtSource({ endpoint: ${JSON.stringify(stub.endpoint)} })
    source.ready().then(async ({ svid }) => {
      console.log(String(svid), String(await tokens.fetch({ audience: 'a' })))
      source.updates().next().then(() => source.updates().next())
    })`
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], { timeout: 10_000 })
  assert.equal(stdout, `${first.id} ${first.id}\n`)
})
