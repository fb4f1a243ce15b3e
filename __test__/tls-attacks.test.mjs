// What must not get through, in both directions and both versions of TLS; each attack fails for the reason it states.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import https from 'node:https'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import tls from 'node:tls'
import { root, runScript } from './child.mjs'
import { newKey } from './spiffe-scene.mjs'
import { askWith, authorize, both, bundleA, BundleSet, CA, client, clientMinted, countersign, face, intermediateA, leaf, leafBetween, listening, mint, raw, refusal, rootA, rootB, serve, server, serverMinted, shown, sourceOf, svidOf, VERSIONS } from './tls-scene.mjs'

const require = createRequire(import.meta.url)
const { clientOptions, createAgent, peerOf } = face
const serverSource = sourceOf(server)
const clientSource = sourceOf(client)

const ID = 'spiffe://a.test/client'
const otherIntermediate = mint({ issuer: rootB, subject: '/O=intermediate', extensions: [...CA, 'subjectAltName=URI:spiffe://a.test'] })
const unknownRoot = mint({ subject: '/O=a.test', extensions: [...CA, 'subjectAltName=URI:spiffe://a.test'] })
const notACa = leaf(rootA, 'spiffe://a.test/other')

/** The configuration of openssl has its own ideas of commas and quotes. @param {string} uri */
const san = (uri) => {
  const name = Buffer.concat([Buffer.of(0x86, uri.length), Buffer.from(uri)])
  return { subjectAltName: `DER:${Buffer.concat([Buffer.of(0x30, name.length), name]).toString('hex')}` }
}

/**
 * What a peer shows, and the rule it breaks. Nobody is told apart by the authorizer: every name is welcome.
 * @type {[what: string, shown: { key: string, cert: string }, rule: string][]}
 */
const ATTACKS = [
  ['an authority of another trust domain, whose bundle is there, mints our name', shown(leaf(rootB, ID)), 'unknown_issuer'],
  ['the same with its root in the chain', shown(leaf(rootB, ID), rootB), 'unknown_issuer'],
  ['the same through an intermediate that claims our trust domain', shown(leaf(otherIntermediate, ID), otherIntermediate), 'unknown_issuer'],
  ['the same with our root in the chain', shown(leaf(rootB, ID), rootB, rootA), 'unknown_issuer'],
  ['an authority of the same name that nobody knows', shown(leaf(unknownRoot, ID), unknownRoot), 'invalid_signature'],
  ['a trust domain without a bundle', shown(leaf(rootA, 'spiffe://c.test/client')), 'no_bundle'],
  ['two URI SANs', shown(leaf(rootA, ID, { subjectAltName: `URI:${ID},URI:spiffe://a.test/admin` })), 'multiple_uri_sans'],
  ['no URI SAN', shown(leaf(rootA, ID, { subjectAltName: 'DNS:client.a.test' })), 'missing_spiffe_id'],
  ['no SAN at all', shown(leaf(rootA, ID, { subjectAltName: undefined })), 'missing_spiffe_id'],
  ['another scheme', shown(leaf(rootA, ID, { subjectAltName: 'URI:https://a.test/client' })), 'invalid_spiffe_id'],
  ['the name of a trust domain', shown(leaf(rootA, 'spiffe://a.test')), 'leaf_id_without_path'],
  ['a SAN with a comma and a second name behind it', shown(leaf(rootA, ID, san(`${ID}, URI:spiffe://a.test/admin`))), 'invalid_spiffe_id'],
  ['a SAN with quotes', shown(leaf(rootA, ID, san('spiffe://a.test/"client"'))), 'invalid_spiffe_id'],
  ['an apostrophe', shown(leaf(rootA, ID, san("spiffe://a.test/quote'd"))), 'invalid_spiffe_id'],
  ['a CA as a leaf', shown(leaf(rootA, ID, { basicConstraints: 'critical,CA:true' })), 'leaf_is_ca'],
  ['a CA that signs as a leaf', shown(leaf(rootA, ID, { basicConstraints: 'critical,CA:true', keyUsage: 'critical,digitalSignature,keyCertSign' })), 'leaf_is_ca'],
  ['no digitalSignature', shown(leaf(rootA, ID, { keyUsage: 'critical,keyEncipherment' }, newKey('2048'))), 'leaf_missing_digital_signature'],
  ['keyCertSign', shown(leaf(rootA, ID, { keyUsage: 'critical,digitalSignature,keyCertSign' })), 'leaf_has_key_cert_sign'],
  ['no key usage', shown(leaf(rootA, ID, { keyUsage: undefined })), 'leaf_missing_key_usage'],
  ['expired', shown(leafBetween(rootA, ID, '20200101000000Z', '20210101000000Z')), 'expired'],
  ['not yet valid', shown(leafBetween(rootA, ID, '20900101000000Z', '20910101000000Z')), 'not_yet_valid'],
  ['an intermediate that is not sent', shown(leaf(intermediateA, 'spiffe://a.test/unsent')), 'unknown_issuer'],
  ['a leaf that signs', shown(leaf(notACa, ID), notACa), 'unknown_issuer'],
  ['junk instead of the intermediate', shown(leaf(intermediateA, 'spiffe://a.test/junk'), otherIntermediate, rootB, notACa, unknownRoot), 'unknown_issuer'],
]
/** An extended key usage that is not for the role. */
const WRONG_ROLE = /** @type {const} */ ({
  server: ['a certificate for servers', shown(leaf(rootA, ID, { extendedKeyUsage: 'serverAuth' })), 'extended_key_usage'],
  client: ['a certificate for clients', shown(leaf(rootA, ID, { extendedKeyUsage: 'clientAuth' })), 'extended_key_usage'],
})

