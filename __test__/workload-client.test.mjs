// The Workload API, method by method, against a stand-in that says what it is told.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createServer } from 'node:net'
import { inspect } from 'node:util'
import { spawnSync } from 'node:child_process'
import { authority, countersign, leaf, newKey } from './support/spiffe-scene.mjs'
import {
  domain,
  field,
  framed,
  healthy,
  jwtBundlesResponse,
  jwtResponse,
  startStub,
  strings,
  witResponse,
  x509BundlesResponse,
  x509Response
} from './support/workload-stub.mjs'
import { freePort } from './support/free-port.mjs'
import { failure } from './support/outcome.mjs'

const { WorkloadApiClient, X509Context, verifyX509Svid, verifyJwtSvid } = countersign

const home = domain('example.org')
const other = domain('other.org')
const billing = home.svid('/billing')
const shop = home.svid('/shop', { hint: 'shop' })
/** @type {Awaited<ReturnType<typeof startStub>>[]} */
const stubs = []
after(() => Promise.all(stubs.map((stub) => stub.kill())))

/** @param {(call: import('./support/workload-stub.mjs').Call) => void} answer */
async function serve(answer) {
  const stub = await startStub(answer)
  stubs.push(stub)
  return { stub, client: new WorkloadApiClient({ endpoint: stub.endpoint, timeout: 5000 }) }
}

/** @param {Buffer} message */
const says = (message) => serve((call) => call.send(message))

test('every method, with the header the server asks for exactly once', async () => {
  const { stub, client } = await serve(healthy(home, { paths: ['/billing', '/shop'] }))
  const context = await client.fetchX509Context()
  assert.ok(context instanceof X509Context)
  assert.deepEqual(context.svids.map(String), ['spiffe://example.org/billing', 'spiffe://example.org/shop'])
  assert.equal(context.svid, context.svids[0])
  assert.equal(context.revision, 0)
  assert.deepEqual(context.bundles.trustDomains.map(String), ['example.org'])
  assert.equal(String(await client.fetchX509Svid()), 'spiffe://example.org/billing')
  assert.equal((await client.fetchX509Svids()).length, 2)
  const x509 = await client.fetchX509Bundles()
  assert.equal(verifyX509Svid(billing.chain, x509).spiffeId.uri, 'spiffe://example.org/billing')
  const svids = await client.fetchJwtSvids({ audience: ['a', 'b'] })
  assert.deepEqual(svids.map(String), ['spiffe://example.org/billing', 'spiffe://example.org/shop'])
  const svid = await client.fetchJwtSvid({ audience: 'a', spiffeId: 'spiffe://example.org/billing' })
  assert.deepEqual(svid.audience, ['a'])
  assert.equal(
    verifyJwtSvid(svid.token, await client.fetchJwtBundles(), { audience: 'a' }).spiffeId.uri,
    'spiffe://example.org/billing'
  )
  assert.deepEqual(strings(stub.calls.at(-2)?.request ?? Buffer.alloc(0)), {
    1: ['a'],
    2: ['spiffe://example.org/billing']
  })
  for (const { headers, method } of stub.calls) {
    assert.equal(headers['workload.spiffe.io'], 'true', method)
    assert.equal(headers[':path'], `/SpiffeWorkloadAPI/${method}`)
    assert.equal(headers[':authority'], 'localhost')
    assert.equal(headers.te, 'trailers')
    assert.match(String(headers['grpc-timeout']), /^\d{1,8}m$/)
  }
  assert.equal(stub.connections, 1, 'everything over one connection')
  // One message of a stream is all that was asked for: the rest is called off.
  await sleep(50)
  assert.equal(stub.open.size, 0)
})

