// What becomes of a call when the daemon, the path or the connection is not as it should be.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import countersign from 'countersign'
import { OK, startDaemon } from './support/daemon.mjs'

const { getIdentity, getIdentitySync, IdentityClient } = countersign
const text = JSON.stringify(OK)

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon
before(async () => {
  daemon = await startDaemon()
})
after(() => daemon.stop())

/** @type {Record<string, (options: any) => Promise<countersign.Identity>>} */
const flavours = { async: async (options) => getIdentity(options), sync: async (options) => getIdentitySync(options) }

/** @param {Promise<unknown>} promise @param {string} code @param {object} [details] */
function fails(promise, code, details = {}) {
  return assert.rejects(promise, (/** @type {any} */ error) => {
    assert.equal(error.code, code, error.stack)
    assert.equal(error.name, 'CountersignError')
    for (const [detail, value] of Object.entries(details))
      assert.equal(error[detail], value, `${detail} of ${error.stack}`)
    return true
  })
}

/** @param {() => Promise<unknown>} call */
async function duration(call) {
  const start = performance.now()
  await call()
  return performance.now() - start
}

for (const [flavour, call] of Object.entries(flavours)) {
  describe(`the path, ${flavour}`, () => {
    /** @param {string} name */
    const at = (name) => path.join(daemon.directory, name)

    test('nothing there', () =>
      fails(call({ socketPath: at('missing') }), 'ERR_SOCKET_NOT_FOUND', { path: at('missing') }))
    test('a dangling link', async () => {
      symlinkSync(at('nowhere'), at(`dangling-${flavour}`))
      await fails(call({ socketPath: at(`dangling-${flavour}`) }), 'ERR_SOCKET_NOT_FOUND')
    })
    test('a parent that is a file', async () => {
      writeFileSync(at(`file-${flavour}`), '')
      await fails(call({ socketPath: at(`file-${flavour}/x`) }), 'ERR_CONNECTION_FAILED', { syscallError: 'ENOTDIR' })
    })
    test('a plain file', async () => {
      writeFileSync(at(`plain-${flavour}`), '')
      await fails(call({ socketPath: at(`plain-${flavour}`) }), 'ERR_CONNECTION_FAILED', {
        syscallError: 'ECONNREFUSED',
        errno: -111,
        path: at(`plain-${flavour}`)
      })
    })
    test('a directory', async () => {
      mkdirSync(at(`directory-${flavour}`))
      await fails(call({ socketPath: at(`directory-${flavour}`) }), 'ERR_CONNECTION_FAILED', {
        syscallError: 'ECONNREFUSED'
      })
    })
    test('a socket nobody listens on', async () => {
      const other = await startDaemon()
      const socketPath = await other.serve({ body: text }, 'dead.sock')
      other.kill('SIGKILL')
      await new Promise((resolve) => setTimeout(resolve, 100))
      await fails(call({ socketPath }), 'ERR_CONNECTION_FAILED', { syscallError: 'ECONNREFUSED' })
      await other.stop()
    })
    test('a datagram socket', async () => {
      const made = spawnSync('python3', [
        '-c',
        'import socket,sys; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).bind(sys.argv[1])',
        at(`datagram-${flavour}`)
      ])
      if (made.status !== 0) return // nothing here can make one
      await fails(call({ socketPath: at(`datagram-${flavour}`) }), 'ERR_CONNECTION_FAILED')
    })
    test('too long, empty, with a NUL, not text', async () => {
      for (const socketPath of ['/'.padEnd(108, 'x'), '', '\0abstract', 'a\0b', 7, null, Buffer.from('/run/a.sock')]) {
        await fails(call({ socketPath }), 'ERR_INVALID_ARGUMENT')
      }
      await fails(call({ socketPath: `/tmp/${'x'.repeat(102)}` }), 'ERR_SOCKET_NOT_FOUND')
      await fails(call({ socketPath: `/tmp/${'é'.repeat(52)}` }), 'ERR_INVALID_ARGUMENT')
    })
    test('a name with spaces, a quote and more than ASCII', async () => {
      const socketPath = await daemon.serve({ body: text }, `a 'näme' 🦊 ${flavour}.sock`)
      assert.equal((await call({ socketPath })).identity, OK.identity)
    })
  })

  describe(`the connection, ${flavour}`, () => {
    test('the daemon asks for nothing and answers at once', async () => {
      assert.equal(
        (await call({ socketPath: await daemon.serve({ body: text, after: 'nothing' }) })).identity,
        OK.identity
      )
    })
    test('the daemon reads to the end first', async () => {
      const socketPath = await daemon.serve({ body: text })
      assert.equal((await call({ socketPath })).identity, OK.identity)
      assert.deepEqual(await daemon.received(socketPath), ['{"runner":{}}'])
    })
    test('the daemon never closes', async () => {
      for (const then of ['hold', 'half']) {
        const socketPath = await daemon.serve({ body: text, then: /** @type {any} */ (then) })
        assert.ok((await duration(() => call({ socketPath, timeout: 2000 }))) < 1000)
      }
    })
    test('the daemon answers and closes with the request unread', async () => {
      const socketPath = await daemon.serve({ body: text, then: 'unread', delay: 20 })
      const extra = { text: 'x'.repeat(10_000) }
      for (let round = 0; round < 20; round++)
        assert.equal((await call({ socketPath, runner: { extra } })).identity, OK.identity)
    })
    test('the daemon answers and closes while a large request is being written', async () => {
      const socketPath = await daemon.serve({ body: text, then: 'unread' })
      const extra = { text: 'x'.repeat(900_000) }
      for (let round = 0; round < 20; round++)
        assert.equal((await call({ socketPath, runner: { extra } })).identity, OK.identity)
    })
    test('the daemon closes without a word, with the request unread', async () => {
      const socketPath = await daemon.serve({ then: 'unread', delay: 20 })
      await fails(call({ socketPath }), 'ERR_READ', { syscallError: 'ECONNRESET' })
      await fails(call({ socketPath, runner: { extra: { text: 'x'.repeat(900_000) } } }), 'ERR_WRITE', {
        syscallError: 'EPIPE'
      })
    })
    test('the daemon breaks off in the middle, with the request unread', async () => {
      await fails(
        call({ socketPath: await daemon.serve({ body: text.slice(0, 50), then: 'unread', delay: 20 }) }),
        'ERR_READ',
        { syscallError: 'ECONNRESET' }
      )
    })
    test('the daemon breaks off in the middle', async () => {
      await fails(call({ socketPath: await daemon.serve({ body: text.slice(0, 50) }) }), 'ERR_INVALID_JSON')
    })
    test('20 MB', async () => {
      await fails(
        call({ socketPath: await daemon.serve({ body: text, padding: 20_000_000 }) }),
        'ERR_RESPONSE_TOO_LARGE'
      )
      await fails(
        call({ socketPath: await daemon.serve({ body: `{"x":"${'x'.repeat(2_000_000)}"`, then: 'hold' }) }),
        'ERR_RESPONSE_TOO_LARGE'
      )
    })
    test('1 MiB exactly, and one byte more', async () => {
      const room = 1024 * 1024 - Buffer.byteLength(text)
      assert.equal(
        (await call({ socketPath: await daemon.serve({ body: text, padding: room }) })).identity,
        OK.identity
      )
      await fails(call({ socketPath: await daemon.serve({ body: text, padding: room + 1 }) }), 'ERR_RESPONSE_TOO_LARGE')
    })
    test('an answer in single bytes', async () => {
      assert.equal(
        (await call({ socketPath: await daemon.serve({ body: text, drip: 1 }), timeout: 20_000 })).identity,
        OK.identity
      )
    })
    test('a megabyte in the request arrives whole', async () => {
      const extra = { text: 'é'.repeat(500_000) }
      const me = await call({
        socketPath: await daemon.serve({ echo: true }),
        runner: { extra: { text: 'é'.repeat(250_000) } }
      })
      assert.equal(me.runner.extra.text, 'é'.repeat(250_000))
      await fails(
        call({
          socketPath: await daemon.serve({ echo: true }),
          runner: { extra: { ...extra, more: 'x'.repeat(60_000) } }
        }),
        'ERR_INVALID_ARGUMENT'
      )
    })
  })

  describe(`the deadline, ${flavour}`, () => {
    /** @param {object} options @param {number} timeout @param {RegExp} stage */
    async function late(options, timeout, stage) {
      const took = await duration(() =>
        assert.rejects(call({ ...options, timeout }), (/** @type {any} */ error) => {
          assert.equal(error.code, 'ERR_TIMEOUT', error.stack)
          assert.equal(error.timeout, timeout)
          assert.match(error.message, stage)
          return true
        })
      )
      assert.ok(took >= timeout - 2 && took < timeout + 400, `took ${took} ms of ${timeout}`)
    }
    test('silence', async () =>
      late({ socketPath: await daemon.serve({ silent: true }) }, 100, /waiting for the answer/))
    test('a drip: the deadline is over all of it', async () =>
      late({ socketPath: await daemon.serve({ body: text, drip: 20 }) }, 300, /waiting for the answer/))
    test('a document that never ends', async () =>
      late(
        { socketPath: await daemon.serve({ body: text.slice(0, -1), then: 'hold' }) },
        100,
        /waiting for the answer/
      ))
    test('a request nobody reads', async () => {
      const socketPath = await daemon.serve({ silent: true, then: 'unread' })
      await late({ socketPath, runner: { extra: { text: 'x'.repeat(1_000_000) } } }, 100, /writing the request/)
    })
    test('a full backlog', async () => {
      const frozen = await startDaemon()
      try {
        const socketPath = await frozen.serve({ body: text, backlog: 1 })
        frozen.kill('SIGSTOP')
        const waiting = Array.from({ length: 2 }, () => getIdentity({ socketPath, timeout: 20_000 }))
        await late({ socketPath }, 150, /backlog is full/)
        frozen.kill('SIGCONT')
        for (const me of await Promise.all(waiting)) assert.equal(me.identity, OK.identity)
        assert.equal((await call({ socketPath })).identity, OK.identity)
      } finally {
        await frozen.stop()
      }
    })
    test('a backlog that is full for a while', async () => {
      const frozen = await startDaemon()
      try {
        const socketPath = await frozen.serve({ body: text, backlog: 1 })
        frozen.kill('SIGSTOP')
        const waiting = Array.from({ length: 8 }, () => getIdentity({ socketPath, timeout: 20_000 }))
        // A blocked thread cannot wake the daemon: somebody else does.
        spawnSync('sh', ['-c', `(sleep 0.2; kill -CONT ${frozen.pid}) >/dev/null 2>&1 &`])
        assert.equal((await call({ socketPath, timeout: 10_000 })).identity, OK.identity)
        await Promise.all(waiting)
      } finally {
        await frozen.stop()
      }
    })
    test('a fraction of a millisecond', async () =>
      fails(call({ socketPath: await daemon.serve({ silent: true }), timeout: 0.25 }), 'ERR_TIMEOUT', {
        timeout: 0.25
      }))
    test('none', async () => {
      const client = new IdentityClient({ socketPath: await daemon.serve({ body: text, delay: 300 }), timeout: null })
      assert.equal(client.timeout, null)
      assert.equal((await (flavour === 'sync' ? client.getIdentitySync() : client.getIdentity())).identity, OK.identity)
    })
    test('a deadline that means nothing', async () => {
      for (const timeout of [0, -1, NaN, Infinity, 2 ** 31, '5', 5n, {}])
        await fails(call({ socketPath: '/x', timeout }), 'ERR_INVALID_ARGUMENT')
    })
    test("a call's own deadline instead of the client's", async () => {
      const client = new IdentityClient({ socketPath: await daemon.serve({ silent: true }), timeout: 60_000 })
      await fails(
        (async () =>
          flavour === 'sync' ? client.getIdentitySync({ timeout: 50 }) : client.getIdentity({ timeout: 50 }))(),
        'ERR_TIMEOUT',
        { timeout: 50 }
      )
    })
  })

  describe(`retry, ${flavour}`, () => {
    test('the socket appears later', async () => {
      const later = path.join(daemon.directory, `later-${flavour}.sock`)
      const real = await daemon.serve({ body: text })
      spawnSync('sh', ['-c', `(sleep 0.2; ln -s ${real} ${later}) >/dev/null 2>&1 &`])
      const took = await duration(() => call({ socketPath: later, retry: true }))
      assert.ok(took >= 100 && took < 3000, `${took} ms`)
    })
    test('not unless asked to', async () => {
      const took = await duration(() =>
        fails(call({ socketPath: path.join(daemon.directory, 'never.sock') }), 'ERR_SOCKET_NOT_FOUND')
      )
      assert.ok(took < 200, `${took} ms`)
    })
    test('within the deadline, and then with the reason', async () => {
      const took = await duration(() =>
        fails(
          call({ socketPath: path.join(daemon.directory, 'never.sock'), retry: true, timeout: 250 }),
          'ERR_SOCKET_NOT_FOUND'
        )
      )
      assert.ok(took > 50 && took < 600, `${took} ms`)
    })
    test('a daemon that appears and says nothing', async () => {
      const later = path.join(daemon.directory, `mute-${flavour}.sock`)
      const real = await daemon.serve({ silent: true })
      spawnSync('sh', ['-c', `(sleep 0.1; ln -s ${real} ${later}) >/dev/null 2>&1 &`])
      await fails(call({ socketPath: later, retry: true, timeout: 600 }), 'ERR_TIMEOUT', { timeout: 600 })
    })
    test('nothing but a socket that is not there', async () => {
      const socketPath = await daemon.serve({ body: '{"status":"error","error_code":"E_BUSY","message":""}' })
      await fails(call({ socketPath, retry: true }), 'ERR_DAEMON')
      assert.equal((await daemon.received(socketPath)).length, 1)
    })
  })
}