for (const version of VERSIONS) {
  const limits = { minVersion: version, maxVersion: version }

  for (const [what, certificate, rule] of [...ATTACKS, WRONG_ROLE.server]) {
    test(`${version}: a server refuses a client with ${what}: ${rule}`, async (t) => {
      const { port, rules, seen } = await serve(t, serverSource, authorize.any())
      await raw(port, { ...certificate, ...limits })
      assert.equal(seen.requests, 0)
      assert.deepEqual(rules(), [rule])
    })
  }

  for (const [what, certificate, rule] of [...ATTACKS, WRONG_ROLE.client]) {
    test(`${version}: a client refuses a server with ${what}: ${rule}`, async (t) => {
      let requests = 0
      const impostor = https.createServer({ ...certificate, ...limits }, (request, response) => {
        requests++
        response.end()
      })
      impostor.on('tlsClientError', () => {})
      const port = await listening(impostor)
      t.after(() => { impostor.close(); impostor.closeAllConnections() })
      /** @type {any[]} */
      const rejections = []
      const agent = createAgent(clientSource, authorize.any(), { onReject: (/** @type {any} */ one) => rejections.push(one) })
      t.after(() => agent.destroy())
      assert.doesNotMatch(await refusal(askWith({ port, agent })), /accepted/)
      assert.match(await refusal(askWith({ port, agent: false, ...clientOptions(clientSource, authorize.any()) })), /^(?!accepted)/)
      assert.equal(requests, 0)
      assert.deepEqual(rejections.map((one) => one.rule), [rule])
    })
  }

  test(`${version}: junk in the chain of a good peer changes nothing`, async (t) => {
    const below = leaf(intermediateA, 'spiffe://a.test/below')
    const { port, rejections } = await serve(t, serverSource, authorize.any())
    const junk = shown(below, otherIntermediate, notACa, intermediateA, rootB, rootA)
    assert.equal(await raw(port, { ...junk, ...limits }), 'spiffe://a.test/below')
    const good = https.createServer({ ...junk, ...limits }, (request, response) => response.end('hello'))
    const other = await listening(good)
    t.after(() => { good.close(); good.closeAllConnections() })
    assert.equal(await askWith({ port: other, agent: false, ...clientOptions(clientSource, authorize.id('spiffe://a.test/below')) }), 'hello')
    assert.deepEqual(rejections, [])
  })

  test(`${version}: an intermediate of the same name as its root is found`, async (t) => {
    const namesake = mint({ issuer: rootA, subject: '/O=a.test', extensions: [...CA, 'subjectAltName=URI:spiffe://a.test'] })
    const below = leaf(namesake, 'spiffe://a.test/namesake')
    const { port, rejections } = await serve(t, serverSource, authorize.any())
    assert.equal(await raw(port, { ...shown(below, namesake), ...limits }), 'spiffe://a.test/namesake')
    assert.deepEqual(rejections, [])
  })

  test(`${version}: a client without a certificate is refused`, async (t) => {
    const { port, rules, seen } = await serve(t, serverSource, authorize.any())
    await raw(port, limits)
    assert.deepEqual(rules(), ['no_certificate'])
    assert.equal(seen.requests, 0)
  })

  test(`${version}: an authorizer that throws, promises, or answers something else refuses`, async (t) => {
    const wrong = [() => { throw new Error('bug') }, async () => true, () => 1, () => 'yes', () => undefined, () => ({})]
    for (const authorizer of wrong) {
      const { port, rules, seen } = await serve(t, serverSource, /** @type {any} */ (authorizer))
      await raw(port, { ...shown(clientMinted), ...limits })
      assert.deepEqual(rules(), ['authorizer_failed'])
      assert.equal(seen.requests, 0)
      const impostor = await serve(t, serverSource, authorize.any(), limits)
      assert.equal(await refusal(askWith({ port: impostor.port, agent: false, ...clientOptions(clientSource, /** @type {any} */ (authorizer)) })), 'authorizer_failed')
      assert.equal(impostor.seen.requests, 0)
    }
  })

  test(`${version}: an authorizer that is slow, with a client that cannot wait to send`, async (t) => {
    const slow = (/** @type {boolean} */ verdict) => () => {
      const until = Date.now() + 60
      while (Date.now() < until);
      return verdict
    }
    const refusing = await serve(t, serverSource, slow(false))
    assert.equal(await raw(refusing.port, { ...shown(clientMinted), ...limits }).then((answer) => answer.includes('spiffe')), false)
    assert.equal(refusing.seen.requests, 0)
    assert.deepEqual(refusing.rules(), ['not_authorized'])
    const welcoming = await serve(t, serverSource, slow(true))
    assert.equal(await raw(welcoming.port, { ...shown(clientMinted), ...limits }), ID)
  })

  test(`${version}: a session of our server cannot be resumed, not even where the user keeps sessions`, async (t) => {
    const source = sourceOf(server)
    const { port, server: one, seen } = await serve(t, source, authorize.any())
    const store = new Map()
    one.on('newSession', (id, data, done) => { store.set(id.toString('hex'), data); done() })
    one.on('resumeSession', (id, done) => done(null, store.get(id.toString('hex'))))
    const session = await sessionOf(port, { ...shown(clientMinted), ...limits })
    // With and without a certificate of the client's own.
    for (const certificate of [shown(clientMinted), {}]) {
      const again = await connected(port, { ...certificate, ...limits, session })
      assert.notEqual(again, 'resumed')
    }
    source.rotate(undefined, new BundleSet())
    assert.equal(await raw(port, { ...limits, session }).then((answer) => answer.includes('spiffe')), false)
    assert.equal(seen.requests, 0)
  })

  test(`${version}: where a session is resumed all the same, the guard refuses it`, async (t) => {
    const { Guard } = require('../lib/tls/guard')
    const { compile } = require('../lib/spiffe/authorize')
    /** @type {any[]} */
    const rejections = []
    // Without any of our options: tickets are given out, node:tls resumes.
    const lax = tls.createServer({ ...shown(serverMinted), ca: rootA.pem, requestCert: true, rejectUnauthorized: false, ...limits })
    let admitted = 0
    new Guard(serverSource, compile(authorize.any(), ''), { clients: 'optional', onReject: (/** @type {any} */ one) => rejections.push(one) }).stand(lax, (/** @type {any} */ socket) => {
      admitted++
      socket.on('error', () => {}).end('x')
    })
    const port = await listening(lax)
    t.after(() => lax.close())
    const session = await sessionOf(port, { ...shown(clientMinted), ...limits })
    assert.equal(admitted, 1)
    assert.equal(await connected(port, { ...limits, session }), 'resumed')
    assert.equal(admitted, 1)
    assert.deepEqual(rejections.map((one) => one.rule), ['session_reused'])
  })

  test(`${version}: where a client without a certificate is let in by node:tls, the guard refuses it`, async (t) => {
    const { Guard } = require('../lib/tls/guard')
    const { compile } = require('../lib/spiffe/authorize')
    /** @type {any[]} */
    const rejections = []
    const lax = tls.createServer({ ...shown(serverMinted), ca: rootA.pem, requestCert: true, rejectUnauthorized: false, ...limits })
    new Guard(serverSource, compile(authorize.any(), ''), { clients: 'required', onReject: (/** @type {any} */ one) => rejections.push(one) }).stand(lax, () => assert.fail('it was admitted'))
    const port = await listening(lax)
    t.after(() => lax.close())
    await raw(port, limits)
    assert.deepEqual(rejections.map((one) => one.rule), ['no_certificate'])
  })

  test(`${version}: what we would take and node:tls does not is refused, and told`, async (t) => {
    for (const clients of ['required', 'optional']) {
      const { port, rejections, seen, server: one } = await serve(t, serverSource, authorize.any(), { clients })
      // The user replaces the context by one that does not know the authority of the client.
      one.setSecureContext({ ...shown(serverMinted), ca: [rootB.pem] })
      await raw(port, { ...shown(clientMinted), ...limits })
      assert.deepEqual(rejections.map((one) => [one.rule, one.claimedIds]), [['tls_verification', [ID]]])
      assert.equal(seen.requests, 0)
    }
  })

  test(`${version}: a client resumes nothing, whoever keeps the session`, async (t) => {
    let resumed = 0
    const generous = https.createServer({ ...shown(serverMinted), ...limits }, (request, response) => {
      resumed += Number(/** @type {tls.TLSSocket} */ (request.socket).isSessionReused())
      response.end('hello')
    })
    generous.on('tlsClientError', () => {})
    const store = new Map()
    generous.on('newSession', (id, data, done) => { store.set(id.toString('hex'), data); done() })
    generous.on('resumeSession', (id, done) => done(null, store.get(id.toString('hex'))))
    const port = await listening(generous)
    t.after(() => { generous.close(); generous.closeAllConnections() })
    let asked = 0
    let verdict = true
    const welcome = () => { asked++; return verdict }
    const options = clientOptions(clientSource, welcome)
    // As we say it, and as a library that keeps sessions in spite of it.
    for (const agent of [new https.Agent(options), new https.Agent({ .../** @type {any} */ (options), maxCachedSessions: 100 }), createAgent(clientSource, welcome, { agent: { keepAlive: false, maxCachedSessions: 100 } })]) {
      asked = 0
      for (let round = 0; round < 4; round++) await refusal(askWith({ port, agent }))
      assert.ok(asked >= 2, `the authorizer was asked ${asked} times`)
      verdict = false
      assert.doesNotMatch(await refusal(askWith({ port, agent })), /accepted/)
      assert.doesNotMatch(await refusal(askWith({ port, agent })), /accepted/)
      verdict = true
    }
    const session = await sessionOf(port, { ...options, host: '127.0.0.1', ...limits })
    assert.equal(await connected(port, { ...options, session }), 'ERR_SSL_ATTEMPT_TO_REUSE_SESSION_IN_DIFFERENT_CONTEXT')
    const other = clientOptions(clientSource, authorize.id('spiffe://a.test/other'))
    assert.notEqual(await connected(port, { ...other, session }), 'resumed')
    assert.equal(resumed, 0)
  })
}