test('picks among several by hint, name, path and function, and never takes another one', async () => {
  const { client } = await says(x509Response({ svids: [billing, shop] }))
  assert.equal(String(await client.fetchX509Svid({ hint: 'shop' })), shop.id)
  assert.equal(String(await client.fetchX509Svid({ spiffeId: shop.id })), shop.id)
  assert.equal(String(await client.fetchX509Svid({ path: '/shop' })), shop.id)
  assert.equal(
    String(await client.fetchX509Svid({ pick: (svids) => svids.find((svid) => svid.spiffeId.path === '/shop') })),
    shop.id
  )
  for (const wish of [
    { hint: 'Shop' },
    { spiffeId: 'spiffe://example.org/sho' },
    { path: '/shop/' },
    { path: '/sho' },
    { pick: () => undefined },
    { pick: () => ({ ...shop }) }
  ]) {
    const error = await failure(client.fetchX509Svid(/** @type {any} */ (wish)))
    assert.equal(error.code, 'ERR_SVID_NOT_FOUND', inspect(wish))
    assert.deepEqual(error.offered, ['spiffe://example.org/billing', 'spiffe://example.org/shop (hint "shop")'])
  }
  for (const wish of [
    { hint: '' },
    { hint: undefined },
    { path: 'shop' },
    { pick: 1 },
    { hint: 'a', path: '/a' },
    { hints: 'a' }
  ]) {
    assert.equal(
      (await failure(client.fetchX509Svid(/** @type {any} */ (wish)))).code,
      'ERR_INVALID_ARGUMENT',
      inspect(wish)
    )
  }
  await assert.rejects(
    client.fetchX509Svid({
      pick: () => {
        throw new RangeError('mine')
      }
    }),
    RangeError
  )
})

test('federated bundles and revocation lists come to light', async () => {
  const { client } = await says(
    x509Response({ svids: [billing], crl: [Buffer.from('crl')], federated: { 'spiffe://other.org': other.ca.der } })
  )
  const { bundles, crls, ignored } = await client.fetchX509Context()
  assert.deepEqual(bundles.trustDomains.map(String), ['example.org', 'other.org'])
  assert.deepEqual(crls, [Buffer.from('crl')])
  assert.deepEqual(ignored, [])
  // Each domain vouches for its own: the other's authority makes no name of ours.
  const forged = leaf(other.ca, 'spiffe://example.org/billing')
  assert.throws(() => verifyX509Svid(forged.der, bundles), { rule: 'unknown_issuer' })
  assert.throws(() => bundles.add(/** @type {any} */ (bundles.x509Bundle('other.org'))), {
    code: 'ERR_INVALID_ARGUMENT'
  })
  assert.throws(() => bundles.remove('other.org'), { code: 'ERR_INVALID_ARGUMENT' })
  assert.equal(bundles.clone().remove('other.org'), true)
  assert.equal(bundles.size, 2)
})

test('what cannot be used is ignored, and said', async () => {
  const strangers = leaf(other.ca, 'spiffe://example.org/billing')
  const keyOf = (/** @type {import('node:crypto').KeyObject} */ key) => key.export({ format: 'der', type: 'pkcs8' })
  const cases = /** @type {[string, any][]} */ ([
    ['wrong_scheme', { ...billing, id: 'https://example.org/billing' }],
    ['other_name', { ...billing, id: 'spiffe://example.org/other' }],
    ['private_key_mismatch', { ...billing, key: keyOf(newKey()) }],
    ['malformed_private_key', { ...billing, key: Buffer.from('key') }],
    ['malformed_chain', { ...billing, chain: Buffer.from('chain') }],
    ['unknown_issuer', { ...billing, chain: strangers.der, key: keyOf(strangers.key) }],
    ['malformed_der', { ...billing, bundle: Buffer.from('bundle') }],
    [
      'leaf_is_ca',
      (() => {
        const minted = leaf(home.ca, billing.id, { basicConstraints: 'critical,CA:true' })
        return { ...billing, chain: minted.der, key: keyOf(minted.key) }
      })()
    ]
  ])
  for (const [reason, broken] of cases) {
    // Alone, nothing is left; beside a good one, the good one is.
    const error = await failure((await says(x509Response({ svids: [broken] }))).client.fetchX509Context())
    assert.equal(error.code, 'ERR_INVALID_RESPONSE', reason)
    assert.equal(error.rule, 'nothing_usable', reason)
    assert.deepEqual(
      error.ignored.map((/** @type {any} */ one) => one.reason),
      [reason]
    )
    const foreign = other.svid('/good')
    const { svids, bundles, ignored } = await (
      await says(x509Response({ svids: [broken, foreign] }))
    ).client.fetchX509Context()
    assert.deepEqual(svids.map(String), [foreign.id], reason)
    assert.deepEqual(
      ignored.map((one) => one.reason),
      [reason]
    )
    assert.match(ignored[0].what, /^svids\[0\]/)
    assert.ok(!bundles.has('example.org'), `${reason}: a bundle nobody proved to belong to`)
  }
})

