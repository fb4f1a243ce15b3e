// The daemon must be the right one, and the answer must be about us.
import assert from 'node:assert/strict'
import { realpathSync } from 'node:fs'
import { inspect } from 'node:util'
import { after, before, describe, test } from 'node:test'
import countersign from 'countersign'
import { OK, startDaemon } from './support/daemon.mjs'

const { getIdentity, getIdentitySync, IdentityClient } = countersign
const text = JSON.stringify(OK)
const exe = realpathSync(process.execPath)
const uid = /** @type {() => number} */ (process.geteuid)()
const gid = /** @type {() => number} */ (process.getegid)()

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon
before(async () => {
  daemon = await startDaemon()
})
after(() => daemon.stop())

/** @type {Record<string, (options: any) => Promise<countersign.Identity>>} */
const flavours = { async: async (options) => getIdentity(options), sync: async (options) => getIdentitySync(options) }

/** @param {Promise<unknown>} promise @param {(error: any) => void} check */
const fails = (promise, check) =>
  assert.rejects(promise, (error) => {
    check(error)
    return true
  })

for (const [flavour, call] of Object.entries(flavours)) {
  describe(`expectServer, ${flavour}`, () => {
    /**
     * Refused, and not one byte has left.
     * @param {any} expectServer
     * @param {(error: any) => void} check
     */
    async function refused(expectServer, check) {
      const socketPath = await daemon.serve({ body: text, after: 'nothing' })
      await fails(call({ socketPath, expectServer, runner: { extra: { secret: 'x'.repeat(1000) } } }), (error) => {
        assert.equal(error.code, 'ERR_UNTRUSTED_SERVER', error.stack)
        assert.equal(error.path, socketPath)
        check(error)
      })
      await new Promise((resolve) => setTimeout(resolve, 30))
      assert.equal((await daemon.received(socketPath)).join(''), '')
    }

    test('the right server is talked to', async () => {
      for (const expectServer of [
        { uid },
        { uid, gid, pid: daemon.pid, exe },
        { exe: `${exe.slice(0, exe.lastIndexOf('/'))}/*` },
        [{ uid: 4_000_000 }, { uid }],
        (/** @type {any} */ peer) => peer.pid === daemon.pid && peer.exe === exe
      ]) {
        const socketPath = await daemon.serve({ body: text })
        assert.equal((await call({ socketPath, expectServer })).identity, OK.identity)
        assert.deepEqual(await daemon.received(socketPath), ['{"runner":{}}'])
      }
    })
    test('another user', () =>
      refused({ uid: 4_000_000 }, (error) => {
        assert.equal(error.field, 'uid')
        assert.equal(error.expected, '4000000')
        assert.equal(error.actual, String(uid))
        assert.equal(error.peer.pid, daemon.pid)
        assert.equal(error.cause.code, 'ERR_PEER_DENIED')
      }))
    test('another program', () =>
      refused({ exe: '/usr/lib/acme/acmed' }, (error) => {
        assert.equal(error.field, 'exe')
        assert.ok(error.actual.includes(exe), error.actual)
      }))
    test('another process', () => refused({ uid, pid: daemon.pid + 1 }, (error) => assert.equal(error.field, 'pid')))
    test('none of a list', () =>
      refused([{ uid: 4_000_000 }, { gid: 4_000_001 }], (error) =>
        assert.match(error.message, /uid: expected 4000000.*gid: expected 4000001/)
      ))
    test('a function that says no', () =>
      refused(
        () => false,
        (error) => assert.equal(error.field, 'function')
      ))
    test('a function that throws', () =>
      refused(
        () => {
          throw new Error('not today')
        },
        (error) => {
          assert.match(error.message, /not today/)
          assert.equal(error.cause.cause.message, 'not today')
        }
      ))
    test('a function that throws nothing', () =>
      refused(
        () => {
          throw undefined
        },
        (error) => assert.equal(error.cause.code, 'ERR_PEER_DENIED')
      ))
    test('a function that promises', async () => {
      await refused(
        async () => true,
        (error) => assert.match(error.message, /a promise/)
      )
      await refused(
        async () => {
          throw new Error('late')
        },
        (error) => assert.match(error.message, /a promise/)
      )
    })
    test('a function that says something else', async () => {
      for (const value of [1, 'yes', {}, undefined, null, [true], new Boolean(true)])
        await refused(
          () => value,
          (error) => assert.equal(error.field, 'function')
        )
    })
    test('a function whose answer is a trap', () =>
      refused(
        () => ({
          get then() {
            throw new Error('trap')
          }
        }),
        (error) => assert.equal(error.field, 'function')
      ))
    test('a server of another user', { skip: uid !== 0 && 'needs root' }, async () => {
      const impostor = await startDaemon({ uid: 1001 })
      try {
        const socketPath = await impostor.serve({ body: text, after: 'nothing' })
        await fails(call({ socketPath, expectServer: { uid: 0 }, runner: { instanceId: 1 } }), (error) => {
          assert.equal(error.code, 'ERR_UNTRUSTED_SERVER')
          assert.equal(error.actual, '1001')
        })
        await new Promise((resolve) => setTimeout(resolve, 30))
        assert.equal((await impostor.received(socketPath)).join(''), '')
        assert.equal((await call({ socketPath, expectServer: { uid: 1001 } })).identity, OK.identity)
      } finally {
        await impostor.stop()
      }
    })
    test('a server whose process is gone: its socket lives on in a child', async () => {
      const socketPath = await daemon.serve({ body: text })
      await fails(call({ socketPath, expectServer: { pid: 2 ** 22 + 1 } }), (error) =>
        assert.equal(error.code, 'ERR_UNTRUSTED_SERVER')
      )
    })
    test('a slow judge eats into the deadline', async () => {
      const socketPath = await daemon.serve({ body: text, delay: 20 })
      const expectServer = () => {
        const end = performance.now() + 120
        while (performance.now() < end);
        return true
      }
      await fails(call({ socketPath, expectServer, timeout: 100 }), (error) => assert.equal(error.code, 'ERR_TIMEOUT'))
    })
    test('a judge that asks for an identity itself', async () => {
      const socketPath = await daemon.serve({ body: text })
      /** @type {any} */
      let inner
      const expectServer = () => {
        inner = getIdentitySync({ socketPath })
        getIdentity({ socketPath }).catch(() => {})
        return true
      }
      assert.equal((await call({ socketPath, expectServer })).identity, OK.identity)
      assert.equal(inner?.identity, OK.identity)
    })
    test('a backlog that is full is waited for, and then judged', async () => {
      const frozen = await startDaemon()
      try {
        const socketPath = await frozen.serve({ body: text, backlog: 1 })
        frozen.kill('SIGSTOP')
        const waiting = Array.from({ length: 6 }, () =>
          getIdentity({ socketPath, timeout: 20_000, expectServer: { uid: 4_000_000 } }).then(
            () => 'believed',
            (error) => error.code
          )
        )
        setTimeout(() => frozen.kill('SIGCONT'), 100)
        assert.deepEqual(new Set(await Promise.all(waiting)), new Set(['ERR_UNTRUSTED_SERVER']))
        await fails(call({ socketPath, expectServer: { uid: 4_000_000 } }), (error) =>
          assert.equal(error.code, 'ERR_UNTRUSTED_SERVER')
        )
        assert.equal((await frozen.received(socketPath)).join(''), '')
      } finally {
        await frozen.stop()
      }
    })
  })

  describe(`verifySelf, ${flavour}`, () => {
    const self = { pid: process.pid, uid, gid }
    /** @param {object} runner */
    const about = (runner) => daemon.serve({ body: JSON.stringify({ ...OK, runner }) })
    test('an answer about this process', async () => {
      assert.equal((await call({ socketPath: await about(self), verifySelf: true })).runner.pid, process.pid)
    })
    for (const field of /** @type {const} */ (['pid', 'uid', 'gid'])) {
      test(`another ${field}, and none`, async () => {
        for (const actual of [self[field] + 1, undefined]) {
          const socketPath = await about({ ...self, [field]: actual })
          await fails(call({ socketPath, verifySelf: true }), (error) => {
            assert.equal(error.code, 'ERR_IDENTITY_MISMATCH', error.stack)
            assert.deepEqual([error.field, error.expected, error.actual], [field, self[field], actual])
          })
          assert.equal((await call({ socketPath })).runner[field], actual)
        }
      })
    }
  })
}

