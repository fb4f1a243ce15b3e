// Servers that speak HTTP/2 and gRPC oddly, badly, or with malice, byte by byte. None may make a call hang beyond its
// time, hurt the calls beside it, or cost memory.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  answer,
  block,
  CONTINUATION,
  DATA,
  data,
  END_HEADERS,
  END_STREAM,
  frame,
  goAway,
  GRPC,
  HEADERS,
  headers,
  hpackInteger,
  PING,
  reset,
  RST_STREAM,
  settings,
  startWire,
  u32,
  WINDOW_UPDATE
} from './support/http2-wire.mjs'
import { countersign } from './support/spiffe-scene.mjs'
import { until } from './support/until.mjs'
import { domain, jwtResponse, x509BundlesResponse, x509Response } from './support/workload-stub.mjs'
import { failure } from './support/outcome.mjs'

const { WorkloadApiClient, X509Source } = countersign

const home = domain()
const bundles = x509BundlesResponse({ 'spiffe://example.org': home.ca.der })
const tokens = jwtResponse([home.token('/billing', ['a'])])
/** @type {{ close (): void }[]} */
const open = []
after(() => {
  for (const one of open) one.close()
})

/** @param {import('./support/http2-wire.mjs').Behaviour} behaviour */
async function serve(behaviour, timeout = 5000) {
  const server = await startWire(behaviour)
  const client = new WorkloadApiClient({ endpoint: server.endpoint, timeout })
  open.push(client, server)
  return { server, client }
}

/** @param {InstanceType<typeof WorkloadApiClient>} client */
const fetchToken = async (client) => String(await client.fetchJwtSvid({ audience: 'a' }))

/** @param {number} stream @param {Buffer} message */
const bytewise = (stream, message) =>
  [...Buffer.concat([Buffer.of(0), u32(message.length), message])].map((byte) =>
    frame(DATA, 0, stream, Buffer.of(byte))
  )

test('a message that comes byte by byte is a message', async () => {
  const { client } = await serve({
    async request(connection, stream) {
      await connection.write(headers(stream, GRPC))
      for (const one of bytewise(stream, tokens)) {
        await connection.write(one)
        await new Promise(setImmediate)
      }
      // Trailers in pieces, too.
      const last = block({ 'grpc-status': '0' })
      await connection.write(
        frame(HEADERS, END_STREAM, stream, last.subarray(0, 5)),
        frame(CONTINUATION, END_HEADERS, stream, last.subarray(5))
      )
    }
  })
  assert.equal(await fetchToken(client), 'spiffe://example.org/billing')
})
test('one that comes so slowly that time runs out is none', async () => {
  const { client, server } = await serve({
    async request(connection, stream) {
      await connection.write(headers(stream, GRPC))
      for (const one of bytewise(stream, bundles)) if (await connection.write(one)) await sleep(20)
    }
  })
  const error = await failure(client.fetchX509Bundles({ timeout: 200 }))
  assert.deepEqual([error.code, error.stage], ['ERR_TIMEOUT', 'reading the response'])
  await sleep(50)
  assert.equal(server.connections[0].of(RST_STREAM).length, 1, 'the server was told')
})
test('a server that takes connections and says nothing: time runs out, and the error says at what', async () => {
  const { client } = await serve({ greeting: null })
  const error = await failure(client.fetchX509Bundles({ timeout: 100 }))
  assert.deepEqual([error.code, error.timeout, error.stage], ['ERR_TIMEOUT', 100, 'waiting for the response'])
  assert.match(error.message, /within 100ms \(waiting for the response\)/)
})
test('a server that forgets its settings, and answers, is answer enough', async () => {
  const { client } = await serve({
    greeting: Buffer.alloc(0),
    request: (connection, stream) => connection.write(answer(stream, tokens))
  })
  assert.equal(await fetchToken(client), 'spiffe://example.org/billing')
})

