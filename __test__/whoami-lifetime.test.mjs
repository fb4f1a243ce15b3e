// What a call leaves behind: nothing. What it holds on to while it lasts: the process, its context, its caller's name.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { after, before, describe, test } from 'node:test'
import countersign from 'countersign'
import { runScript } from './support/child.mjs'
import { OK, startDaemon } from './support/daemon.mjs'

const { getIdentity, getIdentitySync, IdentityClient } = countersign

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

/** @param {string} script @param {Parameters<typeof runScript>[1]} [options] */
async function succeeds(script, options) {
  const result = await runScript(script, options)
  assert.deepEqual([result.code, result.signal], [0, null], result.stderr + result.stdout)
  return result
}

describe('the process', () => {
  test('ends by itself when nothing is in flight', async () => {
    const { stdout, took } = await succeeds(
      'countersign.getIdentity({ socketPath }).then((me) => { countersign.getIdentitySync({ socketPath }); ' +
        'console.log(me.identity) })',
      { socketPath: ready }
    )
    assert.equal(stdout, 'BILLING_PROD\n')
    assert.ok(took < 3000, `${took} ms`)
  })
  test('ends by itself after failures, timeouts and aborts', async () => {
    const { took } = await succeeds(
      `
      const controller = new AbortController()
      const done = (promise) => promise.then(() => process.exit(9), () => {})
      done(countersign.getIdentity({ socketPath: '/missing' }))
      done(countersign.getIdentity({ socketPath, timeout: 20 }))
      done(countersign.getIdentity({ socketPath, timeout: null, signal: controller.signal }))
      setTimeout(() => controller.abort(), 20)`,
      { socketPath: silent }
    )
    assert.ok(took < 3000, `${took} ms`)
  })
  test('does not end during a call', async () => {
    const socketPath = await daemon.serve({ body: JSON.stringify(OK), delay: 300 })
    for (const script of [
      'countersign.getIdentity({ socketPath }).then((me) => console.log(me.identity))',
      `countersign.getIdentity({ socketPath: ${JSON.stringify(ready)} }); ` +
        'countersign.getIdentity({ socketPath }).then((me) => console.log(me.identity))'
    ]) {
      assert.equal((await succeeds(script, { socketPath })).stdout, 'BILLING_PROD\n')
    }
  })
  test('does not end while waiting for a socket that is not there', async () => {
    const { stdout } = await succeeds(
      "countersign.getIdentity({ socketPath: '/missing', retry: true, timeout: 200 }).catch((error) => " +
        'console.log(error.code))'
    )
    assert.equal(stdout, 'ERR_SOCKET_NOT_FOUND\n')
  })
  test('may end in the middle of calls', async () => {
    await succeeds(
      'for (let i = 0; i < 100; i++) countersign.getIdentity({ socketPath }); setTimeout(() => process.exit(0), 20)',
      { socketPath: silent }
    )
  })
  test('may be required for nothing', async () => {
    await succeeds('')
  })
})

describe('many calls', () => {
  test('1000 in flight', async () => {
    const client = new IdentityClient({ socketPath: ready, timeout: 30_000 })
    const all = await Promise.all(
      Array.from({ length: 1000 }, (_, index) => client.getIdentity({ runner: { instanceId: index } }))
    )
    for (const me of all) assert.equal(me.identity, OK.identity)
  })
  test('each gets its own answer', async () => {
    const client = new IdentityClient({ socketPath: await daemon.serve({ echo: true }), timeout: 30_000 })
    const all = await Promise.all(
      Array.from({ length: 500 }, (_, index) => client.getIdentity({ runner: { instanceId: index } }))
    )
    for (const [index, me] of all.entries()) assert.equal(me.runner.instanceId, index)
  })
  test('of both flavours, mixed', async () => {
    const pending = []
    for (let round = 0; round < 50; round++) {
      pending.push(getIdentity({ socketPath: ready }))
      assert.equal(getIdentitySync({ socketPath: ready }).identity, OK.identity)
    }
    assert.equal((await Promise.all(pending)).length, 50)
  })
  test('a new call from every answer', async () => {
    let left = 300
    const again = async () => {
      while (left-- > 0) await getIdentity({ socketPath: ready })
    }
    await Promise.all([again(), again(), again()])
  })
})

