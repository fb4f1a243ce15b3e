// Messages of a Workload API that are odd, too large, or made to hurt; and what is made of them.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, test } from 'node:test'
import { countersign, leafExtensions, mint } from './support/spiffe-scene.mjs'
import {
  domain,
  field,
  healthy,
  jwtBundlesResponse,
  jwtResponse,
  startStub,
  x509BundlesResponse,
  x509Response
} from './support/workload-stub.mjs'
import { failure } from './support/outcome.mjs'

const { WorkloadApiClient, X509Source, verifyX509Svid } = countersign

const home = domain()
const other = domain('other.org')
const billing = home.svid('/billing')
const LONGEST = 16 * 1024 * 1024
/** @type {{ kill (): Promise<void> }[]} */
const stubs = []
/** @type {{ close (): void }[]} */
const sources = []
after(async () => {
  for (const source of sources) source.close()
  await Promise.all(stubs.map((stub) => stub.kill()))
})

/** @param {(call: import('./support/workload-stub.mjs').Call) => void} answer */
async function serve(answer) {
  const stub = await startStub(answer)
  stubs.push(stub)
  return { stub, client: new WorkloadApiClient({ endpoint: stub.endpoint, timeout: 20_000 }) }
}

/** @param {Buffer} message */
const says = async (message) => (await serve((call) => call.send(message))).client

/** Bundles and as much of a revocation list as makes the message that long. @param {number} length */
function exactly(length) {
  const bundles = x509BundlesResponse({ 'spiffe://example.org': home.ca.der })
  const head = field(1, Buffer.alloc(2 ** 21)).length - 2 ** 21
  const message = Buffer.concat([field(1, Buffer.alloc(length - bundles.length - head)), bundles])
  assert.equal(message.length, length)
  return message
}

/**
 * An SVID with a leaf of its own making.
 * @param {import('./support/spiffe-scene.mjs').Minted} leaf
 * @param {...Buffer} more
 */
const svidOf = ({ der, key }, ...more) => ({
  ...billing,
  chain: Buffer.concat([der, ...more]),
  key: key.export({ format: 'der', type: 'pkcs8' })
})