test('the first of two with the same hint counts, and hints have a limit', async () => {
  const twins = x509Response({ svids: [shop, { ...billing, hint: 'shop' }, { ...billing, hint: 'x'.repeat(1025) }] })
  const { svids, ignored } = await (await says(twins)).client.fetchX509Context()
  assert.deepEqual(
    svids.map((svid) => [String(svid), svid.hint]),
    [
      [shop.id, 'shop'],
      [billing.id, undefined]
    ]
  )
  assert.deepEqual(
    ignored.map((one) => one.reason),
    ['duplicate_hint', 'hint_too_long']
  )
})

test('a federated entry never replaces the bundle of the own trust domain', async () => {
  const message = x509Response({
    svids: [billing],
    federated: {
      'spiffe://example.org': other.ca.der,
      'spiffe://empty.org': Buffer.alloc(0),
      'https://x': other.ca.der,
      'spiffe://other.org': other.ca.der
    }
  })
  const { bundles, ignored } = await (await says(message)).client.fetchX509Context()
  assert.deepEqual(bundles.trustDomains.map(String), ['example.org', 'other.org'])
  assert.ok(bundles.x509Bundle('example.org')?.has(home.ca.der))
  assert.deepEqual(ignored.map((one) => one.reason).sort(), ['empty_bundle', 'own_trust_domain', 'wrong_scheme'])
  // Two SVIDs of one domain with different bundles: the first counts.
  const second = await (
    await says(x509Response({ svids: [billing, { ...shop, bundle: authority('example.org').der }] }))
  ).client.fetchX509Context()
  assert.deepEqual(
    second.ignored.map((one) => one.reason),
    ['other_bundle']
  )
  assert.equal(second.svids.length, 2)
})

test('a mandatory field at its default value spoils the message, and is named', async () => {
  for (const [name, part] of [
    ['spiffe_id', 'id'],
    ['x509_svid', 'chain'],
    ['x509_svid_key', 'key'],
    ['bundle', 'bundle']
  ]) {
    const error = await failure(
      (await says(x509Response({ svids: [billing, { ...shop, [part]: undefined }] }))).client.fetchX509Context()
    )
    assert.deepEqual(
      [error.code, error.rule, error.field],
      ['ERR_INVALID_RESPONSE', 'missing_field', `svids[1].${name}`]
    )
  }
  for (const [name, part] of [
    ['spiffe_id', 'id'],
    ['svid', 'token']
  ]) {
    const { client } = await serve((call) => {
      call.send(jwtResponse([{ ...home.token('/billing', ['a']), [part]: undefined }]))
      call.end()
    })
    const error = await failure(client.fetchJwtSvid({ audience: 'a' }))
    assert.deepEqual([error.rule, error.field], ['missing_field', `svids[0].${name}`])
  }
  const empty = await says(Buffer.alloc(0))
  for (const [call, what] of /** @type {[() => Promise<unknown>, string][]} */ ([
    [() => empty.client.fetchX509Context(), 'svids'],
    [() => empty.client.fetchX509Bundles(), 'bundles'],
    [() => empty.client.fetchJwtBundles(), 'bundles'],
    [() => empty.client.fetchWitSvids(), 'svids'],
    [() => empty.client.fetchWitBundles(), 'bundles']
  ])) {
    const error = await failure(call())
    assert.deepEqual([error.code, error.rule, error.field], ['ERR_INVALID_RESPONSE', 'empty', what])
  }
})

