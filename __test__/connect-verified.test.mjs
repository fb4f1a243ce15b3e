// A connection that is handed over only when the right process listens.
import assert from 'node:assert/strict'
import { getEventListeners, once } from 'node:events'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import countersign from 'countersign'
import { runScript } from './support/child.mjs'
import { startDaemon } from './support/daemon.mjs'
import { setTimeout as pause } from 'node:timers/promises'

const { connectVerified } = countersign
const uid = /** @type {() => number} */ (process.geteuid)()

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon
before(async () => {
  daemon = await startDaemon()
})
after(() => daemon.stop())

/** @param {Promise<unknown>} promise @param {string} code @param {(error: any) => void} [check] */
const fails = (promise, code, check) =>
  assert.rejects(promise, (/** @type {any} */ error) => {
    assert.equal(error.code, code, error.stack)
    check?.(error)
    return true
  })

describe('the right server', () => {
  test('is handed over, ready to talk', async () => {
    const socketPath = await daemon.serve({ body: 'welcome' })
    const socket = await connectVerified(socketPath, { uid, pid: daemon.pid })
    assert.equal(socket.listenerCount('error'), 0)
    socket.setEncoding('utf8').end('hello')
    assert.deepEqual(await once(socket, 'data'), ['welcome'])
    await once(socket, 'close')
    assert.deepEqual(await daemon.received(socketPath), ['hello'])
  })
  test('that speaks first: nothing it said is lost', async () => {
    const socket = await connectVerified(await daemon.serve({ body: 'banner', after: 'nothing' }), { uid })
    await pause(20)
    socket.setEncoding('utf8')
    assert.deepEqual(await once(socket, 'data'), ['banner'])
    socket.destroy()
  })
  test('that closes its side: half open only when asked to', async () => {
    for (const allowHalfOpen of [false, true]) {
      const socket = await connectVerified(
        await daemon.serve({ body: 'x', after: 'nothing', then: 'half' }),
        { uid },
        { allowHalfOpen }
      )
      socket.resume()
      await once(socket, 'end')
      await pause(10)
      assert.equal(socket.writable, allowHalfOpen)
      socket.destroy()
    }
  })
  test('is judged by a list or a function too', async () => {
    const socketPath = await daemon.serve({})
    for (const policy of [
      [{ uid: uid + 1 }, { uid }],
      (/** @type {countersign.PeerProcess} */ peer) => peer.pid === daemon.pid
    ])
      (await connectVerified(socketPath, policy)).destroy()
  })
})

describe('an impostor', () => {
  /** @param {any} policy @param {(error: any) => void} check */
  async function refused(policy, check) {
    const socketPath = await daemon.serve({ body: 'trust me', after: 'nothing' })
    await fails(connectVerified(socketPath, policy), 'ERR_UNTRUSTED_SERVER', (error) => {
      assert.equal(error.path, socketPath)
      check(error)
    })
    await pause(30)
    const received = await daemon.received(socketPath)
    assert.deepEqual(received.join(''), '')
  }
  test('gets not one byte', () =>
    refused({ uid: uid + 1 }, (error) => {
      assert.deepEqual(
        [error.field, error.expected, error.actual, error.peer.pid],
        ['uid', String(uid + 1), String(uid), daemon.pid]
      )
      assert.equal(error.cause.code, 'ERR_PEER_DENIED')
    }))
  test('is told by its program', () =>
    refused({ uid, exe: '/usr/lib/acme/acmed' }, (error) => assert.equal(error.field, 'exe')))
  test('is told by a function', async () => {
    for (const verdict of [false, 1, undefined, Promise.resolve(true)])
      await refused(
        () => verdict,
        (error) => assert.equal(error.field, 'function')
      )
    await refused(
      () => {
        throw new Error('no')
      },
      (error) => assert.equal(error.cause.cause.message, 'no')
    )
  })
})

