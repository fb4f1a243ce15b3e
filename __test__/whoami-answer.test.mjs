// What the daemon answers, and what it is taken for.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import countersign from 'countersign'
import { OK, startDaemon } from './support/daemon.mjs'

const { getIdentity, getIdentitySync } = countersign

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon
before(async () => {
  daemon = await startDaemon()
})
after(() => daemon.stop())

/** Both flavours, which must not differ. @type {Record<string, (options: any) => Promise<countersign.Identity>>} */
const flavours = { async: (options) => getIdentity(options), sync: async (options) => getIdentitySync(options) }

const text = JSON.stringify(OK)
/** @param {object} changes */
const runner = (changes) => JSON.stringify({ ...OK, runner: { ...OK.runner, ...changes } })
/** @param {string[]} names */
const without = (...names) =>
  JSON.stringify(Object.fromEntries(Object.entries(OK).filter(([name]) => !names.includes(name))))
const error = {
  status: 'error',
  error_code: 'E_NO_MATCH',
  message: "No identity rule matches process 'unknown' (uid=1000)"
}

/** @type {[string, string, (me: countersign.Identity) => void][]} */
const accepted = [
  [
    'the answer of the contract',
    text,
    (me) => {
      assert.equal(me.identity, 'BILLING_PROD')
      assert.equal(me.idmUrl, OK.idm_url)
      assert.equal(me.configUrl, OK.config_url)
      assert.equal(me.token, OK.token)
      const { identity, hostname, process, pid, uid, gid, instanceId, timestamp } = me.runner
      assert.deepEqual({ identity, hostname, process, pid, uid, gid }, OK.runner)
      assert.equal(instanceId, undefined)
      assert.equal(timestamp, undefined)
      assert.deepEqual(Object.keys(me.runner.extra), [])
    }
  ],
  ['white space around it', ` \t\r\n${text}\r\n \t`, (me) => assert.equal(me.identity, 'BILLING_PROD')],
  [
    'empty strings',
    JSON.stringify({ ...OK, identity: '', idm_url: '', config_url: '', token: '' }),
    (me) => assert.equal(me.identity + me.idmUrl + me.configUrl + me.token, '')
  ],
  [
    'an empty runner: what is absent is not 0',
    JSON.stringify({ ...OK, runner: {} }),
    (me) => {
      assert.deepEqual([me.runner.pid, me.runner.uid, me.runner.gid], [undefined, undefined, undefined])
      assert.deepEqual([me.runner.identity, me.runner.hostname, me.runner.process], ['', '', ''])
    }
  ],
  [
    'null for what may be absent',
    runner({ instance_id: null, timestamp: null }),
    (me) => assert.deepEqual([me.runner.instanceId, me.runner.timestamp], [undefined, undefined])
  ],
  [
    'the limits of 32 bits',
    runner({ pid: 4294967295, uid: 0, gid: 4294967295 }),
    (me) => assert.deepEqual([me.runner.pid, me.runner.uid, me.runner.gid], [4294967295, 0, 4294967295])
  ],
  [
    'safe integers as numbers',
    runner({ instance_id: 9007199254740991, timestamp: 1738512000 }),
    (me) => assert.deepEqual([me.runner.instanceId, me.runner.timestamp], [9007199254740991, 1738512000])
  ],
  [
    'the limits of 64 bits as bigint',
    runner({ instance_id: 'I' }).replace('"I"', '18446744073709551615'),
    (me) => assert.equal(me.runner.instanceId, 18446744073709551615n)
  ],
  [
    'the first integer a number cannot hold',
    runner({ timestamp: 'I' }).replace('"I"', '9007199254740992'),
    (me) => assert.equal(me.runner.timestamp, 9007199254740992n)
  ],
  [
    'extras of every kind',
    runner({
      zone: 'b',
      list: [1, { k: null }],
      yes: true,
      float: 1.5,
      big: 'B',
      deep: { x: ['B'] },
      extra: 'a name like any other'
    }).replaceAll('"B"', '18446744073709551615'),
    (me) => {
      assert.deepEqual(
        { ...me.runner.extra },
        {
          zone: 'b',
          list: [1, { k: null }],
          yes: true,
          float: 1.5,
          big: 18446744073709551615n,
          deep: { x: [18446744073709551615n] },
          extra: 'a name like any other'
        }
      )
      assert.ok(
        Object.isFrozen(me.runner.extra) &&
          Object.isFrozen(me.runner.extra.list) &&
          Object.isFrozen(me.runner.extra.deep)
      )
    }
  ],
  [
    'a negative extra beyond 2^53',
    runner({ low: 'L' }).replace('"L"', '-9223372036854775808'),
    (me) => assert.equal(me.runner.extra.low, -9223372036854775808n)
  ],
  [
    'an extra beyond 64 bits, as a number',
    runner({ huge: 'H' }).replace('"H"', '36893488147419103232'),
    (me) => assert.equal(me.runner.extra.huge, 2 ** 65)
  ],
  [
    'a repeated extra: the last one',
    runner({ zone: 'a' }).replace('"zone":"a"', '"zone":"a","zone":"b"'),
    (me) => assert.equal(me.runner.extra.zone, 'b')
  ],
  [
    'names that are dangerous in JavaScript',
    runner({ constructor: 1, toString: 2 }).replace(
      '"constructor":1',
      '"constructor":1,"__proto__":{"polluted":18446744073709551615}'
    ),
    (me) => {
      assert.equal(/** @type {any} */ ({}).polluted, undefined)
      assert.equal(Object.getPrototypeOf(me.runner.extra), null)
      assert.deepEqual(Object.keys(me.runner.extra).sort(), ['__proto__', 'constructor', 'toString'])
      assert.equal(
        /** @type {any} */ (Object.getOwnPropertyDescriptor(me.runner.extra, '__proto__')).value.polluted,
        18446744073709551615n
      )
    }
  ],
  ['unknown names at the top', JSON.stringify({ ...OK, pid: 1, note: {} }), (me) => assert.equal(me.runner.pid, 1234)],
  [
    'text beyond ASCII',
    JSON.stringify({ ...OK, identity: 'BÜRO_東京_🦊' }),
    (me) => assert.equal(me.identity, 'BÜRO_東京_🦊')
  ],
  [
    'escapes',
    text.replace('BILLING_PROD', '\\u0042ILLING\\ud83e\\udd8a'),
    (me) => assert.equal(me.identity, 'BILLING🦊')
  ]
]