/** A session to come back with. @param {number} port @param {tls.ConnectionOptions} options @returns {Promise<Buffer>} */
async function sessionOf (port, options) {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  socket.on('error', () => {}).resume()
  const given = once(socket, 'session', { signal: AbortSignal.timeout(200) }).then(([session]) => session, () => undefined)
  await once(socket, 'secureConnect')
  // TLS 1.3 gives it when data flows.
  const session = await given ?? socket.getSession()
  socket.destroy()
  return /** @type {Buffer} */ (session)
}

/** Whether a connection with a session comes back. @param {number} port @param {tls.ConnectionOptions} options */
async function connected (port, options) {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  socket.resume()
  const outcome = await new Promise((resolve) => {
    socket.on('error', (error) => resolve(/** @type {any} */ (error).code))
    socket.on('secureConnect', () => resolve(socket.isSessionReused() ? 'resumed' : 'whole'))
    socket.on('close', () => resolve('closed'))
  })
  await new Promise((resolve) => setTimeout(resolve, 30))
  socket.destroy()
  return outcome
}

test('NODE_TLS_REJECT_UNAUTHORIZED=0 and NODE_EXTRA_CA_CERTS change nothing', async (t) => {
  const impostor = shown(leaf(rootB, 'spiffe://a.test/server'))
  const script = `
    const https = require('node:https'), tls = require('node:tls')
    const { clientOptions, serverOptions, secureServer, createAgent, authorize } = require(${JSON.stringify(`${root}/tls.js`)})
    const { X509Svid, X509Bundle, BundleSet } = countersign
    const context = { svid: X509Svid.fromPem(${JSON.stringify(serverMinted.pem + serverMinted.keyPem)}), bundles: new BundleSet([X509Bundle.fromPem('a.test', ${JSON.stringify(rootA.pem)}), X509Bundle.fromPem('b.test', ${JSON.stringify(rootB.pem)})]) }
    const source = { context: () => context, subscribe: () => () => {} }
    const impostor = ${JSON.stringify(impostor)}
    const get = (options) => new Promise((resolve) => https.get({ host: '127.0.0.1', ...options }, (response) => resolve('accepted')).on('error', (error) => resolve(error.rule ?? error.code)))
    const said = {}
    const fake = https.createServer(impostor, (request, response) => response.end('hello')).listen(0, '127.0.0.1', async () => {
      const { port } = fake.address()
      said.client = await get({ port, agent: false, ...clientOptions(source, authorize.any()) })
      said.agent = await get({ port, agent: createAgent(source, authorize.any()), rejectUnauthorized: false })
      said.rules = []
      const real = https.createServer(serverOptions(source, authorize.any()), (request, response) => response.end('hello'))
      secureServer(real, source, authorize.any(), { onReject: ({ rule }) => said.rules.push(rule) })
      real.listen(0, '127.0.0.1', async () => {
        const one = tls.connect({ port: real.address().port, host: '127.0.0.1', ...impostor })
        one.on('error', () => {}).on('secureConnect', () => one.write('GET / HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n')).on('data', () => { said.server = 'accepted' })
        await new Promise((resolve) => one.on('close', resolve))
        console.log(JSON.stringify(said))
        process.exit()
      })
    })`
  const { stdout, stderr } = await runScript(script, { env: { NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_EXTRA_CA_CERTS: rootB.file } })
  assert.deepEqual(JSON.parse(stdout || stderr), { client: 'unknown_issuer', agent: 'unknown_issuer', rules: ['unknown_issuer'] })
})

