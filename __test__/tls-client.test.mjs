// Clients: whom they talk to, what they show, how they rotate, whatever library makes the connection.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import https from 'node:https'
import { test } from 'node:test'
import tls from 'node:tls'
import {
  ask,
  askWith,
  authorize,
  both,
  bundleA,
  BundleSet,
  client,
  clientMinted,
  face,
  intermediateA,
  leaf,
  listening,
  raw,
  refusal,
  rootA,
  rootB,
  serve,
  server,
  serverMinted,
  shown,
  sourceOf,
  svidOf,
  VERSIONS
} from './support/tls-scene.mjs'
import { countersignError } from './support/countersign-error.mjs'

const { clientOptions, createAgent, createFetch, http2Connect, peerOf, undiciConnect } = face
const serverSource = sourceOf(server)
const clientSource = sourceOf(client)
const toServer = authorize.id('spiffe://a.test/server')

/**
 * A plain TLS server with the given certificate that says hello.
 * @param {import('node:test').TestContext} t
 * @param {tls.TlsOptions} options
 */
async function plain(t, options) {
  const seen = { hello: 0 }
  const one = https.createServer(options, (_request, response) => {
    seen.hello++
    response.end('hello')
  })
  one.on('tlsClientError', () => {})
  const port = await listening(one)
  t.after(() => {
    one.close()
    one.closeAllConnections()
  })
  return { port, seen, server: one }
}

for (const version of VERSIONS) {
  test(`${version}: a server that is not welcome is refused with the rule, and gets no request`, async (t) => {
    const { port, seen } = await plain(t, { ...shown(serverMinted), maxVersion: version })
    /** @type {any[]} */
    const rejections = []
    const onReject = (/** @type {any} */ one) => rejections.push(one)
    assert.equal(
      await refusal(ask(port, clientSource, authorize.id('spiffe://a.test/other'), { onReject })),
      'not_authorized'
    )
    assert.deepEqual(
      [rejections[0].side, rejections[0].rule, rejections[0].claimedIds],
      ['client', 'not_authorized', ['spiffe://a.test/server']]
    )
    assert.equal(seen.hello, 0)
  })
}

test('an agent tells the rule also where node:tls refuses', async (t) => {
  const { port, seen } = await plain(t, shown(leaf(rootB, 'spiffe://a.test/server')))
  /** @type {any[]} */
  const rejections = []
  const agent = createAgent(sourceOf(client, new BundleSet([bundleA])), toServer, {
    onReject: (/** @type {any} */ one) => rejections.push(one)
  })
  t.after(() => agent.destroy())
  const error = await askWith({ port, agent }).catch((error) => error)
  assert.match(error.code, /UNABLE_TO|SELF_SIGNED/)
  assert.equal(error.cause.rule, 'unknown_issuer')
  assert.deepEqual(
    rejections.map((one) => [one.rule, one.claimedIds, one.remoteAddress]),
    [['unknown_issuer', ['spiffe://a.test/server'], '127.0.0.1']]
  )
  assert.equal(seen.hello, 0)
})

test('tls.connect with the options knows its peer', async (t) => {
  const { port } = await serve(t, serverSource, authorize.any())
  const socket = tls.connect({ port, host: '127.0.0.1', ...clientOptions(clientSource, toServer) })
  assert.equal(peerOf(socket), undefined)
  await once(socket, 'secureConnect')
  assert.equal(`${peerOf(socket)}`, 'spiffe://a.test/server')
  socket.destroy()
})

test('the options are made once, and rotate', async (t) => {
  const source = sourceOf(client)
  const { port } = await serve(t, serverSource, authorize.any())
  const options = clientOptions(source, toServer)
  const agents = [new https.Agent(options), new https.Agent({ ...options, keepAlive: true, maxSockets: 1 })]
  t.after(() => {
    for (const agent of agents) agent.destroy()
  })
  assert.equal(await askWith({ port, agent: agents[0] }), 'spiffe://a.test/client')
  assert.equal(await askWith({ port, agent: agents[1] }), 'spiffe://a.test/client')
  for (const silently of [false, true]) {
    const name = `spiffe://a.test/client-${silently}`
    source.rotate(svidOf(leaf(rootA, name)), both, { silently })
    assert.equal(await askWith({ port, agent: agents[0] }), name, 'a new connection')
    assert.equal(await askWith({ port, agent: agents[1] }), 'spiffe://a.test/client', 'a kept one')
  }
  source.rotate(client, new BundleSet())
  const error = await askWith({ port, agent: agents[0] }).catch((error) => error)
  assert.match(error.code, /UNABLE_TO|SELF_SIGNED/, 'bundles too')
})

