// Servers: who gets in, what they show, how they rotate.
import assert from 'node:assert/strict'
import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import https from 'node:https'
import http2 from 'node:http2'
import { test } from 'node:test'
import tls from 'node:tls'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  ask,
  authorize,
  both,
  BundleSet,
  CA,
  client,
  clientMinted,
  countersign,
  face,
  intermediateA,
  leaf,
  listening,
  mint,
  mintBetween,
  raw,
  rootA,
  serve,
  server,
  shown,
  sourceOf,
  svidOf,
  timeIn,
  VERSIONS
} from './support/tls-scene.mjs'
import { countersignError } from './support/countersign-error.mjs'

const { serverOptions, secureServer, peerOf } = face
const serverSource = sourceOf(server)
const clientSource = sourceOf(client)
const toServer = authorize.id('spiffe://a.test/server')

for (const version of VERSIONS) {
  test(`${version}: a client and a server prove who they are`, async (t) => {
    const { port, rejections } = await serve(t, serverSource, authorize.memberOf('a.test'), { maxVersion: version })
    assert.equal(await ask(port, clientSource, toServer), 'spiffe://a.test/client')
    assert.deepEqual(rejections, [])
  })

  test(`${version}: with intermediates`, async (t) => {
    const below = svidOf(leaf(intermediateA, 'spiffe://a.test/below'), intermediateA)
    const { port } = await serve(t, sourceOf(below), authorize.any(), { maxVersion: version })
    for (let round = 0; round < 3; round++)
      assert.equal(await ask(port, sourceOf(below), authorize.id('spiffe://a.test/below')), 'spiffe://a.test/below')
  })
}

test('an intermediate that was renewed is taken in place of the one that expired, with the same leaf', async (t) => {
  const extensions = [...CA, 'subjectAltName=URI:spiffe://a.test']
  const renewed = mint({ issuer: rootA, subject: '/O=renewed', extensions })
  const before = mintBetween({
    issuer: rootA,
    from: '20200101000000Z',
    to: timeIn(2000),
    subject: '/O=renewed',
    key: renewed.key,
    extensions
  })
  const below = leaf(renewed, 'spiffe://a.test/below')
  const { port, rules } = await serve(t, serverSource, authorize.any())
  assert.equal(await raw(port, shown(below, before)), 'spiffe://a.test/below')
  for (; ; await sleep(100)) {
    // For the last second node:tls is the stricter one.
    await raw(port, shown(below, before))
    if (rules().at(-1) === 'expired') break
  }
  const { length } = rules()
  assert.equal(await raw(port, shown(below, renewed)), 'spiffe://a.test/below')
  assert.equal(rules().length, length)
})

test('the options alone are a locked door', async (t) => {
  const options = serverOptions(serverSource, authorize.any())
  assert.deepEqual(Object.keys(options).sort(), [
    'ca',
    'minVersion',
    'rejectUnauthorized',
    'requestCert',
    'secureOptions'
  ])
  const server = https.createServer(options, () => assert.fail('a request reached the handler'))
  const port = await listening(server)
  t.after(() => server.close())
  assert.match(await raw(port, shown(clientMinted)), /HANDSHAKE_FAILURE/)
})

