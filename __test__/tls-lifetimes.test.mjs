// How long connections stay, and what ends them.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import https from 'node:https'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import tls from 'node:tls'
import {
  authorize,
  both,
  BundleSet,
  bundleA,
  bundleB,
  client,
  clientMinted,
  countersign,
  face,
  leaf,
  leafBetween,
  listening,
  rootA,
  rootB,
  serve,
  server,
  shown,
  sourceOf,
  timeIn
} from './support/tls-scene.mjs'
import { countersignError } from './support/countersign-error.mjs'

const { createAgent, http2Connect, secureServer, serverOptions, undiciConnect } = face
const toServer = authorize.id('spiffe://a.test/server')

/** One request over an agent, and which connection it went over. @param {number} port @param {https.Agent} agent */
function get(port, agent) {
  return new Promise((resolve, reject) => {
    https
      .get({ port, host: '127.0.0.1', agent }, (response) => {
        const { localPort } = response.socket
        response.resume().on('end', () => resolve({ localPort, connection: response.headers.connection }))
      })
      .on('error', reject)
  })
}

/** An open connection by plain node:tls. @param {number} port @param {any} [minted] */
async function open(port, minted = clientMinted) {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...shown(minted) })
  socket.on('error', () => {}).resume()
  await once(socket, 'secureConnect')
  return socket
}

/** @param {import('node:test').TestContext} t @param {any} source @param {Record<string, any>} options */
async function echo(t, source, options) {
  const one = tls.createServer(serverOptions(source, authorize.any(), options), (socket) =>
    socket.on('error', () => {}).pipe(socket)
  )
  const secured = secureServer(one, source, authorize.any(), options)
  const port = await listening(one)
  t.after(() => one.close())
  return { port, secured }
}

test('by default, nothing ends a connection', async (t) => {
  const source = sourceOf(server)
  const { port, secured } = await echo(t, source, {})
  const socket = await open(port)
  await sleep(20)
  source.rotate(undefined, new BundleSet())
  source.withdraw()
  await sleep(50)
  assert.equal(socket.closed, false)
  assert.equal(secured.connections, 0)
  socket.destroy()
})

test('maxConnectionAge: HTTP/1 answers one more request, and says that it was the last', async (t) => {
  const { port } = await serve(t, sourceOf(server), authorize.any(), { maxConnectionAge: 100 })
  const agent = createAgent(sourceOf(client), toServer, { agent: { maxSockets: 1 } })
  t.after(() => agent.destroy())
  const first = await get(port, agent)
  const second = await get(port, agent)
  assert.deepEqual(
    [first.connection, second.connection, second.localPort],
    ['keep-alive', 'keep-alive', first.localPort]
  )
  await sleep(150)
  const third = await get(port, agent)
  assert.deepEqual([third.connection, third.localPort], ['close', first.localPort])
  const fourth = await get(port, agent)
  assert.notEqual(fourth.localPort, first.localPort)
})

test('maxConnectionAge: HTTP/2 finishes what is open, and takes no more', async (t) => {
  const source = sourceOf(server)
  const one = http2.createSecureServer(serverOptions(source, authorize.any()))
  secureServer(one, source, authorize.any(), { maxConnectionAge: 100 })
  one.on('stream', (/** @type {import('node:http2').ServerHttp2Stream} */ stream) => {
    stream.respond()
    stream.write('a')
    setTimeout(() => stream.end('b'), 200)
  })
  const port = await listening(one)
  t.after(() => one.close())
  const session = http2Connect(`https://localhost:${port}`, sourceOf(client), toServer)
  const ended = once(session, 'close')
  let text = ''
  for await (const chunk of session.request()) text += chunk
  assert.equal(text, 'ab')
  await ended
})

test('maxConnectionAge: anything else is half-closed', async (t) => {
  const { port, secured } = await echo(t, sourceOf(server), { maxConnectionAge: 100 })
  const socket = await open(port)
  await sleep(20)
  assert.equal(secured.connections, 1)
  const started = Date.now()
  await once(socket, 'end')
  assert.ok(Date.now() - started >= 40)
  await sleep(20)
  assert.equal(secured.connections, 0)
})

test("maxConnectionAge: 'svid' ends it when the SVID of the peer expires", async (t) => {
  const short = leafBetween(rootA, 'spiffe://a.test/short', '20200101000000Z', timeIn(2000))
  const { port } = await echo(t, sourceOf(server), { maxConnectionAge: 'svid' })
  const [long, soon] = [await open(port), await open(port, short)]
  await once(soon, 'end')
  assert.equal(long.readableEnded, false)
  long.destroy()
})

test('closeOnWithdraw: a withdrawn identity ends all connections at once', async (t) => {
  const source = sourceOf(server)
  const { port, secured } = await echo(t, source, { closeOnWithdraw: true })
  const sockets = [await open(port), await open(port)]
  await sleep(20)
  assert.equal(secured.connections, 2)
  source.rotate(undefined)
  source.withdraw(countersignError('ERR_SVID_EXPIRED', 'not withdrawn'), { silently: true })
  await sleep(20)
  assert.equal(secured.connections, 2)
  source.withdraw()
  await Promise.all(sockets.map((socket) => socket.closed || once(socket, 'close')))
})

