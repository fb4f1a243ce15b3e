// From a proven name to a principal, on whatever it stands.
import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import { test } from 'node:test'
import tls from 'node:tls'
import { inspect } from 'node:util'
import { claims, newKey, token } from './support/spiffe-scene.mjs'
import {
  ask,
  authorize,
  client,
  countersign,
  face,
  leaf,
  listening,
  rootA,
  serve,
  server,
  sourceOf,
  svidOf
} from './support/tls-scene.mjs'
import { Issuer, Principal, principalOf, WorkloadPrincipal } from 'countersign/principal'

const { clientOptions, createFrontServer, http2Connect, peerOf, requireBearer, secureServer, serverOptions } = face
const TENANT = '0191b0a8-5c1e-7f00-8000-000000000001'
const ofTenant = sourceOf(svidOf(leaf(rootA, 'spiffe://a.test/billing/blue')))
const principal = (/** @type {any} */ id) => principalOf(id, { issuer: Issuer.mtls, tenantId: TENANT })

test('a server is told the principal of a client, and the client that of the server', async (t) => {
  /** @type {any[]} */
  const made = []
  const options = {
    principal: (/** @type {any} */ id, /** @type {any} */ peer) => {
      made.push([id.uri, peer.kind])
      return principal(id)
    }
  }
  const one = https.createServer(serverOptions(sourceOf(server), authorize.any(), options), (request, response) => {
    response.end(
      JSON.stringify([peerOf(request)?.principal, peerOf(request)?.principal === peerOf(request.socket)?.principal])
    )
  })
  secureServer(one, sourceOf(server), authorize.any(), options)
  const port = await listening(one)
  t.after(() => {
    one.close()
    one.closeAllConnections()
  })
  const [told, same] = JSON.parse(await ask(port, ofTenant, authorize.any()))
  assert.equal(same, true)
  assert.deepEqual(Principal.from(told).toWire(), principal('spiffe://a.test/billing/blue').toWire())
  assert.deepEqual(made, [['spiffe://a.test/billing/blue', 'x509']], 'once a connection')

  const split = () => ({ serviceName: 'server', tenantSlug: 'blue' })
  const socket = tls.connect({
    port,
    host: '127.0.0.1',
    ...clientOptions(ofTenant, authorize.any(), {
      principal: (/** @type {any} */ id) => principalOf(id, { issuer: Issuer.mtls, tenantId: TENANT, split })
    })
  })
  await once(socket, 'secureConnect')
  const peer = peerOf(socket)
  assert.ok(peer?.principal instanceof WorkloadPrincipal)
  assert.equal(peer.principal.serviceName, 'server')
  assert.equal(
    JSON.stringify(peer),
    JSON.stringify({ kind: 'x509', spiffeId: peer.spiffeId, expiresAt: peer.expiresAt })
  )
  assert.doesNotMatch(inspect(peer), /principal/i)
  socket.destroy()
})

test('of HTTP/2, a front server, and a token', async (t) => {
  const h2 = http2.createSecureServer(serverOptions(sourceOf(server), authorize.any()))
  secureServer(h2, sourceOf(server), authorize.any(), { principal })
  h2.on('stream', (/** @type {import('node:http2').ServerHttp2Stream} */ stream) => {
    stream.respond()
    const { principal } = peerOf(stream) ?? {}
    stream.end(String(/** @type {WorkloadPrincipal} */ (principal).tenantSlug))
  })
  const port = await listening(h2)
  const session = http2Connect(`https://localhost:${port}`, ofTenant, authorize.any())
  let text = ''
  for await (const chunk of session.request()) text += chunk
  assert.equal(text, 'blue')
  session.close()
  h2.close()

  const app = http.createServer((request, response) => response.end(peerOf(request)?.principal?.tenantId))
  /** @type {any[]} */
  const seen = []
  const front = createFrontServer(
    app,
    sourceOf(server),
    async (/** @type {any} */ _id, /** @type {any} */ peer) => {
      seen.push(peer.principal.serviceName)
      return true
    },
    { principal }
  )
  t.after(() => {
    front.close()
    app.closeAllConnections()
  })
  assert.equal(await ask(await listening(front), ofTenant, authorize.any()), TENANT)
  assert.deepEqual(seen, ['billing'])

  const key = newKey('P-256')
  const bundle = new countersign.JwtBundle('example.org')
  bundle.add('one', createPublicKey(key))
  const jwt = token({ alg: 'ES256', kid: 'one' }, claims({ sub: 'spiffe://example.org/billing/green' }), key)
  const guard = requireBearer(bundle, {
    audience: 'shop',
    principal: (/** @type {any} */ id, /** @type {any} */ peer) =>
      principalOf(id, { issuer: Issuer.jwtSvid, tenantId: TENANT, attributes: { kind: peer.kind } })
  })
  const plain = http.createServer((request, response) =>
    guard(request, response, () => response.end(JSON.stringify(peerOf(request)?.principal)))
  )
  const other = await listening(plain)
  t.after(() => {
    plain.close()
    plain.closeAllConnections()
  })
  const read = Principal.parse(
    await (await fetch(`http://127.0.0.1:${other}/`, { headers: { authorization: `Bearer ${jwt}` } })).text()
  )
  assert.ok(read instanceof WorkloadPrincipal)
  assert.deepEqual([read.tenantSlug, `${read.issuer}`, read.attributes.kind], ['green', 'jwt_svid', 'jwt'])
})