test('a name with a comma is not split into a welcome one', async (t) => {
  const admin = authorize.id('spiffe://a.test/admin')
  const { port, rules } = await serve(t, serverSource, admin)
  for (const name of [`${ID}, URI:spiffe://a.test/admin`, 'spiffe://a.test/admin, URI:x', '"spiffe://a.test/admin"', "spiffe://a.test/admin\\, x'"]) {
    await raw(port, shown(leaf(rootA, ID, san(name))))
    assert.deepEqual(rules().splice(-1), ['invalid_spiffe_id'], name)
  }
})

test('with an authorizer for one trust domain, the bundle of another is not even in the outer wall', async (t) => {
  // Servers of one source, which share what they can: this must not be shared.
  const source = sourceOf(server)
  const passed = []
  for (const [welcome, minted, reaches, rule] of /** @type {[any, any, number, string | undefined][]} */ ([
    [authorize.memberOf('a.test'), leaf(rootB, ID), 0, 'unknown_issuer'],
    [authorize.oneOf(['spiffe://a.test/x', ID]), leaf(rootB, ID), 0, 'unknown_issuer'],
    [authorize.allOf([authorize.any(), authorize.idPrefix('spiffe://a.test')]), leaf(rootB, ID), 0, 'unknown_issuer'],
    [authorize.any(), leaf(rootB, ID), 1, 'unknown_issuer'],
    [authorize.not(authorize.memberOf('c.test')), leaf(rootB, ID), 1, 'unknown_issuer'],
    [authorize.anyOf([authorize.id(ID), () => false]), leaf(rootB, ID), 1, 'unknown_issuer'],
    [authorize.memberOf('b.test'), leaf(rootB, 'spiffe://b.test/client'), 1, undefined],
    [authorize.anyOf([authorize.id(ID), authorize.memberOf('b.test')]), leaf(rootB, 'spiffe://b.test/client'), 1, undefined],
  ])) {
    const { port, rules, server: one } = await serve(t, source, welcome)
    let reached = 0
    one.on('secureConnection', () => reached++)
    await raw(port, shown(minted))
    assert.deepEqual([reached, rules()[0]], [reaches, rule], String(welcome))
    passed.push(rule)
  }
  assert.equal(passed.length, 8)
})