describe('the socket path', () => {
  test('comes from the environment, when the client is made', async () => {
    const socketPath = await daemon.serve({ body: text })
    process.env.WHOAMI_SOCKET = socketPath
    try {
      const client = new IdentityClient()
      assert.equal(client.socketPath, socketPath)
      assert.equal((await getIdentity()).identity, OK.identity)
      assert.equal(getIdentitySync().identity, OK.identity)
      process.env.WHOAMI_SOCKET = ''
      assert.equal(new IdentityClient().socketPath, countersign.DEFAULT_SOCKET_PATH)
      assert.equal(client.socketPath, socketPath)
      assert.equal(new IdentityClient({ socketPath: '/run/a.sock' }).socketPath, '/run/a.sock')
    } finally {
      delete process.env.WHOAMI_SOCKET
    }
    assert.equal(new IdentityClient().socketPath, '/var/run/whoami.sock')
    assert.equal(new IdentityClient().timeout, 5000)
  })
})

describe('options', () => {
  test('that nobody knows', async () => {
    for (const options of [{ socketpath: '/x' }, { timeOut: 1 }, { expectserver: {} }, [], null, 'x', 7]) {
      await fails(getIdentity(/** @type {any} */ (options)), 'ERR_INVALID_ARGUMENT')
      assert.throws(() => getIdentitySync(/** @type {any} */ (options)), { code: 'ERR_INVALID_ARGUMENT' })
    }
    assert.throws(() => new IdentityClient(/** @type {any} */ ({ runner: {} })), { code: 'ERR_INVALID_ARGUMENT' })
    assert.throws(() => getIdentitySync(/** @type {any} */ ({ signal: AbortSignal.timeout(1) })), {
      code: 'ERR_INVALID_ARGUMENT'
    })
    await fails(
      getIdentity({ socketPath: '/x', signal: /** @type {any} */ ({ aborted: false }) }),
      'ERR_INVALID_ARGUMENT'
    )
  })
})