test('a source without an identity reaches nobody, says why, and throws nothing into the library', async (t) => {
  const { port, seen } = await serve(t, serverSource, authorize.any(), { clients: 'optional' })
  const source = sourceOf(client)
  const options = clientOptions(source, toServer)
  const agent = createAgent(source, toServer)
  t.after(() => agent.destroy())
  source.withdraw()
  // Nothing was usable before: no roots to begin with.
  assert.match(await refusal(askWith({ port, agent: false, ...options })), /UNABLE_TO|SELF_SIGNED/)
  const early = await askWith({ port, agent }).catch((error) => error)
  assert.equal(early.cause.code, 'ERR_IDENTITY_WITHDRAWN')
  source.rotate(client)
  assert.equal(await askWith({ port, agent: false, ...options }), 'spiffe://a.test/client')
  source.withdraw()
  assert.equal(await refusal(askWith({ port, agent: false, ...options })), 'ERR_IDENTITY_WITHDRAWN')
  source.withdraw(countersignError('ERR_SVID_EXPIRED', 'expired'))
  assert.equal(await refusal(askWith({ port, agent: false, ...options })), 'ERR_SVID_EXPIRED')
  assert.equal(seen.requests, 1)
})

test('certificate: none - the client shows nothing', async (t) => {
  const { port } = await serve(t, serverSource, authorize.any(), { clients: 'optional' })
  assert.equal(await ask(port, clientSource, toServer, { certificate: 'none' }), 'undefined')
})

test('request options do not weaken an agent', async (t) => {
  const { port, seen } = await plain(t, shown(leaf(rootA, 'spiffe://a.test/evil')))
  const agent = createAgent(clientSource, toServer)
  t.after(() => agent.destroy())
  const weak = {
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    ca: rootA.pem,
    secureContext: tls.createSecureContext({ ca: rootA.pem })
  }
  assert.equal(await refusal(askWith({ port, agent, ...weak })), 'not_authorized')
  assert.equal(seen.hello, 0)
})

test('fetch: one line, answers, errors with their reason, and no plain http', async (t) => {
  const { port, seen } = await serve(t, serverSource, authorize.any())
  const spiffeFetch = createFetch(clientSource, toServer)
  t.after(() => spiffeFetch.close())
  assert.equal(await (await spiffeFetch(`https://localhost:${port}/`)).text(), 'spiffe://a.test/client')
  assert.equal(
    await (await spiffeFetch(new Request(`https://127.0.0.1:${port}/`, { method: 'POST', body: 'x' }))).text(),
    'spiffe://a.test/client'
  )
  const other = createFetch(clientSource, authorize.id('spiffe://a.test/other'))
  await assert.rejects(
    other(`https://localhost:${port}/`),
    (/** @type {any} */ error) =>
      error instanceof TypeError && /** @type {any} */ (error.cause).rule === 'not_authorized'
  )
  await assert.rejects(
    spiffeFetch(`http://localhost:${port}/`),
    (/** @type {any} */ error) =>
      error.cause.code === 'ERR_INVALID_ARGUMENT' && /expected https:/.test(error.cause.message)
  )
  // @ts-expect-error: the argument has a wrong type
  await assert.rejects(spiffeFetch(`https://localhost:${port}/`, { dispatcher: {} }), { code: 'ERR_INVALID_ARGUMENT' })
  assert.equal(seen.requests, 2)
  await other.close()
  await assert.rejects(other(`https://localhost:${port}/`), { code: 'ERR_CLOSED' })
})

test('fetch rotates, and finishes what it began', async (t) => {
  const source = sourceOf(client)
  const one = https.createServer(face.serverOptions(serverSource, authorize.any()), (request, response) => {
    response.write('a')
    setTimeout(() => response.end(`b ${peerOf(request)}`), 100)
  })
  face.secureServer(one, serverSource, authorize.any())
  const port = await listening(one)
  t.after(() => {
    one.close()
    one.closeAllConnections()
  })
  const spiffeFetch = createFetch(source, toServer, { maxConnectionAge: 20 })
  const first = await spiffeFetch(`https://localhost:${port}/`)
  source.rotate(svidOf(leaf(rootA, 'spiffe://a.test/next')))
  await new Promise((resolve) => setTimeout(resolve, 30))
  assert.equal(await (await spiffeFetch(`https://localhost:${port}/`)).text(), 'ab spiffe://a.test/next')
  assert.equal(await first.text(), 'ab spiffe://a.test/client')
  await spiffeFetch.close()
})

test('fetch gives up on a server that does not answer', async (_t) => {
  const net = await import('node:net')
  const silent = net.createServer()
  const port = await listening(silent)
  const spiffeFetch = createFetch(clientSource, toServer, { connectTimeout: 50 })
  await assert.rejects(
    spiffeFetch(`https://localhost:${port}/`),
    (/** @type {any} */ error) => error.cause.code === 'ERR_TIMEOUT' && error.cause.timeout === 50
  )
  await spiffeFetch.close()
  silent.close()
})