describe('an awaiting caller', () => {
  test('keeps its async context', async () => {
    const storage = new AsyncLocalStorage()
    const socketPath = await daemon.serve({ body: JSON.stringify(OK), delay: 10 })
    await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        storage.run(index, async () => {
          await getIdentity({ socketPath })
          assert.equal(storage.getStore(), index)
          await getIdentity({ socketPath: '/missing' }).catch(() => {})
          assert.equal(storage.getStore(), index)
          await new Promise((resolve) =>
            getIdentity({ socketPath }).finally(() => resolve(assert.equal(storage.getStore(), index)))
          )
        })
      )
    )
  })
  test('is named in the stack of the error', async () => {
    const socketPath = await daemon.serve({ body: '{"status":"error","error_code":"E_NO_MATCH","message":""}' })
    async function chargeTheCustomer() {
      return await getIdentity({ socketPath })
    }
    function chargeTheCustomerAtOnce() {
      return getIdentitySync({ socketPath })
    }
    async function chargeTheCustomerInTime() {
      return await getIdentity({ socketPath: silent, timeout: 20 })
    }
    async function chargeTheCustomerSomewhere() {
      return await getIdentity({ socketPath: '/missing' })
    }
    for (const call of [
      chargeTheCustomer,
      chargeTheCustomerAtOnce,
      chargeTheCustomerInTime,
      chargeTheCustomerSomewhere
    ]) {
      await assert.rejects((async () => call())(), (/** @type {any} */ error) => {
        assert.ok(error.stack.includes(call.name), error.stack)
        assert.ok(error.stack.startsWith(`CountersignError: ${error.message}\n`), error.stack)
        return true
      })
    }
  })
  test('who throws in a reaction gets an ordinary unhandled rejection', async () => {
    const result = await runScript(
      "process.on('unhandledRejection', (error) => { console.log(error.message); process.exit(0) }); " +
        "countersign.getIdentity({ socketPath }).then(() => { throw new Error('mine') })",
      { socketPath: ready }
    )
    assert.equal(result.stdout, 'mine\n', result.stderr)
  })
})

/** Counts what must not grow. */
const MEASURE = `
  const fs = require('node:fs')
  const fds = () => fs.readdirSync('/proc/self/fd').length
  const handles = () => process.getActiveResourcesInfo().length
  const settle = async () => {
    for (let i = 0; i < 5; i++) {
      globalThis.gc()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  async function leaks (round, batches, size) {
    for (let i = 0; i < 5; i++) await round(size)
    // A heap that finds its size grows for a while; a leak grows every time, 1 kB a call by 10 MB.
    const grown = []
    for (let time = 0; time < 4 && !(grown.at(-1)?.rss < 8); time++) {
      await settle()
      const before = { fds: fds(), handles: handles(), rss: process.memoryUsage().rss }
      for (let i = 0; i < batches; i++) await round(size)
      await settle()
      grown.push({ fds: fds() - before.fds, handles: handles() - before.handles,
        rss: (process.memoryUsage().rss - before.rss) / 1e6 })
    }
    const last = grown.at(-1)
    if (last.fds > 0 || last.handles > 0 || last.rss >= 8) { console.log(JSON.stringify(grown)); process.exitCode = 1 }
  }
  const client = new countersign.IdentityClient({ socketPath, timeout: null })
`
describe('nothing leaks', () => {
  test('from 10,000 aborted calls', async () => {
    await succeeds(
      `${MEASURE}
    leaks(async (size) => {
      const controller = new AbortController()
      const all = Array.from({ length: size }, () => client.getIdentity({ signal: controller.signal })
        .then(() => process.exit(9), () => {}))
      await new Promise(setImmediate)
      controller.abort()
      await Promise.all(all)
    }, 100, 100)`,
      { socketPath: silent, flags: ['--expose-gc', '--no-warnings'] }
    )
  })
  test('from 10,000 calls out of time', async () => {
    await succeeds(
      `${MEASURE}
    leaks((size) => Promise.all(Array.from({ length: size }, () => client.getIdentity({ timeout: 1 })
      .then(() => process.exit(9), () => {}))), 100, 100)`,
      { socketPath: silent, flags: ['--expose-gc'] }
    )
  })
  test('from 10,000 calls that fail, and 10,000 that are refused', async () => {
    await succeeds(
      `${MEASURE}
    const strict = new countersign.IdentityClient({ socketPath, expectServer: { uid: 4000000 } })
    leaks((size) => Promise.all(Array.from({ length: size },
      () => [countersign.getIdentity({ socketPath: '/missing' }), strict.getIdentity()]).flat()
        .map((each) => each.then(() => process.exit(9), () => {}))), 100, 100)`,
      { socketPath: silent, flags: ['--expose-gc'] }
    )
  })
  test('from 10,000 answers, one by one and together', async () => {
    await succeeds(
      `${MEASURE}
    leaks(async (size) => {
      for (let i = 0; i < size / 2; i++) await client.getIdentity()
      await Promise.all(Array.from({ length: size / 2 }, () => client.getIdentity()))
    }, 100, 100)`,
      { socketPath: ready, flags: ['--expose-gc'] }
    )
  })
})
