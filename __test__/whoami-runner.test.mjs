// What a caller says about itself, what comes back of it, and what is never shown.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { inspect } from 'node:util'
import countersign from 'countersign'
import { OK, startDaemon } from './support/daemon.mjs'

const { getIdentity, getIdentitySync, IdentityClient } = countersign

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon
/** @type {string} a daemon that gives back what was said to it */
let socketPath
before(async () => {
  daemon = await startDaemon()
  socketPath = await daemon.serve({ echo: true })
})
after(() => daemon.stop())

/** @type {Record<string, (runner: any) => Promise<countersign.Identity>>} */
const flavours = {
  async: async (runner) => getIdentity({ socketPath, runner }),
  sync: async (runner) => getIdentitySync({ socketPath, runner })
}
/** @param {any} runner */
async function sent(runner) {
  const at = await daemon.serve({ echo: true })
  await getIdentity({ socketPath: at, runner })
  return (await daemon.received(at))[0]
}
/** @param {any} runner @param {RegExp} message */
async function refuses(runner, message) {
  for (const call of Object.values(flavours)) {
    await assert.rejects(call(runner), (/** @type {any} */ error) => {
      assert.equal(error.code, 'ERR_INVALID_ARGUMENT', error.stack)
      assert.match(error.message, message)
      return true
    })
  }
}