test('there is none unless it was asked for, and an error where none can be made', async (t) => {
  const without = await serve(t, sourceOf(server), authorize.any())
  /** @type {any} */
  let found = 'nobody looked'
  without.server.on('request', (request) => {
    found = peerOf(request)?.principal
  })
  await ask(without.port, sourceOf(client), authorize.any())
  assert.equal(found, undefined)

  for (const [make, wanted] of /** @type {[any, any][]} */ ([
    [principal, { code: 'ERR_INVALID_SPIFFE_ID', reason: 'wrong_path_shape' }],
    [
      () => {
        throw new RangeError('mine')
      },
      { name: 'RangeError', message: 'mine' }
    ],
    [
      async () => principal('spiffe://a.test/a/b'),
      { code: 'ERR_INVALID_ARGUMENT', message: /options\.principal: .*a promise: .*requirePrincipal/ }
    ],
    [() => ({ kind: 'human' }), { code: 'ERR_INVALID_ARGUMENT', message: /options\.principal: / }],
    [() => undefined, { code: 'ERR_INVALID_ARGUMENT' }]
  ])) {
    const { port, server: one } = await serve(t, sourceOf(server), authorize.any(), { principal: make })
    /** @type {any} */
    let failed
    one.on('request', (request) => {
      // Every time, and not only the first.
      for (let round = 0; round < 2; round++) assert.throws(() => peerOf(request)?.principal, wanted)
      failed = true
    })
    assert.equal(
      await ask(port, sourceOf(client), authorize.any()),
      'spiffe://a.test/client',
      'who does not ask is not bothered'
    )
    assert.equal(failed, true)
  }
  // @ts-expect-error: the argument has a wrong type
  assert.throws(() => serverOptions(sourceOf(server), authorize.any(), { principal: 'me' }), {
    code: 'ERR_INVALID_ARGUMENT'
  })
  // @ts-expect-error: the argument has a wrong type
  assert.throws(() => clientOptions(sourceOf(server), authorize.any(), { principal: 7 }), {
    code: 'ERR_INVALID_ARGUMENT'
  })
  // @ts-expect-error: the argument has a wrong type
  assert.throws(() => requireBearer(new countersign.BundleSet(), { audience: 'shop', principal: true }), {
    code: 'ERR_INVALID_ARGUMENT'
  })
})

test('whoever pollutes Object.prototype loosens nothing', async (t) => {
  const prototype = /** @type {any} */ (Object.prototype)
  prototype.clients = 'optional'
  prototype.servers = 'web'
  try {
    const { port, rules } = await serve(t, sourceOf(server), authorize.any())
    assert.equal(await ask(port, sourceOf(client), authorize.any()), 'spiffe://a.test/client')
    await new Promise((resolve) =>
      tls
        .connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
        .on('error', () => {})
        .resume()
        .on('close', resolve)
    )
    assert.deepEqual(rules(), ['no_certificate'])
  } finally {
    delete prototype.clients
    delete prototype.servers
  }
})
