// countersign/tls with the frameworks and clients that people use.
import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { once } from 'node:events'
import https from 'node:https'
import { test } from 'node:test'
import express from 'express'
import fastify from 'fastify'
import WebSocket, { WebSocketServer } from 'ws'
import { claims, countersign, newKey, token } from '../../../__test__/support/spiffe-scene.mjs'
import {
  authorize,
  client,
  clientMinted,
  face,
  leaf,
  listening,
  raw,
  rootA,
  rootB,
  serve,
  server,
  shown,
  sourceOf,
  svidOf,
  VERSIONS
} from '../../../__test__/support/tls-scene.mjs'

const { clientOptions, createFetch, http2Connect, peerOf, requireBearer, secureServer, serverOptions, undiciConnect } =
  face
const serverSource = sourceOf(server)
const clientSource = sourceOf(client)
const toServer = authorize.id('spiffe://a.test/server')
const forged = shown(leaf(rootB, 'spiffe://a.test/client'))
const major = Number(process.versions.node.split('.')[0])

const key = newKey('P-256')
const bundle = new countersign.JwtBundle('example.org')
bundle.add('one', createPublicKey(key))
const bundles = new countersign.BundleSet([bundle])
const jwt = token({ alg: 'ES256', kid: 'one' }, claims(), key)

for (const version of [6, 7, 8]) {
  // undici 8 needs what Node.js 20 does not have.
  const skip = version === 8 && major < 22
  test(`undici ${version}: connections of an Agent, and of its own fetch`, {
    skip: skip && 'undici 8 does not run on this Node.js'
  }, async (t) => {
    const { default: undici } = await import(`undici${version}`)
    const source = sourceOf(client)
    const { port, seen } = await serve(t, serverSource, authorize.any())
    const dispatcher = new undici.Agent({ connections: 1, connect: undiciConnect(source, toServer) })
    const get = async (/** @type {any} */ through) => {
      const { body } = await undici.request(`https://localhost:${port}/`, { dispatcher: through })
      return body.text()
    }
    assert.equal(await get(dispatcher), 'spiffe://a.test/client')
    source.rotate(svidOf(leaf(rootA, 'spiffe://a.test/next')))
    assert.equal(await get(dispatcher), 'spiffe://a.test/client')
    const fresh = new undici.Agent({ connect: undiciConnect(source, toServer) })
    assert.equal(await get(fresh), 'spiffe://a.test/next')
    // The options as they are, in undici's own connector.
    const own = new undici.Agent({ connect: clientOptions(source, toServer) })
    assert.equal(await get(own), 'spiffe://a.test/next')
    const other = new undici.Agent({ connect: undiciConnect(source, authorize.id('spiffe://a.test/other')) })
    await assert.rejects(get(other), { code: 'ERR_UNTRUSTED_SVID', rule: 'not_authorized' })
    const spiffeFetch = createFetch(source, toServer, { undici })
    assert.equal(await (await spiffeFetch(`https://localhost:${port}/`)).text(), 'spiffe://a.test/next')
    await assert.rejects(
      spiffeFetch(`http://localhost:${port}/`),
      (/** @type {any} */ error) => error.cause.code === 'ERR_INVALID_ARGUMENT'
    )
    assert.equal(seen.requests, 5)
    await Promise.all([dispatcher, fresh, own, other, spiffeFetch].map((one) => one.close()))
  })

  test(`undici ${version}: resumes nothing, whatever it caches`, {
    skip: skip && 'undici 8 does not run on this Node.js'
  }, async (t) => {
    const { default: undici } = await import(`undici${version}`)
    const generous = https.createServer({ key: server.keyPem(), cert: server.chainPem() }, (request, response) => {
      response.setHeader('connection', 'close')
      response.end(String(/** @type {any} */ (request.socket).isSessionReused()))
    })
    const port = await listening(generous)
    t.after(() => generous.close())
    let welcome = true
    const dispatcher = new undici.Agent({
      connect: { .../** @type {any} */ (clientOptions(clientSource, () => welcome)), maxCachedSessions: 100 }
    })
    const get = async () => (await undici.request(`https://localhost:${port}/`, { dispatcher })).body.text()
    for (let round = 0; round < 4; round++)
      assert.match(await get().catch((/** @type {any} */ error) => error.code), /^false$|ATTEMPT_TO_REUSE/)
    welcome = false
    for (let round = 0; round < 3; round++) await assert.rejects(get(), /ERR_UNTRUSTED_SVID|not authorized|session/)
    await dispatcher.close()
  })
}