describe('no connection', () => {
  test('nothing there, nobody there, no path', async () => {
    const missing = path.join(daemon.directory, 'missing.sock')
    await fails(connectVerified(missing, { uid }), 'ERR_SOCKET_NOT_FOUND', (error) => assert.equal(error.path, missing))
    const plain = path.join(daemon.directory, 'plain')
    writeFileSync(plain, '')
    await fails(connectVerified(plain, { uid }), 'ERR_CONNECTION_FAILED', (error) =>
      assert.equal(error.syscallError, 'ECONNREFUSED')
    )
    for (const bad of ['', 'x'.repeat(108), '\0x', 7, undefined])
      await fails(connectVerified(/** @type {any} */ (bad), { uid }), 'ERR_INVALID_ARGUMENT')
  })
  test('without a policy that means something', async () => {
    for (const policy of [undefined, null, {}, { uids: 0 }, { uid: undefined }])
      await fails(connectVerified('/x', /** @type {any} */ (policy)), 'ERR_INVALID_ARGUMENT')
    for (const options of [null, { timeOut: 1 }, { timeout: 0 }, { signal: {} }])
      await fails(connectVerified('/x', { uid }, /** @type {any} */ (options)), 'ERR_INVALID_ARGUMENT')
  })
  test('a full backlog: waited for until the time is over, or until it is taken back', async () => {
    const frozen = await startDaemon()
    /** @type {import('node:net').Socket[]} */
    const connected = []
    try {
      const socketPath = await frozen.serve({ silent: true, backlog: 1 })
      frozen.kill('SIGSTOP')
      for (let count = 0; count < 2; count++) connected.push(await connectVerified(socketPath, { uid }))
      const start = performance.now()
      await fails(connectVerified(socketPath, { uid }, { timeout: 100 }), 'ERR_TIMEOUT', (error) =>
        assert.equal(error.timeout, 100)
      )
      assert.ok(performance.now() - start >= 98)
      const controller = new AbortController()
      const taken = connectVerified(socketPath, { uid }, { signal: controller.signal, timeout: null })
      setTimeout(() => controller.abort('enough'), 30)
      assert.equal(await taken.catch((reason) => reason), 'enough')
      assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
      const later = connectVerified(socketPath, { uid })
      setTimeout(() => frozen.kill('SIGCONT'), 50)
      connected.push(await later)
    } finally {
      for (const socket of connected) socket.on('error', () => {}).destroy()
      await frozen.stop()
    }
  })
  test('taken back before and during', async () => {
    const socketPath = await daemon.serve({})
    const reason = new Error('not needed')
    assert.equal(
      await connectVerified(socketPath, { uid }, { signal: AbortSignal.abort(reason) }).catch((error) => error),
      reason
    )
    const controller = new AbortController()
    const promise = connectVerified(socketPath, { uid }, { signal: controller.signal })
    controller.abort(reason)
    assert.equal(await promise.catch((error) => error), reason)
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
  })
  test('leaves no listener on a signal that is never aborted', async () => {
    const { signal } = new AbortController()
    const socket = await connectVerified(await daemon.serve({}), { uid }, { signal })
    socket.destroy()
    await fails(connectVerified('/missing', { uid }, { signal }), 'ERR_SOCKET_NOT_FOUND')
    assert.equal(getEventListeners(signal, 'abort').length, 0)
  })
  test('leaves nothing behind that keeps the process', async () => {
    const socketPath = await daemon.serve({ silent: true })
    const { code, took, stdout, stderr } = await runScript(
      `
      const done = (promise) => promise.then(() => process.exit(9), (error) => console.log(error.code))
      done(countersign.connectVerified(socketPath, { uid: 4000000 }));
      done(countersign.connectVerified('/missing', { uid: 0 }))`,
      { socketPath }
    )
    assert.equal(code, 0, stderr)
    assert.deepEqual(stdout.trim().split('\n').sort(), ['ERR_SOCKET_NOT_FOUND', 'ERR_UNTRUSTED_SERVER'])
    assert.ok(took < 3000)
  })
  test('names the caller in the stack', async () => {
    async function callTheDaemon() {
      return await connectVerified('/missing', { uid })
    }
    await assert.rejects(callTheDaemon(), (/** @type {any} */ error) => {
      assert.match(error.stack, /callTheDaemon/)
      return true
    })
  })
})