test('tokens: for whom they were asked, of whom they are labelled, by hint', async () => {
  const { client } = await serve((call) => {
    const audience = strings(call.request)[1]
    call.send(
      jwtResponse([
        { ...home.token('/billing', audience), hint: 'in' },
        { ...home.token('/shop', audience), hint: 'in' },
        { ...home.token('/shop', ['else']), hint: 'out' },
        { ...home.token('/shop', audience), id: 'spiffe://example.org/other' },
        { id: shop.id, token: 'no.token.x' },
        { ...home.token('/shop', [...audience, 'more']), hint: 'shop' }
      ])
    )
    call.end()
  })
  const svids = await client.fetchJwtSvids({ audience: ['a', 'b'] })
  assert.deepEqual(
    svids.map((svid) => [String(svid), svid.hint]),
    [
      [billing.id, 'in'],
      [shop.id, 'shop']
    ]
  )
  assert.equal(String(await client.fetchJwtSvid({ audience: 'a', hint: 'shop' })), shop.id)
  assert.equal((await failure(client.fetchJwtSvid({ audience: 'a', hint: 'else' }))).code, 'ERR_SVID_NOT_FOUND')
  for (const audience of [undefined, '', [], [''], [1], 'a'.split('').concat(Array(40).fill('x'))]) {
    assert.equal(
      (await failure(client.fetchJwtSvid({ audience: /** @type {any} */ (audience) }))).code,
      'ERR_INVALID_ARGUMENT',
      inspect(audience)
    )
  }
  assert.ok(!inspect(svids[0], { showHidden: true, depth: 9 }).includes(svids[0].token))
})

test('a verdict of the server is a verdict on the token', async () => {
  /** A struct of protocol buffers, by hand. @param {string} name @param {Buffer} value */
  const member = (name, value) => field(1, Buffer.concat([field(1, name), field(2, value)]))
  const double = Buffer.alloc(9)
  double[0] = 17
  double.writeDoubleLE(1_700_000_000, 1)
  const claims = Buffer.concat([
    member('exp', double),
    member('sub', field(3, billing.id)),
    member('aud', field(6, field(1, field(3, 'a'))))
  ])
  const { client, stub } = await serve((call) => {
    call.send(Buffer.concat([field(1, billing.id), field(2, claims)]))
    call.end()
  })
  const said = await client.validateJwtSvid({ audience: 'a', token: 't.o.k' })
  assert.equal(said.spiffeId.uri, billing.id)
  assert.deepEqual(said.claims, { exp: 1_700_000_000, sub: billing.id, aud: ['a'] })
  assert.deepEqual(strings(stub.calls[0].request), { 1: ['a'], 2: ['t.o.k'] })
  stub.answer((call) => call.end(3, 'token has expired'))
  const error = await failure(client.validateJwtSvid({ audience: 'a', token: 'secret.o.k' }))
  assert.deepEqual(
    [error.code, error.rule, error.grpcMessage],
    ['ERR_INVALID_TOKEN', 'refused_by_workload_api', 'token has expired']
  )
  assert.ok(!inspect(error, { depth: 9 }).includes('secret'))
  stub.answer((call) => call.end(14, 'later'))
  assert.equal((await failure(client.validateJwtSvid({ audience: 'a', token: 't' }))).code, 'ERR_WORKLOAD_API')
  stub.answer((call) => {
    call.send(field(1, billing.id))
    call.end()
  })
  assert.equal((await failure(client.validateJwtSvid({ audience: 'a', token: 't' }))).field, 'claims')
})

