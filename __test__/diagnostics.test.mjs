// The channels as docs/workload-api.md has them: their names, and every property of what they tell.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { runScript } from './support/child.mjs'
import { countersign } from './support/spiffe-scene.mjs'
import { domain, field, healthy, startStub, x509Response } from './support/workload-stub.mjs'

const { CountersignError, JwtSource, X509Source } = countersign
const PREFIX = 'countersign:source.'
const home = domain('example.org')
const first = home.svid('/billing', { hint: 'internal' })
const second = home.svid('/billing', { hint: 'internal' })
/** @type {(() => unknown)[]} */
const leave = []
after(async () => {
  for (const end of leave.reverse()) await end()
})

const text = (/** @type {any} */ value) => typeof value === 'string' && value !== ''
const number = Number.isFinite
const date = (/** @type {any} */ value) => value instanceof Date
const error = CountersignError.is
const always = {
  endpoint: text,
  subject: (/** @type {any} */ value) => ['x509', 'x509Bundles', 'jwtBundles'].includes(value)
}
/** What every message of a channel has. @type {Record<string, Record<string, (value: any) => boolean>>} */
const SHAPES = {
  connect: { ...always, type: text },
  update: { ...always, type: text, revision: number },
  error: { ...always, type: text, error, retryIn: (value) => value === null || number(value) },
  withdraw: {
    ...always,
    type: text,
    error,
    withdrawn: (value) => typeof value === 'boolean',
    revision: number,
    retryIn: number
  },
  ignore: {
    ...always,
    type: text,
    ignored: (value) =>
      value.length > 0 &&
      value.every((/** @type {any} */ part) => text(part.what) && text(part.reason) && text(part.message))
  },
  overdue: { ...always, type: text, expiresAt: date },
  expire: { ...always, type: text, expiresAt: date },
  close: { ...always, type: text },
  rotate: {
    endpoint: text,
    spiffeId: text,
    hint: (value) => value === undefined || text(value),
    serialNumber: text,
    previousSerialNumber: text,
    expiresAt: date
  }
}
/** What some messages of a channel have beside. @type {Record<string, string[]>} */
const OPTIONAL = { close: ['error', 'revision'] }

/** @param {string} endpoint */
function listen(endpoint) {
  /** @type {{ name: string, message: any }[]} */
  const heard = []
  for (const name of Object.keys(SHAPES)) {
    const listener = (/** @type {any} */ message) => {
      if (message.endpoint === endpoint) heard.push({ name, message })
    }
    subscribe(PREFIX + name, listener)
    leave.push(() => unsubscribe(PREFIX + name, listener))
  }
  return {
    heard,
    /** @param {string} wanted @param {number} [times] */
    until: async (wanted, times = 1) => {
      for (
        const end = Date.now() + 15_000;
        heard.filter(({ name }) => name === wanted).length < times;
        await sleep(5)
      ) {
        assert.ok(Date.now() < end, `${wanted} in vain; heard: ${inspect(heard)}`)
      }
    }
  }
}

/** @param {(call: import('./support/workload-stub.mjs').Call) => void} answer */
async function stubFor(answer) {
  const stub = await startStub(answer)
  leave.push(() => stub.kill())
  return stub
}

/** @param {any[]} svids */
const says =
  (...svids) =>
  (/** @type {import('./support/workload-stub.mjs').Call} */ call) =>
    call.method === 'FetchX509SVID' ? call.send(x509Response({ svids })) : healthy(home)(call)

test('every channel tells what is documented, and nothing more', async () => {
  const stub = await stubFor(says(first))
  const { heard, until } = listen(stub.endpoint)
  const source = new X509Source({ endpoint: stub.endpoint })
  const tokens = new JwtSource({ endpoint: stub.endpoint })
  await Promise.all([source.ready(), tokens.ready()])
  const { token } = await tokens.fetch({ audience: 'shop' })
  stub.push('FetchX509SVID', x509Response({ svids: [second, { ...home.svid('/shop'), key: first.key }] }))
  await until('rotate')
  await until('ignore')
  // A message that cannot be read: the stream goes on.
  stub.push('FetchX509SVID', field(1, field(1, 'spiffe://example.org/billing')))
  await until('error')
  stub.end('FetchX509SVID', 7, 'no identity issued')
  await until('withdraw')
  await until('connect', 2)
  stub.answer((call) => call.end(12, 'unknown service'))
  stub.end('FetchX509SVID', 14)
  await until('close')
  source.close()
  tokens.close()
  assert.deepEqual(
    [...new Set(heard.map(({ name }) => name))].sort(),
    Object.keys(SHAPES)
      .filter((name) => name !== 'overdue' && name !== 'expire')
      .sort()
  )
  checkShapes(heard)
  assert.deepEqual([...new Set(heard.map(({ message }) => message.subject))].sort(), ['jwtBundles', 'x509', undefined])
  const { message: rotated } = heard.find(({ name }) => name === 'rotate') ?? assert.fail()
  assert.equal(rotated.spiffeId, first.id)
  assert.equal(rotated.hint, 'internal')
  const [asked, refused] = ['source', 'refused'].map((what) =>
    heard.filter(({ name, message }) => name === 'close' && 'error' in message === (what === 'refused'))
  )
  assert.equal(asked.length, 2)
  assert.equal(refused[0].message.error.code, 'ERR_WORKLOAD_API')
  const everything = `${JSON.stringify(heard)}${inspect(heard, { depth: Infinity, showHidden: true })}`
  for (const secret of [
    token,
    token.split('.')[2],
    Buffer.from(/** @type {any} */ (first.key))
      .toString('base64')
      .slice(40, 80)
  ])
    assert.ok(!everything.includes(secret))
  assert.doesNotMatch(everything, /PRIVATE KEY|BEGIN CERT/)
})