test('a message of 16 MiB is read, and one byte more is too much', async () => {
  const { crls, size } = await (await says(exactly(LONGEST))).fetchX509Bundles()
  assert.deepEqual([crls.length, size], [1, 1])
  assert.ok(crls[0].length > LONGEST - 2000)
  const error = await failure((await says(exactly(LONGEST + 1))).fetchX509Bundles())
  assert.equal(error.code, 'ERR_RESPONSE_TOO_LARGE')
  assert.match(error.message, /16777217 bytes, at most 16777216/)
})
test('a source keeps what it has when a message is too large, and opens a new stream', async () => {
  const { stub } = await serve(healthy(home))
  const source = await X509Source.open({ endpoint: stub.endpoint })
  sources.push(source)
  const before = source.context()
  const again = new Promise((resolve) =>
    source.subscribe((event) => {
      if (event.type === 'connect') resolve(event)
    })
  )
  stub.push('FetchX509SVID', Buffer.alloc(LONGEST + 1))
  await again
  assert.equal(source.context(), before)
  assert.deepEqual([source.counters.errors, source.counters.connects], [1, 2])
})
test('a hundred thousand SVIDs are too many', async () => {
  const client = await says(Buffer.concat(Array(100_000).fill(field(1, field(1, 'spiffe://example.org/x')))))
  const error = await failure(client.fetchX509Context())
  assert.deepEqual([error.code, error.rule], ['ERR_INVALID_RESPONSE', 'too_many_svids'])
  assert.match(error.message, /100000 SVIDs, at most 4096/)
  const tokens = await serve((call) => {
    call.send(jwtResponse(Array(100_000).fill({ id: 'x' })))
    call.end()
  })
  assert.equal((await failure(tokens.client.fetchJwtSvids({ audience: 'a' }))).rule, 'too_many_svids')
})
test('a message of nothing but empty parts costs no more memory than its bytes', {
  skip: process.platform !== 'linux' && 'SKIPPED: /proc is needed'
}, async (t) => {
  // Each takes two bytes on the wire; as many as fit would be more than a gigabyte of empty SVIDs.
  const svids = Buffer.alloc(LONGEST, Buffer.of(0x0a, 0))
  const claims = Buffer.concat([
    field(1, billing.id),
    field(
      2,
      field(1, Buffer.concat([field(1, 'x'), field(2, field(6, Buffer.alloc(LONGEST - 100, Buffer.of(0x0a, 0))))]))
    )
  ])
  const { stub } = await serve((call) => {
    call.send(call.method === 'ValidateJWTSVID' ? claims : svids)
    call.end()
  })
  const script = `
    const { WorkloadApiClient } = require(${JSON.stringify(new URL('..', import.meta.url).pathname)})
    const client = new WorkloadApiClient({ endpoint: ${JSON.stringify(stub.endpoint)} })
    const most = () => Number(/VmHWM:\\s+(\\d+)/.exec(require('node:fs').readFileSync('/proc/self/status',
      'utf8'))[1]) / 1024
    const before = most()
    const codes = []
    const attempt = (call) => call.then(() => codes.push('fine'),
      ({ code, rule }) => codes.push([code, rule].join(' ')))
    attempt(client.fetchX509Context()).then(() => attempt(client.fetchJwtSvids({ audience: 'a' })))
      .then(() => attempt(client.fetchX509Bundles()))
      .then(() => attempt(client.fetchWitSvids()))
        .then(() => attempt(client.validateJwtSvid({ audience: 'a', token: 't' })))
      .then(() => console.log(JSON.stringify({ codes, grown: most() - before })))`
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  for await (const piece of child.stdout) said += piece
  const { codes, grown } = JSON.parse(said)
  assert.deepEqual(codes, [...Array(4).fill('ERR_INVALID_RESPONSE malformed'), 'ERR_RESPONSE_TOO_LARGE '])
  t.diagnostic(`${Math.round(grown)} MiB`)
  assert.ok(grown < 120, `${grown} MiB`)
})
test('a hundred thousand bundles in a message take no more than their share of time', async (t) => {
  // Reading what is already there must not be done for each of them.
  const map = (/** @type {number} */ count) =>
    jwtBundlesResponse(
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`spiffe://d${index}.org`, '{}']))
    )
  const time = async (/** @type {number} */ count) => {
    const client = await says(map(count))
    const start = performance.now()
    assert.equal((await client.fetchJwtBundles()).size, count)
    return performance.now() - start
  }
  await time(2000)
  const [few, many] = [await time(10_000), await time(100_000)]
  t.diagnostic(`${Math.round(few)} and ${Math.round(many)} ms`)
  assert.ok(many < few * 40 + 500, `${few} and ${many} ms`)
})
test('a bundle that is told twice: the last counts, as protocol buffers have it', async () => {
  const federated = (/** @type {Uint8Array} */ der, name = 'spiffe://other.org') =>
    field(3, Buffer.concat([field(1, name), field(2, der)]))
  const twice = Buffer.concat([x509Response({ svids: [billing] }), federated(home.ca.der), federated(other.ca.der)])
  const { bundles, ignored } = await (await says(twice)).fetchX509Context()
  assert.ok(bundles.x509Bundle('other.org')?.has(other.ca.der))
  assert.equal(bundles.x509Bundle('other.org')?.size, 1, 'never both')
  assert.deepEqual(ignored, [])
  // Two spellings of one name are two keys: the first counts, and it is said.
  const spelled = Buffer.concat([
    x509Response({ svids: [billing] }),
    federated(other.ca.der),
    federated(home.ca.der, 'spiffe://OTHER.org')
  ])
  const again = await (await says(spelled)).fetchX509Context()
  assert.equal(again.bundles.x509Bundle('other.org')?.size, 1)
  assert.deepEqual(
    again.ignored.map(({ what, reason }) => [what, reason]),
    [['federated_bundles["spiffe://other.org"]', 'other_bundle']]
  )
})
test('a label in upper case is the same name, in lower case', async () => {
  const { svid, ignored, bundles } = await (
    await says(x509Response({ svids: [{ ...billing, id: 'SPIFFE://EXAMPLE.ORG/billing' }] }))
  ).fetchX509Context()
  assert.deepEqual(
    [String(svid), ignored, bundles.trustDomains.map(String)],
    ['spiffe://example.org/billing', [], ['example.org']]
  )
  // Paths are another matter.
  const error = await failure(
    (await says(x509Response({ svids: [{ ...billing, id: 'spiffe://example.org/Billing' }] }))).fetchX509Context()
  )
  assert.deepEqual([error.rule, error.ignored[0].reason], ['nothing_usable', 'other_name'])
})
test('sixteen certificates are a chain, seventeen are not', async () => {
  const chain = (/** @type {number} */ length) => ({
    ...billing,
    chain: Buffer.concat([billing.chain, ...Array(length - 1).fill(home.ca.der)])
  })
  const { svid } = await (await says(x509Response({ svids: [chain(16)] }))).fetchX509Context()
  assert.equal(svid.certificates.length, 16)
  const error = await failure((await says(x509Response({ svids: [chain(17)] }))).fetchX509Context())
  assert.deepEqual(
    [error.rule, error.ignored.map((/** @type {any} */ one) => one.reason)],
    ['nothing_usable', ['chain_too_long']]
  )
})
test('SVIDs of two trust domains, each with its own bundle, which none of the others replaces', async () => {
  const shop = other.svid('/shop')
  const message = x509Response({
    svids: [billing, shop],
    federated: { 'spiffe://other.org': home.ca.der, 'spiffe://third.org': other.ca.der }
  })
  const { svids, bundles, ignored } = await (await says(message)).fetchX509Context()
  assert.deepEqual(svids.map(String), [billing.id, shop.id])
  assert.deepEqual(bundles.trustDomains.map(String), ['example.org', 'other.org', 'third.org'])
  assert.equal(verifyX509Svid(shop.chain, bundles).spiffeId.uri, shop.id)
  assert.deepEqual(
    ignored.map(({ what, reason }) => [what, reason]),
    [['federated_bundles["spiffe://other.org"]', 'own_trust_domain']]
  )
  // An SVID of the one that came with the bundle of the other is none.
  const mixed = await (
    await says(x509Response({ svids: [billing, { ...shop, bundle: home.ca.der }] }))
  ).fetchX509Context()
  assert.deepEqual([mixed.svids.map(String), mixed.ignored[0].reason], [[billing.id], 'unknown_issuer'])
  assert.ok(!mixed.bundles.has('other.org'))
})
test('an empty bundle beside good SVIDs takes only its own trust domain away', async () => {
  const { svids, bundles, ignored } = await (
    await says(x509Response({ svids: [billing], federated: { 'spiffe://other.org': Buffer.alloc(0) } }))
  ).fetchX509Context()
  assert.deepEqual([svids.map(String), bundles.trustDomains.map(String)], [[billing.id], ['example.org']])
  assert.deepEqual(
    ignored.map(({ reason }) => reason),
    ['empty_bundle']
  )
  assert.throws(() => verifyX509Svid(other.svid('/shop').chain, bundles), { rule: 'no_bundle' })
  // One that is broken, likewise.
  const broken = await (
    await says(x509Response({ svids: [billing], federated: { 'spiffe://other.org': Buffer.from('no certificate') } }))
  ).fetchX509Context()
  assert.deepEqual([broken.svids.length, broken.bundles.has('other.org'), broken.ignored.length], [1, false, 1])
})
test('an SVID that has expired, or is not valid yet, is ignored; beside a good one, the good one counts', async () => {
  const extensions = leafExtensions(billing.id)
  const day = (/** @type {number} */ offset) => new Date(Date.now() + offset * 86_400_000)
  for (const [rule, notBefore, notAfter] of /** @type {[string, number, number][]} */ ([
    ['expired', -3, -1],
    ['not_yet_valid', 1, 3]
  ])) {
    const off = svidOf(mint({ issuer: home.ca, extensions, from: day(notBefore), to: day(notAfter) }))
    const error = await failure((await says(x509Response({ svids: [off] }))).fetchX509Context())
    assert.deepEqual([error.rule, error.ignored[0].reason], ['nothing_usable', rule])
    const { svids, ignored } = await (
      await says(x509Response({ svids: [off, other.svid('/shop')] }))
    ).fetchX509Context()
    assert.deepEqual([svids.map(String), ignored[0].reason], [['spiffe://other.org/shop'], rule])
    // A source stays with what it has.
    const { stub } = await serve((call) => call.send(x509Response({ svids: [billing] })))
    const source = await X509Source.open({ endpoint: stub.endpoint })
    sources.push(source)
    const before = source.context()
    const failed = new Promise((resolve) =>
      source.subscribe((event) => {
        if (event.type === 'error') resolve(event.error)
      })
    )
    stub.push('FetchX509SVID', x509Response({ svids: [off] }))
    assert.equal(/** @type {any} */ (await failed).ignored[0].reason, rule)
    assert.equal(source.context(), before)
  }
})
test('fields nobody knows are passed over, fields of the wrong kind are no message', async () => {
  const unknown = Buffer.concat([
    field(99, 'x'),
    Buffer.of(0x60, 1),
    x509Response({ svids: [billing] }),
    field(7, Buffer.alloc(1000))
  ])
  assert.equal((await (await says(unknown)).fetchX509Svids()).length, 1)
  for (const wrong of [
    Buffer.of(0x08, 1),
    Buffer.of(0x0a),
    Buffer.of(0x0a, 5, 1),
    Buffer.of(0x0b, 0x0c),
    Buffer.of(0),
    Buffer.alloc(20, 0xff),
    field(1, field(1, Buffer.of(0xff, 0xfe)))
  ]) {
    assert.equal((await failure((await says(wrong)).fetchX509Context())).rule, 'malformed', wrong.toString('hex'))
  }
})
test('claims nested deeper than anybody writes them are no message', async () => {
  let deep = field(3, 'x')
  for (let level = 0; level < 200; level++) deep = field(6, field(1, deep))
  const claims = field(1, Buffer.concat([field(1, 'deep'), field(2, deep)]))
  const { client } = await serve((call) => {
    call.send(Buffer.concat([field(1, billing.id), field(2, claims)]))
    call.end()
  })
  assert.equal((await failure(client.validateJwtSvid({ audience: 'a', token: 't' }))).rule, 'malformed')
})
