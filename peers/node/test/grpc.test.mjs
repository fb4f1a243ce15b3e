// countersign/grpc with the real @grpc/grpc-js on both sides.
import grpc from '@grpc/grpc-js'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import tls from 'node:tls'
import {
  authorize,
  both,
  BundleSet,
  client,
  clientMinted,
  countersign,
  intermediateA,
  leaf,
  rootA,
  rootB,
  server,
  serverMinted,
  shown,
  sourceOf,
  svidOf
} from '../../../__test__/support/tls-scene.mjs'

const { bindServer, callCredentials, channelCredentials, peerOf } = createRequire(import.meta.url)(
  '../../../lib/grpc/index.js'
)

const text = { serialize: (/** @type {string} */ value) => Buffer.from(value), deserialize: String }
const method = (/** @type {boolean} */ stream) => ({
  path: `/test.Echo/${stream ? 'stream' : 'once'}`,
  requestStream: false,
  responseStream: stream,
  requestSerialize: text.serialize,
  requestDeserialize: text.deserialize,
  responseSerialize: text.serialize,
  responseDeserialize: text.deserialize
})
const service = { once: method(false), stream: method(true) }
const Echo = grpc.makeGenericClientConstructor(/** @type {any} */ (service), 'Echo')

const serverSource = sourceOf(server)
const clientSource = sourceOf(client)
const toServer = authorize.id('spiffe://a.test/server')

/**
 * @param {import('node:test').TestContext} t
 * @param {any} welcome @param {any} [options] @param {any} [source]
 */
async function bound(t, welcome, options, source = serverSource) {
  const one = new grpc.Server()
  const seen = { calls: 0 }
  one.addService(/** @type {any} */ (service), {
    once: (/** @type {any} */ call, /** @type {any} */ callback) => {
      seen.calls++
      callback(null, `${peerOf(call)} ${call.metadata.get('authorization')}`)
    },
    stream: async (/** @type {any} */ call) => {
      seen.calls++
      for (let index = 0; index < 5; index++) {
        call.write(`${peerOf(call)}`)
        await sleep(30)
      }
      call.end()
    }
  })
  /** @type {any[]} */
  const rejections = []
  const place = await bindServer(grpc, one, '127.0.0.1:0', source, welcome, {
    onReject: (/** @type {any} */ rejection) => rejections.push(rejection),
    ...options
  })
  t.after(async () => {
    await place.close()
    one.forceShutdown()
  })
  return { place, port: place.port, seen, rejections }
}

/** @param {import('node:test').TestContext} t @param {string} target @param {any} credentials @param {any} [options] */
function clientOf(t, target, credentials, options) {
  const one = /** @type {any} */ (new Echo(target, credentials, { 'grpc.use_local_subchannel_pool': 1, ...options }))
  t.after(() => one.close())
  return one
}

/** @param {any} one */
const call = (one) =>
  new Promise((resolve, reject) => {
    const running = one.once(
      'x',
      { deadline: Date.now() + 5000 },
      (/** @type {any} */ error, /** @type {any} */ answer) =>
        error ? reject(error) : resolve(`${answer}server ${peerOf(running)}`)
    )
  })

test('both sides know who the other one is', async (t) => {
  const { port, seen } = await bound(t, authorize.memberOf('a.test'))
  for (const host of ['localhost', '127.0.0.1']) {
    const one = clientOf(t, `${host}:${port}`, channelCredentials(grpc, clientSource, toServer))
    assert.equal(await call(one), 'spiffe://a.test/client server spiffe://a.test/server')
  }
  const one = clientOf(t, `localhost:${port}`, channelCredentials(grpc, clientSource, toServer), {
    'grpc.ssl_target_name_override': 'other.internal'
  })
  assert.equal(await call(one), 'spiffe://a.test/client server spiffe://a.test/server')
  assert.equal(seen.calls, 3)
})