test('an SVID that is not renewed: overdue, and expired', async () => {
  const stub = await stubFor(says(home.svid('/short', { from: -10, until: 2 })))
  const { heard, until } = listen(stub.endpoint)
  const source = new X509Source({ endpoint: stub.endpoint })
  leave.push(() => source.close())
  await source.ready()
  await until('overdue')
  await until('expire')
  checkShapes(heard)
})

test('nothing is missed of a stream that was just begun', async () => {
  const stub = await stubFor(says(first))
  for (let round = 1; round <= 40; round++) {
    const { heard, until } = listen(stub.endpoint)
    const source = new X509Source({ endpoint: stub.endpoint })
    await until('update')
    source.close()
    assert.deepEqual(
      heard.slice(0, 2).map(({ name }) => name),
      ['connect', 'update']
    )
  }
})

test('the first rotation is told also to a source that came later', async () => {
  const stub = await stubFor(says(first))
  const { until, heard } = listen(stub.endpoint)
  const early = await X509Source.open({ endpoint: stub.endpoint })
  await until('update')
  const late = await X509Source.open({ endpoint: stub.endpoint })
  leave.push(() => late.close())
  early.close()
  stub.push('FetchX509SVID', x509Response({ svids: [second] }))
  await until('rotate')
  assert.equal(heard.filter(({ name }) => name === 'rotate').length, 1)
})

test('NODE_DEBUG=countersign writes it to stderr, without secrets', async () => {
  const stub = await stubFor(says(first))
  const { stderr, code } = await runScript(
    `
    countersign.X509Source.open().then(async (source) => {
      await countersign.JwtSource.open().then((tokens) => tokens.fetch({ audience: 'shop' }))
        .then(({ token }) => process.stdout.write(token))
      source.close()
      process.exit()
    })`,
    { env: { NODE_DEBUG: 'countersign', SPIFFE_ENDPOINT_SOCKET: stub.endpoint } }
  )
  assert.equal(code, 0)
  assert.match(
    stderr,
    /^COUNTERSIGN \d+: source\.connect \{ endpoint: 'unix:.*', subject: 'x509', type: 'connect' \}$/m
  )
  assert.match(stderr, /source\.update .*revision: 1/)
  assert.match(stderr, /source\.close /)
  assert.doesNotMatch(stderr, /eyJ|PRIVATE/)
})

test('the guide has every channel with every property, and no other', () => {
  const guide = readFileSync(new URL('../docs/workload-api.md', import.meta.url), 'utf8')
  const rows = [...guide.matchAll(/^\| `countersign:source\.(\w+)` \|[^|]*\| (.*) \|$/gm)]
  assert.deepEqual(rows.map(([, name]) => name).sort(), Object.keys(SHAPES).sort())
  for (const [, name, properties] of rows) {
    const own = Object.keys(SHAPES[name])
      .concat(OPTIONAL[name] ?? [])
      .filter((property) => name === 'rotate' || !['endpoint', 'subject', 'type'].includes(property))
    assert.deepEqual(
      [...properties.matchAll(/`(\w+)`/g)].map(([, property]) => property),
      own,
      name
    )
  }
})

/** @param {{ name: string, message: any }[]} heard */
function checkShapes(heard) {
  for (const { name, message } of heard) {
    const shape = SHAPES[name]
    assert.deepEqual(
      Object.keys(message)
        .filter((key) => !OPTIONAL[name]?.includes(key))
        .sort(),
      Object.keys(shape).sort(),
      name
    )
    for (const [key, fits] of Object.entries(shape))
      assert.ok(fits(message[key]), `${name}.${key}: ${inspect(message[key])}`)
    if ('type' in shape) assert.equal(message.type, name)
  }
}