test('the WIT profile: an answer where there is one, and where there is none', async () => {
  const key = newKey().export({ format: 'jwk' })
  const { client, stub } = await serve((call) =>
    call.send(witResponse([{ id: billing.id, token: 'w.i.t', key: JSON.stringify(key), hint: 'h' }]))
  )
  const [svid] = await client.fetchWitSvids({ spiffeId: billing.id })
  assert.deepEqual(
    [String(svid), svid.hint, svid.token, svid.privateKey.asymmetricKeyType],
    [billing.id, 'h', 'w.i.t', 'ec']
  )
  assert.ok(!inspect(svid).includes('w.i.t') && !JSON.stringify(svid).includes('w.i.t'))
  assert.deepEqual(strings(stub.calls[0].request), { 1: [billing.id] })
  stub.answer((call) => call.send(jwtBundlesResponse({ 'spiffe://example.org': '{}' })))
  assert.deepEqual([...(await client.fetchWitBundles())], [['example.org', '{}']])
  stub.answer((call) => call.end(12, 'unknown method'))
  const before = stub.calls.length
  const error = await failure(client.fetchWitSvids())
  assert.deepEqual([error.code, error.grpcCode, error.grpcStatus], ['ERR_WORKLOAD_API', 'UNIMPLEMENTED', 12])
  assert.equal(stub.calls.length, before + 1, 'an answer, not a reason to ask again')
})

test('every status comes through by name', async () => {
  const { client, stub } = await serve(() => {})
  for (const [number, name] of [
    [1, 'CANCELLED'],
    [2, 'UNKNOWN'],
    [3, 'INVALID_ARGUMENT'],
    [4, 'DEADLINE_EXCEEDED'],
    [8, 'RESOURCE_EXHAUSTED'],
    [14, 'UNAVAILABLE'],
    [16, 'UNAUTHENTICATED'],
    [99, 'UNKNOWN']
  ]) {
    stub.answer((call) => call.end(Number(number), 'why: 100 % ü\n'))
    const error = await failure(client.fetchX509Context())
    assert.deepEqual([error.code, error.grpcCode, error.grpcMessage], ['ERR_WORKLOAD_API', name, 'why: 100 % ü\n'])
  }
  stub.answer((call) => call.end(7, 'no identity issued'))
  const error = await failure(client.fetchX509Context())
  assert.deepEqual([error.code, error.grpcCode], ['ERR_NO_IDENTITY', 'PERMISSION_DENIED'])
  // After a message, too.
  stub.answer((call) => {
    call.send(jwtResponse([home.token('/billing', ['a'])]))
    call.end(13, 'broke')
  })
  assert.equal((await failure(client.fetchJwtSvid({ audience: 'a' }))).grpcCode, 'INTERNAL')
})

test('answers that are none', async () => {
  const { client, stub } = await serve(() => {})
  const attempt = async () => {
    const error = await failure(client.fetchX509Context({ timeout: 2000 }))
    return [error.code, error.rule ?? error.grpcCode].join(' ')
  }
  stub.answer((call) => call.end(0))
  assert.equal(await attempt(), 'ERR_INVALID_RESPONSE ended')
  stub.answer((call) => call.send(Buffer.from('no message at all')))
  assert.equal(await attempt(), 'ERR_INVALID_RESPONSE malformed')
  stub.answer((call) => call.raw(Buffer.from([1, 0, 0, 0, 1, 0])))
  assert.equal(await attempt(), 'ERR_INVALID_RESPONSE malformed')
  stub.answer((call) => call.raw(Buffer.from([0, 0xff, 0, 0, 0])))
  assert.equal(await attempt(), 'ERR_RESPONSE_TOO_LARGE ')
  stub.answer((call) => {
    call.raw(framed(x509Response({ svids: [billing] })).subarray(0, 200))
    call.end()
  })
  assert.equal(await attempt(), 'ERR_INVALID_RESPONSE malformed')
  stub.answer((call) => call.destroy())
  assert.equal(await attempt(), 'ERR_CONNECTION_FAILED ')
  stub.answer((call) => {
    call.stream.respond({ ':status': 503 })
    call.stream.end()
  })
  assert.equal(await attempt(), 'ERR_WORKLOAD_API UNAVAILABLE')
  stub.answer((call) => {
    call.stream.respond({ ':status': 200, 'content-type': 'text/html' })
    call.stream.end('<html>')
  })
  assert.equal(await attempt(), 'ERR_WORKLOAD_API UNKNOWN')
  stub.answer((call) => {
    call.send(jwtResponse([home.token('/a', ['a'])]))
    call.send(jwtResponse([home.token('/a', ['a'])]))
    call.end()
  })
  assert.equal((await failure(client.fetchJwtSvid({ audience: 'a' }))).rule, 'malformed')
})