test('a stream of the server, its peer, and the close that lets it finish', async (t) => {
  const { port, place } = await bound(t, authorize.any())
  const one = clientOf(t, `localhost:${port}`, channelCredentials(grpc, clientSource, toServer))
  /** @type {string[]} */
  const heard = []
  const stream = one.stream('x')
  stream.on('data', (/** @type {string} */ chunk) => heard.push(chunk))
  await once(stream, 'data')
  const closed = place.close()
  await once(stream, 'end')
  await closed
  assert.deepEqual(heard, Array(5).fill('spiffe://a.test/client'))
  assert.equal(place.port, undefined)
  await place.close()
})

test('with intermediates', async (t) => {
  const below = svidOf(leaf(intermediateA, 'spiffe://a.test/below'), intermediateA)
  const { port } = await bound(t, authorize.any(), {}, sourceOf(below))
  const one = clientOf(t, `localhost:${port}`, channelCredentials(grpc, sourceOf(below), authorize.any()))
  assert.equal(await call(one), 'spiffe://a.test/below server spiffe://a.test/below')
})

test('a client that is not welcome, or forged, reaches no handler', async (t) => {
  for (const [welcome, source, rule] of /** @type {[any, any, string][]} */ ([
    [authorize.id('spiffe://a.test/other'), clientSource, 'not_authorized'],
    [async () => false, clientSource, 'not_authorized'],
    [
      async () => {
        throw new Error('database')
      },
      clientSource,
      'authorizer_failed'
    ],
    [authorize.any(), sourceOf(svidOf(leaf(rootB, 'spiffe://a.test/client'))), 'unknown_issuer']
  ])) {
    const { port, seen, rejections } = await bound(t, welcome)
    const one = clientOf(t, `localhost:${port}`, channelCredentials(grpc, source, toServer))
    await assert.rejects(call(one), { code: grpc.status.UNAVAILABLE })
    assert.equal(rejections[0].rule, rule)
    assert.equal(seen.calls, 0)
  }
})

test('a server that is not welcome, or forged, gets no call', async (t) => {
  for (const [minted, welcome, rule] of /** @type {[any, any, string][]} */ ([
    [serverMinted, authorize.id('spiffe://a.test/other'), 'not_authorized'],
    [leaf(rootB, 'spiffe://a.test/server'), toServer, 'unknown_issuer'],
    [leaf(rootB, 'spiffe://a.test/server'), authorize.any(), 'unknown_issuer'],
    [leaf(rootA, 'spiffe://a.test'), authorize.any(), 'leaf_id_without_path']
  ])) {
    const impostor = new grpc.Server()
    let calls = 0
    impostor.addService(/** @type {any} */ (service), {
      once: (/** @type {any} */ _call, /** @type {any} */ callback) => {
        calls++
        callback(null, 'x')
      },
      stream: () => {}
    })
    const { key, cert } = shown(minted)
    const port = await new Promise((resolve, reject) =>
      impostor.bindAsync(
        '127.0.0.1:0',
        grpc.ServerCredentials.createSsl(null, [{ private_key: Buffer.from(key), cert_chain: Buffer.from(cert) }]),
        (error, port) => (error ? reject(error) : resolve(port))
      )
    )
    t.after(() => impostor.forceShutdown())
    /** @type {any[]} */
    const rejections = []
    const one = clientOf(
      t,
      `localhost:${port}`,
      channelCredentials(grpc, clientSource, welcome, {
        onReject: (/** @type {any} */ rejection) => rejections.push(rejection)
      })
    )
    await assert.rejects(call(one), (/** @type {any} */ error) => error.code === grpc.status.UNAVAILABLE)
    assert.equal(rejections[0].rule, rule)
    assert.equal(calls, 0)
  }
})

