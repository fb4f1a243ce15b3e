// Taking a call back.
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { after, before, describe, test } from 'node:test'
import path from 'node:path'
import countersign from 'countersign'
import { OK, startDaemon } from './support/daemon.mjs'

const { getIdentity, IdentityClient } = countersign

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon
/** @type {string} */
let silent
/** @type {string} */
let ready
before(async () => {
  daemon = await startDaemon()
  silent = await daemon.serve({ silent: true })
  ready = await daemon.serve({ body: JSON.stringify(OK) })
})
after(() => daemon.stop())

/** @param {Promise<unknown>} promise @param {unknown} reason */
const endsWith = (promise, reason) =>
  promise.then(
    () => assert.fail('it was not taken back'),
    (error) => assert.equal(error, reason)
  )
/** @param {AbortSignal} signal */
const listeners = (signal) => getEventListeners(signal, 'abort').length

describe('an aborted signal', () => {
  test('before the call: nothing is sent', async () => {
    const reason = new Error('not needed')
    const before = (await daemon.received(ready)).length
    await endsWith(getIdentity({ socketPath: ready, signal: AbortSignal.abort(reason) }), reason)
    assert.equal((await daemon.received(ready)).length, before)
    await assert.rejects(getIdentity({ socketPath: ready, signal: AbortSignal.abort() }), { name: 'AbortError' })
  })
  test('during the call', async () => {
    for (const reason of [new Error('enough'), 'a string', 0, null, { any: 'thing' }]) {
      const controller = new AbortController()
      const promise = getIdentity({ socketPath: silent, signal: controller.signal, timeout: null })
      assert.equal(listeners(controller.signal), 1)
      setTimeout(() => controller.abort(reason), 5)
      await endsWith(promise, reason)
      assert.equal(listeners(controller.signal), 0)
    }
    await assert.rejects(getIdentity({ socketPath: silent, signal: AbortSignal.timeout(10), timeout: null }), {
      name: 'TimeoutError'
    })
  })
  test('in the same turn as the call', async () => {
    const controller = new AbortController()
    const promise = getIdentity({ socketPath: ready, signal: controller.signal })
    controller.abort('at once')
    await endsWith(promise, 'at once')
  })
  test('after the call: it stays as it was, and no listener is left', async () => {
    const controller = new AbortController()
    for (let round = 0; round < 20; round++) {
      await getIdentity({ socketPath: ready, signal: controller.signal })
      await assert.rejects(getIdentity({ socketPath: '/missing', signal: controller.signal }))
      await assert.rejects(getIdentity({ socketPath: silent, signal: controller.signal, timeout: 1 }))
      assert.equal(listeners(controller.signal), 0)
    }
    controller.abort()
  })
  test('of many calls at once takes back only its own', async () => {
    const controller = new AbortController()
    const client = new IdentityClient({ socketPath: await daemon.serve({ body: JSON.stringify(OK), delay: 100 }) })
    const kept = Array.from({ length: 20 }, () => client.getIdentity())
    const taken = Array.from({ length: 20 }, () =>
      client.getIdentity({ signal: controller.signal }).then(
        () => 'answered',
        (error) => error
      )
    )
    setTimeout(() => controller.abort('enough'), 10)
    assert.deepEqual(new Set(await Promise.all(taken)), new Set(['enough']))
    for (const me of await Promise.all(kept)) assert.equal(me.identity, OK.identity)
    assert.equal(listeners(controller.signal), 0)
  })
  test('while the server is being judged', async () => {
    const controller = new AbortController()
    const socketPath = await daemon.serve({ body: JSON.stringify(OK) })
    await endsWith(
      getIdentity({
        socketPath,
        signal: controller.signal,
        expectServer: () => {
          controller.abort('by the judge')
          return true
        }
      }),
      'by the judge'
    )
    assert.equal(listeners(controller.signal), 0)
  })
  test('while waiting for a socket that is not there', async () => {
    const controller = new AbortController()
    const promise = getIdentity({
      socketPath: path.join(daemon.directory, 'never.sock'),
      signal: controller.signal,
      retry: true,
      timeout: null
    })
    setTimeout(() => controller.abort('enough'), 50)
    const start = performance.now()
    await endsWith(promise, 'enough')
    assert.ok(performance.now() - start < 300)
    assert.equal(listeners(controller.signal), 0)
  })
  test('while the backlog is full', async () => {
    const { startDaemon } = await import('./support/daemon.mjs')
    const frozen = await startDaemon()
    try {
      const socketPath = await frozen.serve({ silent: true, backlog: 1 })
      frozen.kill('SIGSTOP')
      const controller = new AbortController()
      const all = Array.from({ length: 6 }, () =>
        getIdentity({ socketPath, signal: controller.signal, timeout: null }).catch((error) => error)
      )
      setTimeout(() => controller.abort('enough'), 50)
      assert.deepEqual(new Set(await Promise.all(all)), new Set(['enough']))
    } finally {
      await frozen.stop()
    }
  })
})
