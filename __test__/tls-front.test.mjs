// Front servers: authorizers that have to ask somebody.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import tls from 'node:tls'
import {
  ask,
  authorize,
  client,
  clientMinted,
  countersign,
  face,
  leaf,
  listening,
  raw,
  rootB,
  server,
  shown,
  sourceOf,
  VERSIONS
} from './support/tls-scene.mjs'

const { createFrontServer, http2Connect, peerOf } = face
const source = sourceOf(server)
const toServer = authorize.id('spiffe://a.test/server')

/**
 * @param {import('node:test').TestContext} t
 * @param {any} welcome @param {Record<string, any>} [options]
 */
async function front(t, welcome, options = {}) {
  /** @type {any[]} */
  const rejections = []
  const seen = { requests: 0 }
  const app = http.createServer((request, response) => {
    seen.requests++
    response.end(`${peerOf(request)} ${/** @type {any} */ (request.socket).encrypted}`)
  })
  const one = createFrontServer(app, source, welcome, {
    onReject: (/** @type {any} */ rejection) => rejections.push(rejection),
    ...options
  })
  const port = await listening(one)
  t.after(() => {
    one.close()
    app.closeAllConnections()
  })
  return { port, rejections, seen, server: one, rules: () => rejections.map((rejection) => rejection.rule) }
}

for (const version of VERSIONS) {
  const limits = { minVersion: version, maxVersion: version }
  const early = { ...shown(clientMinted), ...limits }

  test(`${version}: an authorizer takes its time, what is sent early waits`, async (t) => {
    /** @type {any[]} */
    const asked = []
    const { port, seen } = await front(t, async (/** @type {any} */ id, /** @type {any} */ peer) => {
      asked.push([id.uri, peer.kind])
      await sleep(50)
      assert.equal(seen.requests, 0)
      return true
    })
    assert.equal(await raw(port, early), 'spiffe://a.test/client true')
    assert.deepEqual(asked, [['spiffe://a.test/client', 'x509']])
  })

  test(`${version}: only true lets in; no byte reaches the application otherwise`, async (t) => {
    for (const [welcome, rule] of /** @type {[any, string][]} */ ([
      [
        async () => {
          await sleep(20)
          return false
        },
        'not_authorized'
      ],
      [() => false, 'not_authorized'],
      [authorize.id('spiffe://a.test/other'), 'not_authorized'],
      [async () => 1, 'authorizer_failed'],
      [async () => undefined, 'authorizer_failed'],
      [
        async () => {
          throw new Error('database is down')
        },
        'authorizer_failed'
      ],
      [
        () => {
          throw new Error('bug')
        },
        'authorizer_failed'
      ],
      [
        () => ({
          then() {
            throw new Error('thenable')
          }
        }),
        'authorizer_failed'
      ],
      [() => new Promise(() => {}), 'authorizer_timeout']
    ])) {
      const { port, rules, seen, rejections } = await front(t, welcome, { authorizeTimeout: 50 })
      assert.equal((await raw(port, early)).includes('spiffe'), false)
      assert.deepEqual(rules(), [rule])
      assert.equal(rejections[0].error.spiffeId, 'spiffe://a.test/client')
      assert.equal(seen.requests, 0)
    }
  })

  test(`${version}: who is not proven is not even asked about`, async (t) => {
    const { port, rules } = await front(t, async () => assert.fail('it was asked'))
    await raw(port, { ...shown(leaf(rootB, 'spiffe://a.test/client')), ...limits })
    await raw(port, limits)
    assert.deepEqual(rules(), ['unknown_issuer', 'no_certificate'])
  })
}

test('a client that goes away while it is decided on is forgotten', async (t) => {
  let answer = (/** @type {boolean} */ _verdict) => {}
  const { port, seen, rejections } = await front(
    t,
    () =>
      new Promise((resolve) => {
        answer = resolve
      })
  )
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...shown(clientMinted) })
  await once(socket, 'secureConnect')
  await sleep(20)
  socket.destroy()
  await sleep(50)
  answer(true)
  await sleep(20)
  assert.deepEqual([seen.requests, rejections], [0, []])
})

test('more than the socket holds waits in the network', async (t) => {
  let heard = 0
  let open = () => {}
  const target = net.createServer((socket) =>
    socket
      .on('data', (chunk) => {
        heard += chunk.length
      })
      .on('error', () => {})
  )
  const one = createFrontServer(
    target,
    source,
    () =>
      new Promise((resolve) => {
        open = () => resolve(true)
      })
  )
  const port = await listening(one)
  t.after(() => one.close())
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...shown(clientMinted) })
  await once(socket, 'secureConnect')
  const size = 32 << 20
  const written = new Promise((resolve) => socket.write(Buffer.alloc(size), resolve))
  assert.equal(await Promise.race([written, sleep(200, 'waits')]), 'waits')
  open()
  await written
  while (heard < size) await sleep(5)
  socket.destroy()
})

test('in front of http2, and of a function', async (t) => {
  const target = http2.createServer()
  target.on('stream', (/** @type {import('node:http2').ServerHttp2Stream} */ stream) => {
    stream.respond()
    stream.end(`${peerOf(stream)}`)
  })
  const one = createFrontServer(target, source, async () => true)
  const port = await listening(one)
  t.after(() => one.close())
  const session = http2Connect(`https://localhost:${port}`, sourceOf(client), toServer)
  let text = ''
  for await (const chunk of session.request()) text += chunk
  assert.equal(text, 'spiffe://a.test/client')
  session.close()
  const plain = createFrontServer(
    (/** @type {tls.TLSSocket} */ socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'),
    source,
    async () => true
  )
  const other = await listening(plain)
  t.after(() => plain.close())
  assert.equal(await ask(other, sourceOf(client), toServer), 'ok')
})

test('a front server that is closed follows its source no longer', async () => {
  const own = sourceOf(server)
  const one = createFrontServer(http.createServer(), own, async () => true)
  await listening(one)
  assert.equal(own.listeners, 1)
  one.close()
  await once(one, 'close')
  assert.equal(own.listeners, 0)
})

test('what cannot be meant is an error at once', () => {
  const wrong = (/** @type {() => unknown} */ call, /** @type {RegExp} */ message) =>
    assert.throws(
      call,
      (/** @type {any} */ error) =>
        countersign.CountersignError.is(error) && error.code === 'ERR_INVALID_ARGUMENT' && message.test(error.message)
    )
  const app = http.createServer()
  // @ts-expect-error: the argument has a wrong type
  wrong(() => createFrontServer(undefined, source, async () => true), /^target: /)
  wrong(() => createFrontServer(tls.createServer(), source, async () => true), /^target: .*without TLS/)
  // @ts-expect-error: the argument has a wrong type
  wrong(() => createFrontServer(app, undefined, async () => true), /^source: /)
  // @ts-expect-error: the argument has a wrong type
  wrong(() => createFrontServer(app, source, undefined), /^authorize: /)
  // @ts-expect-error: there is no such option
  wrong(() => createFrontServer(app, source, async () => true, { clients: 'none' }), /^options\.clients|^authorize/)
  // @ts-expect-error: there is no such option
  wrong(() => createFrontServer(app, source, async () => true, { clients: 'optional' }), /^options\.clients/)
  wrong(() => createFrontServer(app, source, async () => true, { authorizeTimeout: 0 }), /^options\.authorizeTimeout/)
  // @ts-expect-error: there is no such option
  wrong(() => createFrontServer(app, source, async () => true, { typo: 0 }), /unknown option "typo"/)
})