test('time runs out, calls are taken back, clients are closed', async () => {
  const { client, stub } = await serve(() => {})
  const late = await failure(client.fetchX509Context({ timeout: 60 }))
  assert.deepEqual([late.code, late.timeout], ['ERR_TIMEOUT', 60])
  const reason = new Error('no longer')
  const controller = new AbortController()
  const taken = client.fetchJwtSvid({ audience: 'a', signal: controller.signal, timeout: null })
  setTimeout(() => controller.abort(reason), 20)
  assert.equal(await taken.catch((error) => error), reason)
  assert.equal(await client.fetchX509Bundles({ signal: AbortSignal.abort(reason) }).catch((error) => error), reason)
  const pending = failure(client.fetchX509Svid())
  client.close()
  assert.equal((await pending).code, 'ERR_CLOSED')
  assert.equal((await failure(client.fetchX509Svid())).code, 'ERR_CLOSED')
  await sleep(50)
  assert.equal(stub.open.size, 0, 'the server was told')
})

test('nobody there, somebody else there, silence', async () => {
  const absent = new WorkloadApiClient({ endpoint: 'unix:/nonexistent/agent.sock' })
  const error = await failure(absent.fetchX509Context())
  assert.deepEqual(
    [error.code, error.endpoint, error.syscallError],
    ['ERR_SOCKET_NOT_FOUND', 'unix:/nonexistent/agent.sock', 'ENOENT']
  )
  const { stub } = await serve(() => {})
  await stub.kill()
  assert.equal(
    (await failure(new WorkloadApiClient({ endpoint: stub.endpoint }).fetchX509Context())).code,
    'ERR_SOCKET_NOT_FOUND'
  )
  const refused = await failure(
    new WorkloadApiClient({ endpoint: `tcp://127.0.0.1:${await freePort()}` }).fetchX509Context()
  )
  assert.deepEqual([refused.code, refused.syscallError], ['ERR_CONNECTION_FAILED', 'ECONNREFUSED'])
  assert.equal(
    (await failure(new WorkloadApiClient({ endpoint: 'npipe:x' }).fetchX509Context())).code,
    'ERR_CONNECTION_FAILED'
  )
  const strange = createServer((socket) => {
    socket.on('error', () => {})
    socket.end('SSH-2.0-OpenSSH\r\n')
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => strange.once('listening', resolve))
  const { port } = /** @type {import('node:net').AddressInfo} */ (strange.address())
  assert.equal(
    (await failure(new WorkloadApiClient({ endpoint: `tcp://127.0.0.1:${port}` }).fetchX509Context())).code,
    'ERR_CONNECTION_FAILED'
  )
  strange.close()
})

test('over TCP, IPv6 included', async () => {
  const { createServer } = await import('node:http2')
  for (const [host, written] of [
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '[::1]']
  ]) {
    const server = createServer()
    server.on('stream', (/** @type {import('node:http2').ServerHttp2Stream} */ stream) => {
      stream.on('error', () => {})
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
      stream.write(framed(x509BundlesResponse({ 'spiffe://example.org': home.ca.der })))
    })
    server.listen(0, host)
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
    const client = new WorkloadApiClient({ endpoint: `tcp://${written}:${port}` })
    assert.equal((await client.fetchX509Bundles()).size, 1)
    server.close()
  }
})