for (const [flavour, call] of Object.entries(flavours)) {
  describe(`accepted, ${flavour}`, () => {
    for (const [name, body, check] of accepted) {
      test(name, async () => check(await call({ socketPath: await daemon.serve({ body }) })))
    }
  })
}

const invalid = 'ERR_INVALID_JSON'
/** @type {[string, string | Buffer, string, object?][]} */
const refused = [
  ['an error', JSON.stringify(error), 'ERR_DAEMON', { daemonCode: 'E_NO_MATCH', daemonMessage: error.message }],
  [
    'an error of a code nobody knows',
    JSON.stringify({ ...error, error_code: 'X-1', message: '' }),
    'ERR_DAEMON',
    { daemonCode: 'X-1', daemonMessage: '' }
  ],
  [
    'another status with an error',
    JSON.stringify({ ...error, status: 'OK' }),
    'ERR_DAEMON',
    { daemonCode: 'E_NO_MATCH' }
  ],
  [
    'ok with nothing but an error',
    JSON.stringify({ ...error, status: 'ok' }),
    'ERR_MISSING_FIELD',
    { field: 'identity' }
  ],
  [
    'ok with both bodies: the error wins',
    JSON.stringify({ ...OK, ...error, status: 'ok' }),
    'ERR_DAEMON',
    { daemonCode: 'E_NO_MATCH' }
  ],
  [
    'error with both bodies: the error wins',
    JSON.stringify({ ...OK, ...error }),
    'ERR_DAEMON',
    { daemonCode: 'E_NO_MATCH' }
  ],
  [
    'a status that is not ok with an identity',
    JSON.stringify({ ...OK, status: 'Ok' }),
    'ERR_MISSING_FIELD',
    { field: 'error_code' }
  ],
  [
    'an error without a message',
    JSON.stringify({ status: 'error', error_code: 'E' }),
    'ERR_MISSING_FIELD',
    { field: 'message' }
  ],
  ['no status', without('status'), 'ERR_MISSING_FIELD', { field: 'status' }],
  ...['identity', 'idm_url', 'config_url', 'token', 'runner'].map(
    (field) =>
      /** @type {[string, string, string, object]} */ ([`no ${field}`, without(field), 'ERR_MISSING_FIELD', { field }])
  ),
  ...['identity', 'idm_url', 'config_url', 'token', 'runner', 'status'].map(
    (field) =>
      /** @type {[string, string, string]} */ ([`${field} is null`, JSON.stringify({ ...OK, [field]: null }), invalid])
  ),
  ['a runner that is a list', JSON.stringify({ ...OK, runner: [] }), invalid],
  ...['identity', 'hostname', 'process', 'pid', 'uid', 'gid'].map(
    (field) => /** @type {[string, string, string]} */ ([`runner.${field} is null`, runner({ [field]: null }), invalid])
  ),
  ...[-1, 1.5, '1', 4294967296, true].map(
    (value) =>
      /** @type {[string, string, string]} */ ([
        `runner.uid is ${JSON.stringify(value)}`,
        runner({ uid: value }),
        invalid
      ])
  ),
  ...['-1', '1.5', '"1"', '18446744073709551616', '1e3'].map(
    (value) =>
      /** @type {[string, string, string]} */ ([
        `runner.instance_id is ${value}`,
        runner({ instance_id: 'I' }).replace('"I"', value),
        invalid
      ])
  ),
  [
    'the generation of five fields',
    JSON.stringify({ status: 'ok', identity: 'A', idm_url: '', config_url: '', pid: 1, uid: 0, gid: 0, process: 'x' }),
    'ERR_MISSING_FIELD',
    { field: 'runner' }
  ],
  [
    'the generation of six fields',
    JSON.stringify({
      status: 'ok',
      identity: 'A',
      idm_url: '',
      config_url: '',
      token: '',
      pid: 1,
      uid: 0,
      gid: 0,
      process: 'x'
    }),
    'ERR_MISSING_FIELD',
    { field: 'runner' }
  ],
  ['nothing', '', invalid],
  ['only white space', ' \n', invalid],
  ['garbage', 'HTTP/1.1 400 Bad Request\r\n\r\n', invalid],
  ['a list', `[${text}]`, invalid],
  ['a string', '"ok"', invalid],
  ['half a document', text.slice(0, -20), invalid],
  ['two documents', text + text, invalid],
  ['two documents on two lines', `${text}\n${text}`, invalid],
  ['trailing characters', `${text};`, invalid],
  ['a NUL at the end', `${text}\0`, invalid],
  ['a NUL in front', `\0${text}`, invalid],
  ['a byte order mark', `\ufeff${text}`, invalid],
  ['a control character in a string', text.replace('BILLING', 'BILL\x01NG'), invalid],
  ['a duplicate key', text.replace('"token"', '"token":"other","token"'), invalid],
  ['a duplicate status', text.replace('"status":"ok"', '"status":"ok","status":"ok"'), invalid],
  ['a duplicate key of the runner', text.replace('"uid":1001', '"uid":0,"uid":1001'), invalid],
  ['a duplicate runner', text.replace('"runner":', '"runner":{},"runner":'), invalid],
  ['a lone surrogate', text.replace('BILLING_PROD', 'A\\ud800B'), invalid],
  ['a lone low surrogate', text.replace('BILLING_PROD', 'A\\udc00'), invalid],
  ['a lone surrogate in an extra', runner({ zone: 'Z' }).replace('"Z"', '"\\udfff"'), invalid],
  ['a number beyond a double', runner({ zone: 'Z' }).replace('"Z"', '1e400'), invalid],
  ['nesting without end', runner({ zone: 'Z' }).replace('"Z"', '['.repeat(5000) + ']'.repeat(5000)), invalid],
  [
    'bytes that are not UTF-8',
    Buffer.concat([Buffer.from(text.slice(0, 30)), Buffer.of(0xff, 0xfe), Buffer.from(text.slice(30))]),
    invalid
  ],
  ['an overlong encoding', Buffer.from(text).fill(Buffer.of(0xc0, 0xaf), 25, 27), invalid],
  ['a surrogate in UTF-8', Buffer.from(text).fill(Buffer.of(0xed, 0xa0, 0x80), 25, 28), invalid]
]

for (const [flavour, call] of Object.entries(flavours)) {
  describe(`refused, ${flavour}`, () => {
    for (const [name, body, code, details = {}] of refused) {
      test(name, async () => {
        const socketPath = await daemon.serve({ base64: Buffer.from(body).toString('base64') })
        await assert.rejects(call({ socketPath }), (/** @type {any} */ error) => {
          assert.equal(error.code, code, error.stack)
          assert.ok(countersign.CountersignError.is(error) && error instanceof countersign.CountersignError)
          for (const [detail, value] of Object.entries(details))
            assert.equal(/** @type {any} */ (error)[detail], value, detail)
          assert.ok(!error.stack?.includes(OK.token), 'the token is in the error')
          return true
        })
      })
    }
  })
}