test('http2: a session, its peer, and a refusal', async (t) => {
  const one = http2.createSecureServer(face.serverOptions(serverSource, authorize.any()))
  face.secureServer(one, serverSource, authorize.any())
  one.on('stream', (/** @type {import('node:http2').ServerHttp2Stream} */ stream) => {
    stream.respond()
    stream.end(`${peerOf(stream)}`)
  })
  const port = await listening(one)
  t.after(() => one.close())
  const session = http2Connect(`https://localhost:${port}`, clientSource, toServer)
  const stream = session.request()
  let text = ''
  for await (const chunk of stream) text += chunk
  assert.equal(text, 'spiffe://a.test/client')
  assert.equal(`${peerOf(session)}`, 'spiffe://a.test/server')
  session.close()
  const refused = http2Connect(
    new URL(`https://127.0.0.1:${port}`),
    clientSource,
    authorize.id('spiffe://a.test/other')
  )
  const [error] = await once(refused, 'error')
  assert.equal(error.rule, 'not_authorized')
  assert.equal(peerOf(refused), undefined)
  assert.throws(() => http2Connect(`http://localhost:${port}`, clientSource, toServer), {
    code: 'ERR_INVALID_ARGUMENT'
  })
  assert.throws(() => http2Connect('nowhere', clientSource, toServer), { code: 'ERR_INVALID_ARGUMENT' })
})

test('intermediates are sent, roots are not', async (t) => {
  const below = svidOf(leaf(intermediateA, 'spiffe://a.test/below'), intermediateA)
  const { port } = await plain(t, { ...shown(serverMinted), requestCert: true, rejectUnauthorized: false })
  const { server: one, port: listeningPort } = await plain(t, {
    ...shown(serverMinted),
    requestCert: true,
    ca: rootA.pem,
    rejectUnauthorized: true
  })
  let chain = ''
  one.on('secureConnection', (socket) => {
    for (let at = socket.getPeerCertificate(true); at; at = at.issuerCertificate) {
      chain += `${at.subject.O} `
      if (at.issuerCertificate === at) break
    }
  })
  assert.equal(await ask(listeningPort, sourceOf(below), toServer), 'hello')
  assert.match(chain, /^leaf (intermediate a\.test )?/)
  assert.equal(await ask(port, sourceOf(below), toServer), 'hello')
})

test('what cannot be meant is an error at once', () => {
  const wrong = (/** @type {() => unknown} */ call, /** @type {RegExp} */ message) =>
    assert.throws(
      call,
      (/** @type {any} */ error) => error.code === 'ERR_INVALID_ARGUMENT' && message.test(error.message)
    )
  /** @type {((...wrong: any[]) => unknown)[]} */
  const makers = [
    clientOptions,
    createAgent,
    undiciConnect,
    createFetch,
    (source, welcome, options) => http2Connect('https://localhost', source, welcome, options)
  ]
  for (const make of makers) {
    wrong(() => make(undefined, authorize.any()), /^source: /)
    wrong(() => make(clientSource), /^authorize: /)
    wrong(() => make(clientSource, authorize.any(), { sesion: 1 }), /unknown option "sesion"/)
    wrong(() => make(clientSource, authorize.any(), { servers: 'web' }), /authorize: expected null/)
    wrong(() => make(clientSource, authorize.any(), { ca: rootA.pem }), /options\.ca/)
    wrong(() => make(clientSource, authorize.any(), { certificate: 'mine' }), /options\.certificate/)
    wrong(() => make(clientSource, authorize.any(), { minVersion: 'SSLv3' }), /options\.minVersion/)
  }
  // @ts-expect-error: the argument has a wrong type
  wrong(() => createFetch(clientSource, authorize.any(), { undici: {} }), /options\.undici/)
  // @ts-expect-error: the argument has a wrong type
  wrong(() => createFetch(clientSource, authorize.any(), { maxConnectionAge: 'svid' }), /maxConnectionAge/)
  wrong(
    // @ts-expect-error: the argument has a wrong type
    () => clientOptions(clientSource, authorize.any(), { maxConnectionAge: 5 }),
    /unknown option "maxConnectionAge"/
  )
})

test('no secret in what is handed out', async () => {
  const { inspect } = await import('node:util')
  const options = [
    face.serverOptions(serverSource, authorize.any()),
    clientOptions(clientSource, toServer),
    createAgent(clientSource, toServer),
    createFetch(clientSource, toServer)
  ]
  const key = clientMinted.keyPem.split('\n')[1]
  for (const one of options) {
    const text = inspect(one, { depth: 10, showHidden: true }) + JSON.stringify(one)
    assert.ok(!text.includes(key) && !text.includes('PRIVATE KEY'))
  }
})

test('a raw peer that is not ours has no name', async (t) => {
  const { port } = await plain(t, shown(serverMinted))
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  assert.equal(peerOf(socket), undefined)
  socket.destroy()
  assert.equal(await raw(port), 'hello')
})