test('a peer is told by everything that stands on its connection', async (t) => {
  const server = http2.createSecureServer({ ...serverOptions(serverSource, authorize.any()), allowHTTP1: true })
  secureServer(server, serverSource, authorize.any())
  /** @type {any[]} */
  const seen = []
  server.on('request', (request, response) => {
    seen.push(peerOf(request), peerOf(response))
    if (request.httpVersionMajor === 2)
      seen.push(peerOf(request.stream), peerOf(/** @type {object} */ (request.stream.session)), peerOf(request.socket))
    else seen.push(peerOf(request.socket))
    seen.push(peerOf({ raw: request }))
    response.end()
  })
  /** @type {any} */
  let session
  server.on('session', (one) => {
    session = one
  })
  const port = await listening(server)
  t.after(() => server.close())
  const h2 = face.http2Connect(`https://localhost:${port}`, clientSource, toServer)
  const stream = h2.request()
  stream.resume()
  await once(stream, 'end')
  assert.equal(peerOf(h2)?.spiffeId.uri, 'spiffe://a.test/server')
  assert.equal(peerOf(stream)?.spiffeId.uri, 'spiffe://a.test/server')
  h2.close()
  await once(h2, 'close')
  await sleep(10)
  await ask(port, clientSource, toServer)
  assert.equal(seen.length, 10)
  for (const peer of seen) {
    assert.equal(`${peer}`, 'spiffe://a.test/client')
    assert.equal(peer.kind, 'x509')
    assert.ok(Object.isFrozen(peer))
    assert.equal(peer.certificates.length, 1)
    assert.equal(peer.certificates[0].subjectAltName, 'URI:spiffe://a.test/client')
    assert.equal(peer.expiresAt.getTime(), client.expiresAt.getTime())
  }
  assert.equal(peerOf(session)?.spiffeId.uri, 'spiffe://a.test/client', 'also after it is closed')
  assert.equal(
    JSON.stringify(seen[0]),
    JSON.stringify({ kind: 'x509', spiffeId: 'spiffe://a.test/client', expiresAt: client.expiresAt })
  )
  assert.equal(peerOf({}), undefined)
  for (const wrong of /** @type {any[]} */ ([undefined, null, 'socket', 7]))
    assert.throws(() => peerOf(wrong), { code: 'ERR_INVALID_ARGUMENT' })
})

test('a name that is not welcome is refused, and told on the channel and to onReject', async (t) => {
  const { port, rejections, seen } = await serve(t, serverSource, authorize.id('spiffe://a.test/other'))
  /** @type {any[]} */
  const published = []
  const listener = (/** @type {any} */ one) => published.push(one)
  diagnostics.subscribe('countersign:tls.reject', listener)
  t.after(() => diagnostics.unsubscribe('countersign:tls.reject', listener))
  assert.notEqual(await raw(port, shown(clientMinted)), 'spiffe://a.test/client')
  assert.equal(rejections.length, 1)
  const { side, code, rule, error, claimedIds, remoteAddress, remotePort } = rejections[0]
  assert.deepEqual(
    { side, code, rule, claimedIds, remoteAddress },
    {
      side: 'server',
      code: 'ERR_UNTRUSTED_SVID',
      rule: 'not_authorized',
      claimedIds: ['spiffe://a.test/client'],
      remoteAddress: '127.0.0.1'
    }
  )
  assert.equal(typeof remotePort, 'number')
  assert.match(error.message, /spiffe:\/\/a\.test\/client is not authorized: expected spiffe:\/\/a\.test\/other/)
  assert.equal(published[0], rejections[0])
  assert.equal(seen.requests, 0)
})

test('onReject that throws is a warning', async (t) => {
  const { port } = await serve(t, serverSource, authorize.oneOf([]), {
    onReject: () => {
      throw new Error('my bug')
    }
  })
  const warned = once(process, 'warning')
  await raw(port, shown(clientMinted))
  assert.match((await warned)[0].message, /onReject threw: my bug/)
})

test('a rotation reaches new connections, and drops none', async (t) => {
  const source = sourceOf(server)
  const { port } = await serve(t, source, authorize.any())
  const agent = face.createAgent(clientSource, authorize.memberOf('a.test'), { agent: { maxSockets: 1 } })
  t.after(() => agent.destroy())
  const serial = () =>
    new Promise((resolve, reject) => {
      https
        .get({ port, host: '127.0.0.1', agent }, (response) => {
          const certificate = /** @type {tls.TLSSocket} */ (response.socket).getPeerCertificate()
          response.resume().on('end', () => resolve(certificate.serialNumber))
        })
        .on('error', reject)
    })
  const first = await serial()
  for (const silently of [false, true]) {
    const next = leaf(rootA, 'spiffe://a.test/server')
    source.rotate(svidOf(next), undefined, { silently })
    assert.equal(await serial(), first, 'the open connection goes on')
    assert.equal(
      await raw(port, { ...shown(clientMinted), checkServerIdentity: () => undefined }),
      'spiffe://a.test/client'
    )
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...shown(clientMinted) })
    await once(socket, 'secureConnect')
    assert.equal(
      socket.getPeerCertificate().raw.equals(next.der),
      true,
      `new connections see the new one, silently: ${silently}`
    )
    socket.destroy()
  }
})