test('identities rotate on both sides while calls go on', async (t) => {
  const ofServer = sourceOf(server)
  const ofClient = sourceOf(client)
  const { port } = await bound(t, authorize.any(), {}, ofServer)
  const credentials = channelCredentials(grpc, ofClient, authorize.memberOf('a.test'))
  const old = clientOf(t, `localhost:${port}`, credentials)
  assert.equal(await call(old), 'spiffe://a.test/client server spiffe://a.test/server')
  ofServer.rotate(svidOf(leaf(rootA, 'spiffe://a.test/server-next')))
  ofClient.rotate(svidOf(leaf(rootA, 'spiffe://a.test/client-next')))
  assert.equal(await call(old), 'spiffe://a.test/client server spiffe://a.test/server', 'the open connection goes on')
  assert.equal(
    await call(clientOf(t, `localhost:${port}`, credentials)),
    'spiffe://a.test/client-next server spiffe://a.test/server-next'
  )
  ofClient.rotate(undefined, new BundleSet())
  await assert.rejects(call(clientOf(t, `localhost:${port}`, credentials)), { code: grpc.status.UNAVAILABLE })
  ofClient.rotate(undefined, both)
  ofClient.withdraw()
  await assert.rejects(
    call(clientOf(t, `localhost:${port}`, credentials)),
    (/** @type {any} */ error) => error.code === grpc.status.UNAVAILABLE && /withdrawn/.test(error.details)
  )
})

test('a token in the metadata', async (t) => {
  const { claims, newKey, token } = await import('../../../__test__/support/spiffe-scene.mjs')
  const jwt = token({ alg: 'ES256', kid: 'one' }, claims(), newKey('P-256'))
  const { port } = await bound(t, authorize.any())
  let fails = false
  const source = {
    fetch: async () => {
      if (fails) throw new Error('no token')
      return countersign.JwtSvid.parseInsecure(jwt)
    }
  }
  const credentials = grpc.credentials.combineChannelCredentials(
    channelCredentials(grpc, clientSource, toServer),
    callCredentials(grpc, source, 'shop')
  )
  const one = clientOf(t, `localhost:${port}`, credentials)
  assert.equal(await call(one), `spiffe://a.test/client Bearer ${jwt}server spiffe://a.test/server`)
  fails = true
  await assert.rejects(
    call(one),
    (/** @type {any} */ error) => /no token/.test(error.details) && !error.message.includes(jwt)
  )
})

test('a plain client is turned away', async (t) => {
  const { port, rejections, seen } = await bound(t, authorize.any())
  await assert.rejects(call(clientOf(t, `localhost:${port}`, grpc.credentials.createInsecure())))
  await assert.rejects(
    call(
      clientOf(
        t,
        `localhost:${port}`,
        grpc.credentials.createSsl(Buffer.from(rootA.pem), null, null, { checkServerIdentity: () => undefined })
      )
    )
  )
  assert.ok(rejections.length > 0 && rejections.every((one) => one.rule === 'no_certificate'))
  assert.equal(seen.calls, 0)
  const socket = tls.connect({
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
    ...shown(clientMinted)
  })
  await once(socket, 'error')
})

test('a Unix socket, a port that is taken, and what cannot be meant', async (t) => {
  const one = new grpc.Server()
  t.after(() => one.forceShutdown())
  const path = `${process.env.TMPDIR ?? '/tmp'}/countersign-grpc-${process.pid}.sock`
  const place = await bindServer(grpc, one, `unix:${path}`, serverSource, authorize.any())
  assert.equal(place.address, path)
  await place.close()
  const taken = net.createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  await assert.rejects(
    bindServer(grpc, one, `127.0.0.1:${/** @type {any} */ (taken.address()).port}`, serverSource, authorize.any()),
    { code: 'EADDRINUSE' }
  )
  taken.close()
  const wrong = { code: 'ERR_INVALID_ARGUMENT' }
  for (const address of [
    undefined,
    '',
    'localhost',
    'localhost:',
    'localhost:99999',
    ':1',
    50051,
    'http://localhost:1'
  ])
    await assert.rejects(bindServer(grpc, one, address, serverSource, authorize.any()), wrong, String(address))
  await assert.rejects(bindServer({}, one, 'localhost:0', serverSource, authorize.any()), wrong)
  await assert.rejects(bindServer(grpc, {}, 'localhost:0', serverSource, authorize.any()), wrong)
  await assert.rejects(bindServer(grpc, one, 'localhost:0', {}, authorize.any()), wrong)
  await assert.rejects(bindServer(grpc, one, 'localhost:0', serverSource), wrong)
  assert.throws(() => channelCredentials({}, clientSource, toServer), wrong)
  assert.throws(() => channelCredentials(grpc, clientSource), wrong)
  assert.throws(() => callCredentials(grpc, {}, 'x'), wrong)
})