describe('the request', () => {
  test('is what the protocol says, to the byte', async () => {
    assert.equal(await sent(undefined), '{"runner":{}}')
    assert.equal(await sent({}), '{"runner":{}}')
    assert.equal(await sent({ extra: {} }), '{"runner":{}}')
    assert.equal(
      await sent({ instanceId: 42, timestamp: 1738512000, extra: { zone: 'bü', a: [1, { k: null }] } }),
      '{"runner":{"instance_id":42,"timestamp":1738512000,"zone":"bü","a":[1,{"k":null}]}}'
    )
    assert.equal(await sent({ timestamp: new Date(1738512000999) }), '{"runner":{"timestamp":1738512000}}')
    assert.equal(await sent({ instanceId: -0 }), '{"runner":{"instance_id":0}}')
  })

  for (const [flavour, call] of Object.entries(flavours)) {
    test(`integers survive, ${flavour}`, async () => {
      for (const [said, heard] of [
        [0, 0],
        [0n, 0],
        [42n, 42],
        [2 ** 53 - 1, 2 ** 53 - 1],
        [2n ** 53n, 2n ** 53n],
        [2n ** 64n - 1n, 2n ** 64n - 1n]
      ]) {
        const { runner } = await call({ instanceId: said, timestamp: said })
        assert.equal(runner.instanceId, heard)
        assert.equal(runner.timestamp, heard)
      }
    })
    test(`extras survive, ${flavour}`, async () => {
      const extra = {
        zone: 'b',
        nested: { deep: [1, 'x', null, true, { y: 1.5 }] },
        '': 'empty',
        'ä🦊\n"\\': '\u0000\u2028'
      }
      assert.deepEqual({ ...(await call({ extra })).runner.extra }, extra)
    })
  }

  test('an integer that cannot be meant', async () => {
    for (const name of ['instanceId', 'timestamp']) {
      for (const value of [
        -1,
        -1n,
        2n ** 64n,
        1.5,
        NaN,
        Infinity,
        '42',
        null,
        true,
        {},
        [],
        Symbol('x'),
        Object.create(null),
        () => 1
      ]) {
        await refuses({ [name]: value }, new RegExp(`runner\\.${name}: expected an integer`))
      }
      await refuses({ [name]: 2 ** 53 }, /pass a bigint/)
    }
    await refuses({ timestamp: new Date(NaN) }, /runner\.timestamp/)
    await refuses({ timestamp: new Date(-1) }, /runner\.timestamp/)
    await refuses({ instanceId: new Date() }, /runner\.instanceId/)
  })
  test("a name that is not the caller's to give", async () => {
    for (const name of ['identity', 'hostname', 'process', 'pid', 'uid', 'gid', 'instance_id', 'timestamp']) {
      await refuses({ extra: { [name]: 1 } }, new RegExp(`"${name}" is a name of the protocol`))
      await refuses({ extra: { toJSON: () => ({ [name]: 1 }) } }, /name of the protocol/)
    }
    // Two levels down they are nobody's business.
    await getIdentity({ socketPath, runner: { extra: { nested: { uid: 0 } } } })
  })
  test('an option nobody knows', async () => {
    await refuses({ instance_id: 1 }, /unknown option "instance_id"/)
    for (const runner of [null, [], 'x', 7]) await refuses(runner, /expected an object/)
  })
  test('extras that are not an object, or are not written as one', async () => {
    for (const extra of [
      null,
      [],
      'x',
      7,
      () => 1,
      new Date(),
      { toJSON: () => 'x' },
      { toJSON: () => undefined },
      { toJSON: () => [1] }
    ])
      await refuses({ extra }, /runner\.extra/)
  })
  test('what JSON cannot carry', async () => {
    /** @type {any} */
    const cycle = {}
    cycle.cycle = cycle
    await refuses({ extra: cycle }, /cannot be written as JSON/)
    await refuses({ extra: { big: 1n } }, /cannot be written as JSON/)
    await refuses(
      {
        extra: {
          get trap() {
            throw new Error('trap')
          }
        }
      },
      /cannot be written as JSON: trap/
    )
    await refuses(
      {
        extra: {
          get trap() {
            throw null
          }
        }
      },
      /cannot be written as JSON/
    )
    await refuses({ extra: { s: '\ud800' } }, /lone surrogate/)
    await refuses({ extra: { '\udc00': 1 } }, /lone surrogate/)
    await refuses({ extra: { deep: [{ s: 'a\ud83e' }] } }, /lone surrogate/)
    const nested = (/** @type {number} */ levels) => {
      let deep = {}
      while (levels-- > 0) deep = { deep }
      return deep
    }
    await refuses({ extra: nested(100_000) }, /cannot be written as JSON|nested deeper/)
    await refuses({ extra: nested(101) }, /nested deeper than 100 levels/)
    await getIdentity({ socketPath, runner: { extra: nested(100) } })
  })
  test('more than can be sent', () =>
    refuses({ extra: { text: 'x'.repeat(1024 * 1024) } }, /bytes, at most 1048576 can be sent/))
  test('names that are dangerous in JavaScript', async () => {
    const { runner } = await getIdentity({
      socketPath,
      runner: { extra: JSON.parse('{"__proto__":{"uid":0},"constructor":1}') }
    })
    assert.deepEqual(Object.keys(runner.extra).sort(), ['__proto__', 'constructor'])
    assert.equal(runner.uid, OK.runner.uid)
    assert.equal(/** @type {any} */ ({}).uid, undefined)
  })
  test('is read once, at the call', async () => {
    let reads = 0
    const promise = getIdentity({
      socketPath,
      runner: {
        extra: {
          get once() {
            return ++reads
          }
        }
      }
    })
    assert.equal((await promise).runner.extra.once, 1)
    assert.equal(reads, 1)
  })
})