test('bundles rotate as well, in both directions', async (t) => {
  const source = sourceOf(server)
  const { port, rules } = await serve(t, source, authorize.any())
  assert.equal(await ask(port, clientSource, toServer), 'spiffe://a.test/client')
  source.rotate(undefined, new BundleSet())
  await raw(port, shown(clientMinted))
  assert.deepEqual(rules(), ['no_bundle'])
  source.rotate(undefined, both)
  assert.equal(await ask(port, clientSource, toServer), 'spiffe://a.test/client')
})

test('a source without an identity closes the door, and opens it again', async (t) => {
  for (const silently of [false, true]) {
    const source = sourceOf(server)
    source.withdraw(countersignError('ERR_SOURCE_NOT_READY', 'not yet'))
    const { port, rejections, rules } = await serve(t, source, authorize.any())
    assert.match(await raw(port, shown(clientMinted)), /HANDSHAKE_FAILURE/)
    assert.deepEqual(rules(), ['ERR_SOURCE_NOT_READY'])
    source.rotate(server, both, { silently })
    assert.equal(await ask(port, clientSource, toServer), 'spiffe://a.test/client')
    source.withdraw(undefined, { silently })
    assert.match(await raw(port, shown(clientMinted)), /HANDSHAKE_FAILURE/)
    assert.equal(rejections.at(-1).code, 'ERR_IDENTITY_WITHDRAWN')
  }
})

test('a connection made before the withdrawal whose handshake comes after it is refused', async (t) => {
  const source = sourceOf(server)
  const { port, rules, server: https } = await serve(t, source, authorize.any())
  https.once('connection', () => source.withdraw(undefined, { silently: true }))
  assert.equal(await raw(port, shown(clientMinted)), 'closed')
  assert.deepEqual(rules(), ['ERR_IDENTITY_WITHDRAWN'])
})

test('a connection made before the server is locked whose handshake comes after it is refused', async (t) => {
  const { port, rejections, secured, server: https } = await serve(t, sourceOf(server), authorize.any())
  https.once('connection', () => secured.close())
  assert.equal(await raw(port, shown(clientMinted)), 'closed')
  assert.deepEqual(
    rejections.map((one) => one.code),
    ['ERR_CLOSED']
  )
})

test('a rotation is not only looked for, where nobody tells of new connections', async (t) => {
  const source = sourceOf(server)
  const { port, server: one } = await serve(t, source, authorize.any())
  one.removeListener('connection', /** @type {any} */ (one.listeners('connection')[0]))
  const next = leaf(rootA, 'spiffe://a.test/server')
  source.rotate(svidOf(next))
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...shown(clientMinted) })
  await once(socket, 'secureConnect')
  assert.equal(socket.getPeerCertificate().raw.equals(next.der), true)
  socket.destroy()
})

test('closing what secures a server locks it, and open connections go on', async (t) => {
  const { port, secured, server } = await serve(t, sourceOf(server_()), authorize.any())
  const agent = face.createAgent(clientSource, toServer, { agent: { maxSockets: 1 } })
  t.after(() => agent.destroy())
  const get = () =>
    new Promise((resolve, reject) =>
      https
        .get({ port, host: '127.0.0.1', agent }, (response) =>
          response.resume().on('end', () => resolve(response.statusCode))
        )
        .on('error', reject)
    )
  assert.equal(await get(), 200)
  secured.close()
  secured.close()
  assert.equal(await get(), 200)
  assert.match(await raw(port, shown(clientMinted)), /HANDSHAKE_FAILURE/)
  assert.ok(server.listening)
})
const server_ = () => server

test('a server that is closed follows its source no longer', async (t) => {
  const source = sourceOf(server)
  const { server: one } = await serve(t, source, authorize.any())
  assert.equal(source.listeners, 1)
  one.close()
  await once(one, 'close')
  assert.equal(source.listeners, 0)
})

test('clients: none - only the server proves who it is', async (t) => {
  const { port } = await serve(t, serverSource, null, { clients: 'none' })
  assert.equal(await ask(port, clientSource, toServer, { certificate: 'none' }), 'undefined')
  assert.equal(await ask(port, clientSource, toServer), 'undefined')
})