test('where one of the walls is left open, the other holds', async (t) => {
  // The user replaces the context by one that trusts everybody we have a bundle for, and gives out tickets.
  const { port, rules, seen, server: one } = await serve(t, serverSource, authorize.any())
  one.setSecureContext({ ...shown(serverMinted), ca: [rootA.pem, rootB.pem] })
  await raw(port, shown(leaf(rootB, ID)))
  assert.deepEqual(rules(), ['unknown_issuer'])
  assert.equal(seen.requests, 0)
})

test('a listener that was there before the guard sees no refused connection alive', async (t) => {
  const order = []
  const one = https.createServer(face.serverOptions(serverSource, authorize.id('spiffe://a.test/other')), () => order.push('request'))
  one.on('secureConnection', (socket) => order.push(socket.destroyed ? 'dead' : 'alive'))
  face.secureServer(one, serverSource, authorize.id('spiffe://a.test/other'))
  const port = await listening(one)
  t.after(() => one.close())
  await raw(port, shown(clientMinted))
  assert.deepEqual(order, ['dead'])
})

test('nobody becomes somebody else in the middle of a connection', async (t) => {
  const { port } = await serve(t, serverSource, authorize.any(), { maxVersion: 'TLSv1.2' })
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...shown(clientMinted) })
  await once(socket, 'secureConnect')
  const outcome = await new Promise((resolve) => {
    socket.on('error', (error) => resolve(/** @type {any} */ (error).code))
    socket.renegotiate({}, (error) => resolve(error ? /** @type {any} */ (error).code ?? error.message : 'renegotiated'))
  })
  socket.destroy()
  assert.notEqual(outcome, 'renegotiated')
})