test('a call that is reset fails alone: the stream beside it goes on', async () => {
  const told = { first: true, code: 0 }
  const { client, server } = await serve({
    request(connection, stream) {
      const { first } = told
      told.first = false
      return connection.write(
        first
          ? Buffer.concat([headers(stream, GRPC), data(stream, x509Response({ svids: [home.svid('/billing')] }))])
          : reset(stream, told.code)
      )
    }
  })
  const source = await X509Source.open({ endpoint: server.endpoint })
  open.push(source)
  const attempt = async (/** @type {number} */ code) => {
    told.code = code
    const error = await failure(client.fetchX509Bundles())
    assert.equal(error.code, 'ERR_CONNECTION_FAILED', `code ${code}`)
    assert.match(error.message, /^the call to the Workload API was reset/)
  }
  // A call that the server does not want says nothing about the next one.
  for (const code of [0, 8, 7]) await attempt(code)
  assert.deepEqual(
    server.connections.map((connection) => connection.of(HEADERS).length),
    [5],
    'asked once, and after a refusal once more'
  )
  // All else may be about the connection: another one is tried, and that is that.
  for (const code of [1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 99]) {
    const before = server.connections.length
    await attempt(code)
    assert.equal(server.connections.length, before + 1, `code ${code}`)
  }
  assert.deepEqual([source.counters.connects, source.counters.errors], [1, 0])
  assert.equal(server.connections[0].destroyed, false)
  await Promise.all(server.connections.slice(1).map(({ closed }) => closed))
})
test('a call the server refused without looking at it is asked again, once', async () => {
  let refusals = 1
  const { client, server } = await serve({
    request: (connection, stream) => connection.write(refusals-- > 0 ? reset(stream, 7) : answer(stream, tokens))
  })
  assert.equal(await fetchToken(client), 'spiffe://example.org/billing')
  refusals = 2
  assert.match((await failure(fetchToken(client))).message, /refused/)
  assert.deepEqual([server.connections.length, server.connections[0].of(HEADERS).length], [1, 4])
})

test('GOAWAY: what is on its way is answered, what comes next goes elsewhere', async () => {
  const { client, server } = await serve({
    async request(connection, stream) {
      if (connection !== server.connections[0]) return connection.write(answer(stream, tokens))
      // As servers do it in good order: first a warning, then the last stream that counts.
      await connection.write(goAway(0x7fffffff), frame(PING, 0, 0, Buffer.alloc(8)))
      await sleep(50)
      await connection.write(goAway(stream), answer(stream, tokens))
      connection.destroy()
    }
  })
  assert.deepEqual(
    [await fetchToken(client), await fetchToken(client)],
    ['spiffe://example.org/billing', 'spiffe://example.org/billing']
  )
  assert.equal(server.connections.length, 2)
})
test('GOAWAY before any call was processed: asked again on a new connection, if one worked before', async () => {
  let calls = 0
  const { client, server } = await serve({
    request: (connection, stream) => connection.write(++calls === 2 ? goAway(stream - 2) : answer(stream, tokens))
  })
  await fetchToken(client)
  assert.equal(await fetchToken(client), 'spiffe://example.org/billing')
  assert.deepEqual([server.connections.length, calls], [2, 3])
  const { client: unlucky, server: never } = await serve({ request: (connection) => connection.write(goAway(0, 11)) })
  assert.equal((await failure(fetchToken(unlucky))).code, 'ERR_CONNECTION_FAILED')
  assert.equal(never.connections.length, 1)
})

test('one call at a time is allowed: the others wait for their turn', async () => {
  const { client, server } = await serve({
    greeting: settings({ 3: 1 }),
    async request(connection, stream) {
      await sleep(10)
      most = Math.max(most, connection.of(HEADERS).length - answered++)
      await connection.write(answer(stream, tokens))
    }
  })
  let most = 0
  let answered = 0
  await fetchToken(client)
  assert.equal((await Promise.all(Array.from({ length: 20 }, () => fetchToken(client)))).length, 20)
  assert.deepEqual([server.connections.length, most], [1, 1])
})
test('the server allows no call or no byte: the call times out, and a later SETTINGS lets it go on', async () => {
  const { client, server } = await serve({ request: (connection, stream) => connection.write(answer(stream, tokens)) })
  await fetchToken(client)
  const [connection] = server.connections
  for (const [closed, opened] of [
    [{ 3: 0 }, { 3: 100 }],
    [{ 4: 0 }, { 4: 65535 }]
  ]) {
    await connection.write(settings(closed))
    await sleep(50)
    const error = await failure(client.fetchJwtSvid({ audience: 'a', timeout: 100 }))
    assert.deepEqual([error.code, error.stage], ['ERR_TIMEOUT', 'waiting for the response'])
    const waiting = fetchToken(client)
    await connection.write(settings(opened))
    assert.equal(await waiting, 'spiffe://example.org/billing')
  }
  assert.equal(server.connections.length, 1)
})
test('a window of one byte: the request goes out byte by byte', async () => {
  const { client, server } = await serve({
    greeting: settings({ 4: 1 }),
    took(connection, { type, stream, flags }) {
      if (type === DATA && !(flags & END_STREAM)) connection.write(frame(WINDOW_UPDATE, 0, stream, u32(1)))
    },
    request: (connection, stream) => connection.write(answer(stream, tokens))
  })
  await fetchToken(client)
  const before = server.connections[0].of(DATA).length
  await fetchToken(client)
  assert.ok(server.connections[0].of(DATA).length - before >= 8)
})