test('clients: optional - whoever shows a certificate must be welcome', async (t) => {
  const { port, rules } = await serve(t, serverSource, authorize.id('spiffe://a.test/client'), { clients: 'optional' })
  assert.equal(await ask(port, clientSource, toServer, { certificate: 'none' }), 'undefined')
  assert.equal(await ask(port, clientSource, toServer), 'spiffe://a.test/client')
  assert.equal(await raw(port, shown(leaf(rootA, 'spiffe://a.test/other'))), 'closed')
  assert.deepEqual(rules(), ['not_authorized'])
})

test('a certificate of the Web PKI for clients that know the server by its name', async (t) => {
  const { certificate } = await import('./support/certificate.mjs')
  const web = certificate()
  for (const given of [web, () => web]) {
    const { port } = await serve(t, serverSource, authorize.memberOf('a.test'), { certificate: given })
    assert.equal(
      await ask(port, clientSource, null, { servers: 'web', ca: web.cert }).catch((error) => error.code),
      'ERR_TLS_CERT_ALTNAME_INVALID',
      'it is not 127.0.0.1'
    )
    const answer = await new Promise((resolve, reject) =>
      https
        .get(
          {
            port,
            host: 'localhost',
            agent: false,
            ...face.clientOptions(clientSource, null, { servers: 'web', ca: web.cert })
          },
          (response) => response.on('data', resolve)
        )
        .on('error', reject)
    )
    assert.equal(String(answer), 'spiffe://a.test/client')
    await assert.rejects(ask(port, clientSource, null, { servers: 'web' }), { code: /SELF_SIGNED/ })
    const agent = face.createAgent(clientSource, null, { servers: 'web', ca: web.cert, agent: { keepAlive: false } })
    const over = (/** @type {Record<string, any>} */ options) =>
      new Promise((resolve) =>
        https
          .get({ port, host: 'localhost', agent, ...options }, (response) =>
            response.on('data', (data) => resolve(String(data)))
          )
          .on('error', (error) => resolve(/** @type {any} */ (error).code))
      )
    assert.equal(await over({}), 'spiffe://a.test/client')
    assert.equal(
      await over({ host: '127.0.0.1', checkServerIdentity: () => undefined, rejectUnauthorized: false }),
      'ERR_TLS_CERT_ALTNAME_INVALID'
    )
  }
})

test('an authority that is not self-signed is an anchor', async (t) => {
  const partial = new BundleSet([countersign.X509Bundle.fromPem('a.test', intermediateA.pem)])
  const below = svidOf(leaf(intermediateA, 'spiffe://a.test/below'))
  const { port, rules } = await serve(t, sourceOf(below, partial), authorize.any())
  assert.equal(await ask(port, sourceOf(below, partial), authorize.any()), 'spiffe://a.test/below')
  assert.deepEqual(rules(), [])
})

test('settings of TLS are kept when the context rotates', async (t) => {
  const options = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' }
  const source = sourceOf(server)
  const { port } = await serve(t, source, authorize.any(), options)
  for (let round = 0; round < 2; round++) {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...shown(clientMinted) })
    await once(socket, 'secureConnect')
    assert.deepEqual([socket.getProtocol(), socket.getCipher().name], ['TLSv1.2', options.ciphers])
    socket.destroy()
    source.rotate(svidOf(leaf(rootA, 'spiffe://a.test/server')))
  }
})

test('a rotated identity that cannot be served is a warning, and what was served goes on', async (t) => {
  const source = sourceOf(server)
  let certificate = /** @type {any} */ (shown(leaf(rootA, 'spiffe://a.test/web')))
  const { port } = await serve(t, source, authorize.any(), { certificate: () => certificate })
  certificate = { ...certificate, key: clientMinted.keyPem }
  const warned = once(process, 'warning')
  source.rotate(svidOf(leaf(rootA, 'spiffe://a.test/server')))
  assert.match((await warned)[0].message, /a rotated identity cannot be served: .*key values mismatch/i)
  assert.equal(await raw(port, shown(clientMinted)), 'spiffe://a.test/client')
})