describe('the wire form of a runner', () => {
  /** @param {any} [runner] */
  const ask = async (runner) => (await getIdentity({ socketPath, runner })).runner

  test('is snake_case, flat, without what is absent', async () => {
    assert.deepEqual(JSON.parse(JSON.stringify(await ask())), OK.runner)
    assert.deepEqual(JSON.parse(JSON.stringify(await ask({ instanceId: 7, extra: { zone: 'b' } }))), {
      ...OK.runner,
      instance_id: 7,
      zone: 'b'
    })
    const bare = (
      await getIdentity({ socketPath: await daemon.serve({ body: JSON.stringify({ ...OK, runner: {} }) }) })
    ).runner
    assert.equal(JSON.stringify(bare), '{"identity":"","hostname":"","process":""}')
    assert.equal(bare.toWire(), JSON.stringify(bare))
  })
  test('is exact as text, on every runtime', async () => {
    const runner = await ask({ instanceId: 2n ** 64n - 1n, timestamp: 2n ** 53n, extra: { a: 'x', b: { c: [1] } } })
    const text = runner.toWire()
    assert.match(text, /"instance_id":18446744073709551615[,}]/)
    assert.match(text, /"timestamp":9007199254740992[,}]/)
    // It is a daemon's own wire form: what is parsed from it is the same again.
    const again = await getIdentity({
      socketPath: await daemon.serve({ body: JSON.stringify({ ...OK, runner: 'R' }).replace('"R"', () => text) })
    })
    assert.deepEqual(again.runner, runner)
  })
  test('is exact for extras of 64 bits, in lists and under odd names', async () => {
    const body = JSON.stringify({
      ...OK,
      runner: { ...OK.runner, list: ['B', { '$&"': 'B' }], $1: 'B', plain: '"0"' }
    }).replaceAll('"B"', '18446744073709551615')
    const { runner } = await getIdentity({ socketPath: await daemon.serve({ body }) })
    const text = runner.toWire()
    assert.equal(text.match(/18446744073709551615/g)?.length, 3)
    const again = await getIdentity({
      socketPath: await daemon.serve({ body: JSON.stringify({ ...OK, runner: 'R' }).replace('"R"', () => text) })
    })
    assert.deepEqual(again.runner, runner)
  })
  test('of large integers through JSON.stringify: exact, or refused', async () => {
    const runner = await ask({ instanceId: 2n ** 64n - 1n })
    if ('rawJSON' in JSON) assert.equal(JSON.stringify(runner), runner.toWire())
    else assert.throws(() => JSON.stringify(runner), { code: 'ERR_INVALID_ARGUMENT', message: /toWire/ })
  })
  test('does not take an extra for what the daemon vouches for', async () => {
    const runner = await ask({ extra: JSON.parse('{"__proto__":{"uid":0}}') })
    assert.equal(JSON.parse(JSON.stringify(runner)).uid, OK.runner.uid)
    assert.match(runner.toWire(), /"__proto__":\{"uid":0\}/)
  })
})

describe('the token', () => {
  test('is shown nowhere but under its name', async () => {
    const me = await getIdentity({ socketPath })
    assert.equal(me.token, OK.token)
    const clone = structuredClone(me)
    // With customInspect off, `getters: true` calls every getter there is, this one too: it was asked to.
    const seen = [
      inspect(me),
      inspect(me, { showHidden: true, depth: null, getters: true }),
      inspect(me, { customInspect: false, showHidden: true, depth: null }),
      inspect({ me }, { depth: 5 }),
      inspect([me]),
      JSON.stringify(me),
      JSON.stringify({ me }),
      String(me),
      `${me}`,
      inspect({ ...me }),
      JSON.stringify({ ...me }),
      inspect(clone, { showHidden: true, customInspect: false, getters: true }),
      JSON.stringify(clone),
      JSON.stringify(Object.entries(me)),
      inspect(Object.getOwnPropertyDescriptors(me), { depth: 5 }),
      JSON.stringify(Reflect.ownKeys(me)),
      me.runner.toWire(),
      inspect(new IdentityClient({ socketPath }), { showHidden: true, customInspect: false })
    ]
    for (const text of seen) assert.ok(!text.includes(OK.token), text)
    assert.match(inspect(me), /Identity \{[\s\S]*token: '\[redacted\]'/)
    assert.equal(JSON.parse(JSON.stringify(me)).token, '[redacted]')
    assert.equal(String(me), OK.identity)
  })
  test('of an identity cannot be replaced', async () => {
    const me = await getIdentity({ socketPath })
    for (const change of [
      () => {
        // @ts-expect-error: the property is read-only
        me.identity = 'ROOT'
      },
      () => {
        /** @type {any} */
        // @ts-expect-error: the property is read-only
        me.token = 'x'
      },
      () => {
        /** @type {any} */
        // @ts-expect-error: the property is read-only
        me.runner.uid = 0
      },
      () => {
        // @ts-expect-error: the property is read-only
        me.runner.extra.x = 1
      }
    ]) {
      assert.throws(change, TypeError)
    }
  })
})