describe('a policy that cannot be meant', () => {
  test('is refused when the client is made', () => {
    for (const expectServer of [
      undefined,
      null,
      {},
      [],
      [{}],
      { uids: 0 },
      { uid: undefined },
      { uid: '0' },
      { uid: -1 },
      { uid: 1.5 },
      { uid: 0, Exe: '/x' },
      { exe: 'relative' },
      { exe: '' },
      { exe: '/a/*/b' },
      { process: 'node' },
      { exeSha256: 'xyz' },
      { pid: 0 },
      { unit: 'x' },
      { group: '' },
      { group: 'no-such-group-here' },
      'root',
      0,
      true,
      new Map(),
      Object.create({ uid: 0 }),
      [{ uid: 0 }, {}],
      [undefined],
      { uid: 0, [Symbol('x')]: 1 },
      { uid: 0, toJSON: () => ({ gid: 0 }) },
      { uid: 0n },
      // biome-ignore lint/suspicious/noSparseArray: a list with a hole is a list of an undefined policy
      [, { uid: 0 }]
    ]) {
      assert.throws(
        () => new IdentityClient(/** @type {any} */ ({ expectServer })),
        { code: 'ERR_INVALID_ARGUMENT' },
        inspect(expectServer)
      )
    }
  })
  test('is read once: what was checked is what holds', async () => {
    let reads = 0
    const socketPath = await daemon.serve({ body: text })
    const changing = {
      get uid() {
        return reads++ === 0 ? 4_000_000 : uid
      }
    }
    await fails(getIdentity({ socketPath, expectServer: changing }), (error) => assert.equal(error.field, 'uid'))
    const hidden = Object.defineProperty({ uid }, 'exe', { value: '/usr/lib/acme/acmed' })
    await fails(getIdentity({ socketPath, expectServer: hidden }), (error) => assert.equal(error.field, 'exe'))
  })
  test('a change to the object afterwards changes nothing', async () => {
    const policy = { uid: 4_000_000 }
    const client = new IdentityClient({ socketPath: await daemon.serve({ body: text }), expectServer: policy })
    policy.uid = uid
    await fails(client.getIdentity(), (error) => assert.equal(error.code, 'ERR_UNTRUSTED_SERVER'))
  })
  test('other options that must be what they are', () => {
    for (const options of [
      { verifySelf: 1 },
      { verifySelf: 'no' },
      { retry: 3 },
      { retry: null },
      { verifySelf: null }
    ]) {
      assert.throws(() => new IdentityClient(/** @type {any} */ (options)), { code: 'ERR_INVALID_ARGUMENT' })
    }
  })
})