test('a peer cannot be forged', async (t) => {
  const { port } = await serve(t, serverSource, authorize.any())
  const socket = tls.connect({ port, host: '127.0.0.1', ...clientOptions(clientSource, authorize.any()) })
  const inside = createAgent(clientSource, authorize.any(), { agent: { keepAlive: false } })
  await once(socket, 'secureConnect')
  const real = await new Promise((resolve) => https.get({ port, host: '127.0.0.1', agent: inside }, (response) => resolve(response.resume().socket)))
  // Everything that marks a real one, copied.
  const marks = Object.getOwnPropertySymbols(real).filter((symbol) => peerOf({ [symbol]: real[symbol] }))
  assert.ok(marks.length > 0)
  for (const symbol of marks) assert.equal(peerOf({ [symbol]: { ...real[symbol], kind: 'x509', spiffeId: ID } }), undefined)
  socket.destroy()

  for (const forged of [{ spiffeId: ID }, { socket: { kind: 'x509', spiffeId: ID } }, { raw: { peer: { spiffeId: ID } } }]) assert.equal(peerOf(forged), undefined)
})

test('a withdrawn identity is shown to nobody', async (t) => {
  /** @type {string[]} */
  const seen = []
  // In TLS 1.2 a client has to show itself before it has judged the server.
  const curious = tls.createServer({ ...shown(serverMinted), maxVersion: 'TLSv1.2', ca: rootA.pem, requestCert: true, rejectUnauthorized: false }, (socket) => {
    seen.push(socket.getPeerCertificate().subjectaltname ?? 'nothing')
    socket.on('error', () => {}).end()
  })
  const port = await listening(curious)
  t.after(() => curious.close())
  const source = sourceOf(client)
  const options = clientOptions(source, authorize.any())
  const visit = async () => {
    const socket = tls.connect({ port, host: '127.0.0.1', ...options })
    socket.on('error', () => {}).resume()
    await new Promise((resolve) => socket.on('close', resolve))
  }
  await visit()
  source.withdraw()
  await visit()
  assert.deepEqual(seen, [`URI:${ID}`, 'nothing'])
})