test("the host's fetch gets its identity, whichever undici is there as well", async (t) => {
  const { port } = await serve(t, serverSource, authorize.any())
  const { entryPoint, runScript } = await import('../../../__test__/support/child.mjs')
  const script = (/** @type {string} */ before) => `
    const require_ = require('node:module').createRequire(${JSON.stringify(import.meta.url)})
    const { createFetch, authorize } = require_(${JSON.stringify(entryPoint('countersign/tls'))})
    const { X509Svid, X509Bundle, BundleSet } = countersign
    const context = { svid: X509Svid.fromPem(${JSON.stringify(clientMinted.pem + clientMinted.keyPem)}), bundles: new BundleSet([X509Bundle.fromPem('a.test', ${JSON.stringify(rootA.pem)})]) }
    const source = { context: () => context, subscribe: () => () => {} }
    async function main () {
      ${before}
      const spiffeFetch = createFetch(source, authorize.memberOf('a.test'))
      const answer = await spiffeFetch('https://localhost:${port}/')
      console.log(await answer.text())
      await (await fetch('data:,')).text()
      await spiffeFetch.close()
    }
    main().catch((error) => console.log(error.code ?? error.cause ?? error))`
  const packages = [6, 7, 8].filter((version) => version < 8 || major >= 22)
  const said = await Promise.all(
    packages
      .flatMap((version) => [`require_('undici${version}')`, `await fetch('data:,'); require_('undici${version}')`])
      .map(async (before) => {
        const { stdout, stderr } = await runScript(script(before))
        return [before, stdout || stderr]
      })
  )
  for (const [before, text] of said) assert.equal(text, 'spiffe://a.test/client\n', before)
})

test('express, over https', async (t) => {
  const app = express()
  app.get('/', (request, response) => {
    response.send(`hello ${peerOf(request)}`)
  })
  app.get('/token', requireBearer(bundles, { audience: 'shop' }), (request, response) => {
    response.send(`hello ${peerOf(request)} by ${peerOf(request.socket)}`)
  })
  const one = https.createServer(serverOptions(serverSource, authorize.any()), app)
  secureServer(one, serverSource, authorize.any())
  const port = await listening(one)
  t.after(() => {
    one.close()
    one.closeAllConnections()
  })
  const spiffeFetch = createFetch(clientSource, toServer)
  assert.equal(await (await spiffeFetch(`https://localhost:${port}/`)).text(), 'hello spiffe://a.test/client')
  assert.equal((await spiffeFetch(`https://localhost:${port}/token`)).status, 401)
  const answer = await spiffeFetch(`https://localhost:${port}/token`, { headers: { authorization: `Bearer ${jwt}` } })
  assert.equal(await answer.text(), 'hello spiffe://example.org/billing by spiffe://a.test/client')
  await spiffeFetch.close()
})