test('pings without end are answered, and so is the call', async () => {
  const many = Buffer.concat(Array(1000).fill(frame(PING, 0, 0, Buffer.alloc(8))))
  const { client, server } = await serve({
    async request(connection, stream) {
      for (let round = 0; round < 100; round++) await connection.write(many)
      await connection.write(answer(stream, tokens))
    }
  })
  assert.equal(await fetchToken(client), 'spiffe://example.org/billing')
  // The last of them may still be on their way.
  await until(() => server.connections[0].of(PING).length === 100_000, 'an answer to each')
})
test('frames of nothing, without end, end the connection', async () => {
  let sent = 0
  const { client, server } = await serve({
    async request(connection, stream) {
      await connection.write(headers(stream, GRPC))
      const many = Buffer.concat(Array(100).fill(frame(DATA, 0, stream)))
      while (await connection.write(many)) sent += many.length
    }
  })
  assert.equal((await failure(client.fetchX509Bundles())).code, 'ERR_CONNECTION_FAILED')
  await server.connections[0].closed
  assert.ok(sent < 2_000_000, `${sent} bytes were taken`)
})
test('headers without end, long or empty, end the connection', async () => {
  for (const piece of [block({ x: 'y'.repeat(4000) }), Buffer.alloc(0)]) {
    let sent = 0
    const { client, server } = await serve({
      async request(connection, stream) {
        await connection.write(frame(HEADERS, 0, stream, block(GRPC)))
        while (await connection.write(frame(CONTINUATION, 0, stream, piece))) sent += piece.length + 9
      }
    })
    assert.equal((await failure(client.fetchX509Bundles())).code, 'ERR_CONNECTION_FAILED')
    await server.connections[0].closed
    // What a socket holds, and not more.
    assert.ok(sent < 2_000_000, `${sent} bytes were taken`)
  }
  const { client } = await serve({
    request: (connection, stream) => connection.write(frame(HEADERS, 0, stream, block(GRPC)))
  })
  assert.equal((await failure(client.fetchX509Bundles({ timeout: 100 }))).code, 'ERR_TIMEOUT')
})
test('headers that are small on the wire and huge when unpacked are refused', async () => {
  // One entry of the dynamic table, and 12,000 times the one byte that stands for it: 47 MB.
  const entry = Buffer.concat([
    Buffer.of(0x40),
    hpackInteger(0, 7, 1),
    Buffer.from('x'),
    hpackInteger(0, 7, 3900),
    Buffer.alloc(3900, 'y')
  ])
  for (const references of [30, 12_000]) {
    const { client } = await serve({
      request: (connection, stream) =>
        connection.write(
          frame(HEADERS, END_HEADERS, stream, Buffer.concat([block(GRPC), entry, Buffer.alloc(references, 0x80 | 62)])),
          data(stream, bundles)
        )
    })
    assert.equal((await failure(client.fetchX509Bundles())).code, 'ERR_CONNECTION_FAILED', `${references} references`)
  }
})