test('what cannot be meant is an error at once', async (t) => {
  const wrong = (/** @type {() => unknown} */ call, /** @type {RegExp} */ message) =>
    assert.throws(
      call,
      (/** @type {any} */ error) => error.code === 'ERR_INVALID_ARGUMENT' && message.test(error.message)
    )
  // @ts-expect-error: the argument has a wrong type
  wrong(() => serverOptions(undefined, authorize.any()), /^source: /)
  // @ts-expect-error: the argument has a wrong type
  wrong(() => serverOptions({ context() {} }, authorize.any()), /^source: /)
  // @ts-expect-error: an argument is missing
  wrong(() => serverOptions(serverSource), /^authorize: expected a function/)
  // @ts-expect-error: the argument has a wrong type
  wrong(() => serverOptions(serverSource, null), /^authorize: /)
  // @ts-expect-error: the argument has a wrong type
  wrong(() => serverOptions(serverSource, authorize.any(), { client: 'none' }), /unknown option "client"/)
  wrong(() => serverOptions(serverSource, authorize.any(), { clients: 'none' }), /authorize: expected null/)
  // @ts-expect-error: the argument has a wrong type
  wrong(() => serverOptions(serverSource, authorize.any(), { clients: 'some' }), /options\.clients/)
  // @ts-expect-error: the argument has a wrong type
  wrong(() => serverOptions(serverSource, authorize.any(), { minVersion: 'TLSv1.1' }), /options\.minVersion/)
  wrong(
    () => serverOptions(serverSource, authorize.any(), { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.2' }),
    /options\.maxVersion/
  )
  for (const options of [{ ciphers: 'NONSENSE' }, { sigalgs: 'NONSENSE' }, { ecdhCurve: 'NONSENSE' }, { ciphers: 7 }]) {
    wrong(() => serverOptions(serverSource, authorize.any(), /** @type {any} */ (options)), /^options/)
    wrong(() => face.clientOptions(clientSource, authorize.any(), /** @type {any} */ (options)), /^options/)
  }
  wrong(() => serverOptions(serverSource, authorize.any(), { maxConnectionAge: 0 }), /options\.maxConnectionAge/)
  // @ts-expect-error: the argument has a wrong type
  wrong(() => serverOptions(serverSource, authorize.any(), { closeOnWithdraw: 'yes' }), /options\.closeOnWithdraw/)
  // @ts-expect-error: the argument has a wrong type
  wrong(() => serverOptions(serverSource, authorize.any(), { onReject: 'log' }), /options\.onReject/)
  // @ts-expect-error: the argument has a wrong type
  wrong(() => serverOptions(serverSource, authorize.any(), { certificate: 'pem' }), /options\.certificate/)
  // @ts-expect-error: the argument has a wrong type
  wrong(() => secureServer({}, serverSource, authorize.any()), /^server: /)
  const open = https.createServer({})
  t.after(() => open.close())
  wrong(() => secureServer(open, serverSource, authorize.any()), /was not made with serverOptions/)
  const lax = https.createServer({ ...serverOptions(serverSource, authorize.any()), rejectUnauthorized: false })
  wrong(() => secureServer(lax, serverSource, authorize.any()), /was not made with serverOptions/)
  const optional = https.createServer(serverOptions(serverSource, authorize.any(), { clients: 'optional' }))
  wrong(() => secureServer(optional, serverSource, authorize.any()), /these very options/)
  const twice = https.createServer(serverOptions(serverSource, authorize.any()))
  secureServer(twice, serverSource, authorize.any())
  wrong(() => secureServer(twice, serverSource, authorize.any()), /secured already/)
  const empty = https.createServer(serverOptions(serverSource, authorize.any()))
  wrong(
    () =>
      secureServer(
        empty,
        // @ts-expect-error: the argument has a wrong type
        { context: () => ({ svid: 'me', bundles: both }), subscribe: () => () => {} },
        authorize.any()
      ),
    /source\.context\(\)\.svid/
  )
})

test('a source that throws something of its own is told as that', async (t) => {
  const source = {
    context() {
      throw new TypeError('my bug')
    },
    subscribe: () => () => {}
  }
  const { port, rejections } = await serve(t, source, authorize.any())
  assert.match(await raw(port, shown(clientMinted)), /HANDSHAKE_FAILURE/)
  assert.equal(rejections[0].code, 'ERR_SOURCE_FAILED')
  assert.equal(rejections[0].error.cause.message, 'my bug')
})