for (const http2 of [false, true]) {
  test(`fastify, over ${http2 ? 'http2' : 'https'}`, async (t) => {
    const app = fastify(/** @type {any} */ ({ http2, https: serverOptions(serverSource, authorize.any()) }))
    secureServer(/** @type {any} */ (app.server), serverSource, authorize.any())
    app.get('/', (request) => `hello ${peerOf(request)} ${peerOf(request.raw)}`)
    app.register(async (scope) => {
      scope.addHook('onRequest', requireBearer(bundles, { audience: 'shop' }))
      scope.get('/token', (request) => `hello ${peerOf(request)}`)
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    t.after(() => app.close())
    const { port } = /** @type {any} */ (app.server.address())
    const get = http2 ? over2 : over1
    assert.deepEqual(await get(port, '/'), [200, 'hello spiffe://a.test/client spiffe://a.test/client', undefined])
    const [status, , challenge] = await get(port, '/token')
    assert.deepEqual([status, challenge], [401, 'Bearer'])
    assert.deepEqual(await get(port, '/token', { authorization: `Bearer ${jwt}` }), [
      200,
      'hello spiffe://example.org/billing',
      undefined
    ])
  })

  for (const version of VERSIONS) {
    test(`${version}: fastify over ${http2 ? 'http2' : 'https'} hears nothing of a client that is refused`, async (t) => {
      let requests = 0
      const app = fastify(/** @type {any} */ ({ http2, https: serverOptions(serverSource, authorize.any()) }))
      secureServer(/** @type {any} */ (app.server), serverSource, authorize.any())
      app.addHook('onRequest', async () => {
        requests++
      })
      app.get('/', () => 'hello')
      await app.listen({ port: 0, host: '127.0.0.1' })
      t.after(() => app.close())
      const { port } = /** @type {any} */ (app.server.address())
      await raw(port, { ...forged, minVersion: version, maxVersion: version })
      if (http2) {
        const session = (await import('node:http2')).connect(`https://localhost:${port}`, {
          rejectUnauthorized: false,
          ...forged,
          minVersion: version,
          maxVersion: version
        })
        session.on('error', () => {})
        const closed = new Promise((resolve) => session.once('close', resolve))
        const request = session.request()
        request.on('error', () => {}).end('early')
        await closed
      }
      assert.equal(requests, 0)
    })
  }
}

/** @param {number} port @param {string} path @param {Record<string, string>} [headers] */
async function over1(port, path, headers) {
  const spiffeFetch = createFetch(clientSource, toServer)
  const response = await spiffeFetch(`https://localhost:${port}${path}`, { headers })
  const answer = [response.status, await response.text(), response.headers.get('www-authenticate') ?? undefined]
  await spiffeFetch.close()
  return answer
}

/** @param {number} port @param {string} path @param {Record<string, string>} [headers] */
async function over2(port, path, headers) {
  const session = http2Connect(`https://localhost:${port}`, clientSource, toServer)
  const stream = session.request({ ':path': path, ...headers })
  const [answer] = await once(stream, 'response')
  let text = ''
  for await (const chunk of stream) text += chunk
  session.close()
  return [answer[':status'], text, answer['www-authenticate']]
}

test('ws, on both sides', async (t) => {
  const one = https.createServer(serverOptions(serverSource, authorize.any()))
  secureServer(one, serverSource, authorize.any())
  const sockets = new WebSocketServer({ server: one })
  let connections = 0
  sockets.on('connection', (socket, request) => {
    connections++
    socket.send(`hello ${peerOf(request)}`)
  })
  const port = await listening(one)
  t.after(() => {
    sockets.close()
    one.close()
    one.closeAllConnections()
  })
  const source = sourceOf(client)
  const options = clientOptions(source, toServer)
  const hello = async () => {
    const socket = new WebSocket(`wss://localhost:${port}`, /** @type {any} */ (options))
    const [data] = await once(socket, 'message')
    socket.close()
    return String(data)
  }
  assert.equal(await hello(), 'hello spiffe://a.test/client')
  source.rotate(svidOf(leaf(rootA, 'spiffe://a.test/next')))
  assert.equal(await hello(), 'hello spiffe://a.test/next')
  const other = new WebSocket(
    `wss://localhost:${port}`,
    /** @type {any} */ (clientOptions(source, authorize.id('spiffe://a.test/other')))
  )
  const [error] = await once(other, 'error')
  assert.equal(error.rule, 'not_authorized')
  for (const version of VERSIONS) {
    const refused = new WebSocket(`wss://localhost:${port}`, {
      rejectUnauthorized: false,
      ...forged,
      minVersion: version,
      maxVersion: version
    })
    await once(refused, 'error')
  }
  assert.equal(connections, 2)
})