test('a status counts at the end of a call, in the head or behind the messages', async () => {
  /** @type {(stream: number) => Buffer[]} */
  let says = () => []
  const { client, server } = await serve({ request: (connection, stream) => connection.write(...says(stream)) })
  const ok = { 'grpc-status': '0' }
  const denied = { 'grpc-status': '7', 'grpc-message': 'no identity issued' }
  const end = (/** @type {number} */ stream, /** @type {Record<string, string | Uint8Array>} */ trailers) =>
    headers(stream, trailers, END_STREAM)
  says = (stream) => [end(stream, { ...GRPC, ...denied })]
  assert.equal((await failure(fetchToken(client))).code, 'ERR_NO_IDENTITY')
  says = (stream) => [headers(stream, GRPC), end(stream, denied)]
  assert.equal((await failure(fetchToken(client))).code, 'ERR_NO_IDENTITY')
  says = (stream) => [headers(stream, GRPC), data(stream, tokens), end(stream, denied)]
  assert.equal((await failure(fetchToken(client))).code, 'ERR_NO_IDENTITY', 'an answer that is taken back')
  // In the head, in front of messages: a good one says nothing yet, a bad one is believed.
  says = (stream) => [headers(stream, { ...GRPC, ...ok }), data(stream, tokens), end(stream, ok)]
  assert.equal(await fetchToken(client), 'spiffe://example.org/billing')
  says = (stream) => [headers(stream, { ...GRPC, ...ok }), data(stream, tokens), end(stream, denied)]
  assert.equal((await failure(fetchToken(client))).code, 'ERR_NO_IDENTITY')
  says = (stream) => [headers(stream, { ...GRPC, ...denied }), data(stream, tokens), end(stream, ok)]
  assert.equal((await failure(fetchToken(client))).code, 'ERR_NO_IDENTITY')
  says = (stream) => [end(stream, { ...GRPC, ...ok })]
  assert.equal((await failure(fetchToken(client))).rule, 'ended')
  // Whoever leaves out the status may have been cut off in the middle.
  says = (stream) => [headers(stream, GRPC), data(stream, tokens), frame(DATA, END_STREAM, stream)]
  assert.equal((await failure(fetchToken(client))).code, 'ERR_CONNECTION_FAILED')
  for (const status of ['', 'x', '-1', '17', '7 ', '99999999999999999999']) {
    says = (stream) => [end(stream, { ...GRPC, 'grpc-status': status })]
    assert.deepEqual([status, (await failure(fetchToken(client))).grpcCode], [status, 'UNKNOWN'])
  }
  assert.equal(server.connections.length, 1)
})
test('what the server says may be written badly', async () => {
  /** @type {Buffer} */
  let said
  const { client } = await serve({
    request: (connection, stream) =>
      connection.write(headers(stream, { ...GRPC, 'grpc-status': '13', 'grpc-message': said }, END_STREAM))
  })
  for (const [written, read] of /** @type {[string, string][]} */ ([
    ['100%', '100%'],
    ['%zz%4', '%zz%4'],
    ['%', '%'],
    ['a%20b', 'a b'],
    ['%ff%fe', '\ufffd\ufffd'],
    ['\xff', '\ufffd'],
    ['%C3%A4%0A%00', 'ä\n\0'],
    ['%2525', '%25']
  ])) {
    said = Buffer.from(written, 'latin1')
    assert.equal((await failure(fetchToken(client))).grpcMessage, read, written)
  }
  said = Buffer.alloc(30_000, '%41')
  assert.equal(
    (await failure(fetchToken(client))).grpcMessage.length,
    Math.ceil(4096 / 3),
    'no more than 4096 bytes of it are read'
  )
})
test('a compressed message is refused, also when the server says how', async () => {
  const { client } = await serve({
    request: (connection, stream) =>
      connection.write(
        headers(stream, { ...GRPC, 'grpc-encoding': 'gzip' }),
        frame(DATA, 0, stream, Buffer.concat([Buffer.of(1), u32(3), Buffer.from('xyz')]))
      )
  })
  const error = await failure(client.fetchX509Bundles())
  assert.deepEqual([error.code, error.rule], ['ERR_INVALID_RESPONSE', 'malformed'])
  assert.match(error.message, /compressed/)
})
test('what HTTP alone says is no verdict of a Workload API: a source asks again, whatever it is', async () => {
  for (const status of ['400', '404', '501', '503']) {
    let calls = 0
    const { server } = await serve({
      request: (connection, stream) =>
        connection.write(
          ++calls < 3
            ? headers(stream, { ':status': status }, END_STREAM)
            : Buffer.concat([headers(stream, GRPC), data(stream, x509Response({ svids: [home.svid('/billing')] }))])
        )
    })
    const source = await X509Source.open({ endpoint: server.endpoint, timeout: 5000 })
    open.push(source)
    assert.equal(source.counters.errors, 2, status)
  }
})