test('a connection that died meanwhile is made anew, once', async () => {
  const { client, stub } = await serve(healthy(home))
  await client.fetchX509Bundles()
  await stub.kill()
  const again = await startStub(healthy(home), { socket: stub.socket })
  stubs.push(again)
  assert.equal((await client.fetchX509Bundles()).size, 1, 'nobody noticed')
  assert.equal(again.connections, 1)
})

test('the endpoint: from the option, else from the environment of now, else none', async (t) => {
  const before = process.env.SPIFFE_ENDPOINT_SOCKET
  t.after(() =>
    before === undefined ? delete process.env.SPIFFE_ENDPOINT_SOCKET : (process.env.SPIFFE_ENDPOINT_SOCKET = before)
  )
  delete process.env.SPIFFE_ENDPOINT_SOCKET
  assert.throws(() => new WorkloadApiClient(), { code: 'ERR_INVALID_ENDPOINT', rule: 'not_set' })
  process.env.SPIFFE_ENDPOINT_SOCKET = 'unix:///run/a.sock'
  assert.equal(new WorkloadApiClient().endpoint, 'unix:/run/a.sock')
  assert.equal(new WorkloadApiClient({ endpoint: 'tcp://[::1]:1' }).endpoint, 'tcp://[::1]:1')
  for (const [endpoint, rule] of [
    ['/run/a.sock', 'unknown_scheme'],
    ['unix://run/a.sock', 'unix_authority'],
    ['unix:a.sock', 'relative_path'],
    ['tcp://localhost:1', 'not_an_address'],
    ['tcp://127.0.0.1', 'invalid_port'],
    ['', 'empty']
  ]) {
    assert.throws(() => new WorkloadApiClient({ endpoint }), { code: 'ERR_INVALID_ENDPOINT', rule }, endpoint)
  }
  for (const options of [
    { endpoint: 1 },
    { endpoint: null },
    { timeout: 0 },
    { timeout: '1' },
    { socket: 'x' },
    'unix:/a'
  ]) {
    assert.throws(
      () => new WorkloadApiClient(/** @type {any} */ (options)),
      { code: 'ERR_INVALID_ARGUMENT' },
      inspect(options)
    )
  }
})

test('a call that is awaited keeps the process alive; a client does not', async () => {
  const { stub } = await serve((call) => setTimeout(() => healthy(home)(call), 300))
  const script = (/** @type {string} */ body) =>
    spawnSync(
      process.execPath,
      [
        '-e',
        `
    const { WorkloadApiClient } = require(${JSON.stringify(new URL('..', import.meta.url).pathname)})
    const client = new WorkloadApiClient({ endpoint: ${JSON.stringify(stub.endpoint)} })
    ${body}`
      ],
      { encoding: 'utf8', timeout: 10_000 }
    )
  // The stub lives in this very process, which spawnSync stops: only what needs no answer can be tried that way.
  assert.equal(script('console.log("done")').stdout, 'done\n')
  const { spawn } = await import('node:child_process')
  const child = spawn(
    process.execPath,
    [
      '-e',
      `
    const { WorkloadApiClient } = require(${JSON.stringify(new URL('..', import.meta.url).pathname)})
    new WorkloadApiClient({ endpoint: ${JSON.stringify(stub.endpoint)} }).fetchX509Bundles()
      .then((bundles) => console.log(bundles.size))`
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] }
  )
  let said = ''
  for await (const piece of child.stdout) said += piece
  assert.equal(said, '1\n')
})

test('a thousand SVIDs and bundles in one message', async () => {
  const many = Array.from({ length: 1000 }, (_, index) => ({ ...billing, hint: `h${index}` }))
  const federated = Object.fromEntries(
    Array.from({ length: 1000 }, (_, index) => [`spiffe://d${index}.org`, other.ca.der])
  )
  const { client } = await says(x509Response({ svids: many, federated }))
  const context = await client.fetchX509Context()
  assert.equal(context.svids.length, 1000)
  assert.equal(context.bundles.size, 1001)
  assert.equal((await client.fetchX509Svid({ hint: 'h999' })).hint, 'h999')
})