test('an own identity that expired is neither shown nor used', async (t) => {
  const expired = svidOf(leafBetween(rootA, 'spiffe://a.test/server', '20200101000000Z', '20210101000000Z'))
  const { port, rejections } = await serve(t, sourceOf(expired), authorize.any())
  assert.match(await raw(port, shown(clientMinted)), /HANDSHAKE_FAILURE/)
  assert.equal(rejections[0].code, 'ERR_SVID_EXPIRED')
  const real = await serve(t, serverSource, authorize.any(), { clients: 'optional' })
  const source = sourceOf(client)
  const options = clientOptions(source, authorize.any())
  assert.equal(await askWith({ port: real.port, agent: false, ...options }), ID)
  source.rotate(expired)
  assert.equal(await refusal(askWith({ port: real.port, agent: false, ...options })), 'ERR_SVID_EXPIRED')
})

test('sources of which one trusts more do not share their outer walls', async (t) => {
  const narrow = await serve(t, sourceOf(server, new BundleSet([bundleA])), authorize.any())
  const wide = await serve(t, sourceOf(server, both), authorize.any())
  const fromB = svidOf(leaf(rootB, 'spiffe://b.test/client'))
  assert.equal(await askWith({ port: wide.port, agent: false, ...clientOptions(sourceOf(fromB), authorize.any()) }), 'spiffe://b.test/client')
  await refusal(askWith({ port: narrow.port, agent: false, ...clientOptions(sourceOf(fromB), authorize.any()) }))
  assert.deepEqual(narrow.rules(), ['no_bundle'])
  assert.ok(countersign.CountersignError.is(narrow.rejections[0].error))
})