test('closeOnBundleRemoval: who is vouched for by nobody any more has to go', async (t) => {
  const source = sourceOf(server)
  /** @type {any[]} */
  const rejections = []
  const { port, secured } = await echo(t, source, {
    closeOnBundleRemoval: true,
    onReject: (/** @type {any} */ one) => rejections.push(one)
  })
  const fromA = await open(port)
  const fromB = await open(port, leaf(rootB, 'spiffe://b.test/client'))
  await sleep(20)
  source.rotate(undefined, both)
  source.rotate(undefined, both.clone())
  await sleep(20)
  assert.equal(secured.connections, 2)
  source.rotate(undefined, new BundleSet([bundleA]))
  await once(fromB, 'close')
  assert.equal(fromA.closed, false)
  // The trust domain is still there, the authority is not.
  const other = countersign.X509Bundle.fromPem('a.test', rootB.pem)
  source.rotate(undefined, new BundleSet([other, bundleB]))
  await once(fromA, 'close')
  assert.deepEqual(
    rejections.map((one) => [one.rule, one.claimedIds[0]]),
    [
      ['no_bundle', 'spiffe://b.test/client'],
      ['unknown_issuer', 'spiffe://a.test/client']
    ]
  )
})

test('an agent keeps its connections no longer than told', async (t) => {
  const source = sourceOf(client)
  const { port } = await serve(t, sourceOf(server), authorize.any())
  const agent = createAgent(source, toServer, { maxConnectionAge: 100, agent: { maxSockets: 1 } })
  t.after(() => agent.destroy())
  const first = await get(port, agent)
  assert.equal((await get(port, agent)).localPort, first.localPort)
  await sleep(120)
  assert.equal(Object.keys(agent.freeSockets).length, 0)
  assert.notEqual((await get(port, agent)).localPort, first.localPort)
})

test('an agent that is busy finishes first', async (t) => {
  const source = sourceOf(server)
  const slow = https.createServer(serverOptions(source, authorize.any()), (_request, response) => {
    response.write('a')
    setTimeout(() => response.end('b'), 150)
  })
  secureServer(slow, source, authorize.any())
  const port = await listening(slow)
  t.after(() => {
    slow.close()
    slow.closeAllConnections()
  })
  const agent = createAgent(sourceOf(client), toServer, { maxConnectionAge: 50, agent: { maxSockets: 1 } })
  t.after(() => agent.destroy())
  const first = await get(port, agent)
  const second = await get(port, agent)
  assert.notEqual(second.localPort, first.localPort)
})

test('clients end their connections when the identity is withdrawn, or the bundle of the server is', async (t) => {
  const { port } = await serve(t, sourceOf(server), authorize.any())
  for (const [option, end] of /** @type {const} */ ([
    ['closeOnWithdraw', 'withdraw'],
    ['closeOnBundleRemoval', 'rotate']
  ])) {
    const source = sourceOf(client)
    const agent = createAgent(source, toServer, { [option]: true })
    await get(port, agent)
    const [[free]] = /** @type {any} */ (Object.values(agent.freeSockets))
    assert.equal(source.listeners, 1)
    if (end === 'withdraw') source.withdraw()
    else source.rotate(undefined, new BundleSet([bundleB]))
    await once(free, 'close')
    agent.destroy()
    assert.equal(source.listeners, 0)
  }
  const source = sourceOf(client)
  const connect = undiciConnect(source, toServer, { closeOnWithdraw: true })
  assert.equal(source.listeners, 1)
  connect.close()
  assert.equal(source.listeners, 0)
})

test('an http2 session is closed gently when it is old', async (t) => {
  const source = sourceOf(server)
  const one = http2.createSecureServer(serverOptions(source, authorize.any()))
  secureServer(one, source, authorize.any())
  one.on('stream', (/** @type {import('node:http2').ServerHttp2Stream} */ stream) =>
    setTimeout(() => {
      stream.respond()
      stream.end('late')
    }, 150)
  )
  const port = await listening(one)
  t.after(() => one.close())
  const session = http2Connect(`https://localhost:${port}`, sourceOf(client), toServer, { maxConnectionAge: 50 })
  let text = ''
  for await (const chunk of session.request()) text += chunk
  assert.equal(text, 'late')
  if (!session.destroyed) await once(session, 'close')
  assert.equal(session.closed, true)
})

test('nothing here keeps the process alive', async () => {
  const { entryPoint, runScript } = await import('./support/child.mjs')
  const script = `
    const { createAgent, createFetch, secureServer, serverOptions,
      authorize } = require(${JSON.stringify(entryPoint('countersign/tls'))})
    const { X509Svid, X509Bundle, BundleSet } = countersign
    const context = { svid: X509Svid.fromPem(${JSON.stringify(clientMinted.pem + clientMinted.keyPem)}),
      bundles: new BundleSet([X509Bundle.fromPem('a.test', ${JSON.stringify(rootA.pem)})]) }
    const source = { context: () => context, subscribe: () => () => {} }
    const options = { maxConnectionAge: 60000, closeOnWithdraw: true, closeOnBundleRemoval: true }
    const server = require('node:https').createServer(serverOptions(source, authorize.any(), options),
      (request, response) => response.end('hello'))
    secureServer(server, source, authorize.any(), options)
    server.listen(0, '127.0.0.1', () => {
      const agent = createAgent(source, authorize.any(), options)
      require('node:https').get({ port: server.address().port, host: '127.0.0.1', agent },
        (response) => response.resume().on('end', async () => {
        const answer = await createFetch(source, authorize.any(), options)('https://127.0.0.1:' + server.address().port)
        console.log(await answer.text())
        server.unref()
        for (const socket of Object.values(agent.freeSockets).flat()) socket.destroy()
        server.closeAllConnections()
      }))
    })`
  const { code, stdout, stderr, took } = await runScript(script, { timeout: 20_000 })
  assert.equal(stdout, 'hello\n', stderr)
  assert.equal(code, 0)
  assert.ok(took < 10_000)
})
