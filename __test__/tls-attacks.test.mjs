// What must not get through, in both directions and both versions of TLS; each attack fails for the reason it states.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import https from 'node:https'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import tls from 'node:tls'
import { entryPoint, runScript } from './support/child.mjs'
import { ATTACKS, ID, notACa, otherIntermediate, san, WRONG_ROLE } from './support/tls-attack-list.mjs'
import {
  askWith,
  authorize,
  both,
  bundleA,
  BundleSet,
  CA,
  client,
  clientMinted,
  countersign,
  face,
  intermediateA,
  leaf,
  leafBetween,
  listening,
  mint,
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

const require = createRequire(import.meta.url)
const { clientOptions, createAgent, peerOf } = face
const serverSource = sourceOf(server)
const clientSource = sourceOf(client)

/** What node:tls says of a chain it does not take. */
const OF_OPENSSL = /^(UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|CERT_|INVALID_(CA|PURPOSE)|PATH_LENGTH|UNSPECIFIED)/
/**
 * Judged anew, or a session that a library kept in spite of us, which OpenSSL does not take up (EPROTO: as node:https
 * has it).
 */
const NO_WAY_BACK = new RegExp(
  `^not_authorized$|^ERR_SSL_ATTEMPT_TO_REUSE_SESSION_IN_DIFFERENT_CONTEXT$|^EPROTO$|${OF_OPENSSL.source}`
)
const REFUSED = new RegExp(`${OF_OPENSSL.source}|^[a-z]+(_[a-z]+)+$`)

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
      const impostor = https.createServer({ ...certificate, ...limits }, (_request, response) => {
        requests++
        response.end()
      })
      impostor.on('tlsClientError', () => {})
      const port = await listening(impostor)
      t.after(() => {
        impostor.close()
        impostor.closeAllConnections()
      })
      /** @type {any[]} */
      const rejections = []
      const agent = createAgent(clientSource, authorize.any(), {
        onReject: (/** @type {any} */ one) => rejections.push(one)
      })
      t.after(() => agent.destroy())
      assert.match(await refusal(askWith({ port, agent })), REFUSED)
      assert.deepEqual(
        rejections.splice(0).map((one) => one.rule),
        [rule]
      )
      // Options alone say the rule as well, unless node:tls refuses before it asks.
      const onReject = (/** @type {any} */ one) => rejections.push(one)
      const said = await refusal(
        askWith({ port, agent: false, ...clientOptions(clientSource, authorize.any(), { onReject }) })
      )
      if (rejections.length > 0) assert.equal(said, rule)
      else assert.match(said, OF_OPENSSL)
      assert.equal(requests, 0)
    })
  }

  test(`${version}: junk in the chain of a good peer changes nothing`, async (t) => {
    const below = leaf(intermediateA, 'spiffe://a.test/below')
    const { port, rejections } = await serve(t, serverSource, authorize.any())
    const junk = shown(below, otherIntermediate, notACa, intermediateA, rootB, rootA)
    assert.equal(await raw(port, { ...junk, ...limits }), 'spiffe://a.test/below')
    const good = https.createServer({ ...junk, ...limits }, (_request, response) => response.end('hello'))
    const other = await listening(good)
    t.after(() => {
      good.close()
      good.closeAllConnections()
    })
    assert.equal(
      await askWith({
        port: other,
        agent: false,
        ...clientOptions(clientSource, authorize.id('spiffe://a.test/below'))
      }),
      'hello'
    )
    assert.deepEqual(rejections, [])
  })

  test(`${version}: an intermediate of the same name as its root is found`, async (t) => {
    const namesake = mint({
      issuer: rootA,
      subject: '/O=a.test',
      extensions: [...CA, 'subjectAltName=URI:spiffe://a.test']
    })
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
    const wrong = [
      () => {
        throw new Error('bug')
      },
      async () => true,
      () => 1,
      () => 'yes',
      () => undefined,
      () => ({})
    ]
    for (const authorizer of wrong) {
      const { port, rules, seen } = await serve(t, serverSource, /** @type {any} */ (authorizer))
      await raw(port, { ...shown(clientMinted), ...limits })
      assert.deepEqual(rules(), ['authorizer_failed'])
      assert.equal(seen.requests, 0)
      const impostor = await serve(t, serverSource, authorize.any(), limits)
      assert.equal(
        await refusal(
          askWith({
            port: impostor.port,
            agent: false,
            ...clientOptions(clientSource, /** @type {any} */ (authorizer))
          })
        ),
        'authorizer_failed'
      )
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
    assert.equal(
      await raw(refusing.port, { ...shown(clientMinted), ...limits }).then((answer) => answer.includes('spiffe')),
      false
    )
    assert.equal(refusing.seen.requests, 0)
    assert.deepEqual(refusing.rules(), ['not_authorized'])
    const welcoming = await serve(t, serverSource, slow(true))
    assert.equal(await raw(welcoming.port, { ...shown(clientMinted), ...limits }), ID)
    const open = await serve(t, serverSource, authorize.any(), limits)
    assert.equal(
      await refusal(askWith({ port: open.port, agent: false, ...clientOptions(clientSource, slow(false)) })),
      'not_authorized'
    )
    assert.equal(open.seen.requests, 0)
    assert.equal(await askWith({ port: open.port, agent: false, ...clientOptions(clientSource, slow(true)) }), ID)
  })

  test(`${version}: what an impostor sends early is never heard, and what we say is not sent`, async (t) => {
    let heard = ''
    const impostor = tls.createServer({ ...shown(leaf(rootB, 'spiffe://a.test/server')), ...limits }, (socket) => {
      socket
        .on('error', () => {})
        .on('data', (chunk) => {
          heard += chunk
        })
      // In the flight that ends its handshake.
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil')
    })
    impostor.on('tlsClientError', () => {})
    const port = await listening(impostor)
    t.after(() => impostor.close())
    for (const welcome of [authorize.any(), authorize.id('spiffe://a.test/server')]) {
      const socket = tls.connect({ port, host: '127.0.0.1', ...clientOptions(clientSource, welcome) })
      // As early as we can.
      socket.write('secret')
      let got = ''
      socket.on('data', (chunk) => {
        got += chunk
      })
      const [error] = await once(socket, 'error')
      assert.match(error.rule ?? error.code, welcome === authorize.any() ? /^unknown_issuer$/ : OF_OPENSSL)
      assert.equal(
        await refusal(askWith({ port, agent: false, ...clientOptions(clientSource, authorize.any()) })),
        'unknown_issuer'
      )
      await new Promise((resolve) => setTimeout(resolve, 20))
      assert.deepEqual([got, heard], ['', ''])
    }
  })

  test(`${version}: a stored session brings nobody back, not even where the user keeps sessions`, async (t) => {
    let verdict = true
    const source = sourceOf(server)
    const { port, server: one, seen, rejections } = await serve(t, source, () => verdict)
    const store = new Map()
    one.on('newSession', (id, data, done) => {
      store.set(id.toString('hex'), data)
      done()
    })
    one.on('resumeSession', (id, done) => done(null, store.get(id.toString('hex'))))
    const session = await sessionOf(port, { ...shown(clientMinted), ...limits })
    const comeBack = async (/** @type {tls.ConnectionOptions} */ options) => {
      await raw(port, { ...options, ...limits, session })
      return rejections.splice(0).map((rejection) => rejection.rule)
    }
    assert.equal(await connected(port, { ...shown(clientMinted), ...limits, session }), 'whole', 'it is judged again')
    assert.deepEqual(await comeBack({}), ['no_certificate'])
    verdict = false
    assert.deepEqual(await comeBack(shown(clientMinted)), ['not_authorized'], 'the authorizer has changed its mind')
    verdict = true
    source.rotate(undefined, new BundleSet())
    assert.deepEqual(await comeBack(shown(clientMinted)), ['no_bundle'], 'the bundle is gone')
    source.rotate(undefined, new BundleSet([countersign.X509Bundle.fromPem('a.test', rootB.pem)]))
    assert.deepEqual(await comeBack(shown(clientMinted)), ['unknown_issuer'], 'the authority is another one')
    source.withdraw()
    await raw(port, { ...shown(clientMinted), ...limits, session })
    assert.deepEqual(
      rejections.splice(0).map((rejection) => rejection.code),
      ['ERR_IDENTITY_WITHDRAWN']
    )
    assert.equal(seen.requests, 0)
  })

  test(`${version}: where a session is resumed all the same, the guard refuses it`, async (t) => {
    const { ClientVerifier } = require('../lib/tls/client-verifier')
    const { compile } = require('../lib/spiffe/authorizer')
    /** @type {any[]} */
    const rejections = []
    // Without any of our options: tickets are given out, node:tls resumes.
    const lax = tls.createServer({
      ...shown(serverMinted),
      ca: rootA.pem,
      requestCert: true,
      rejectUnauthorized: false,
      ...limits
    })
    let admitted = 0
    new ClientVerifier(serverSource, compile(authorize.any(), ''), {
      clients: 'optional',
      onReject: (/** @type {any} */ one) => rejections.push(one)
    }).attach(lax, (/** @type {any} */ socket) => {
      admitted++
      socket.on('error', () => {}).end('x')
    })
    const port = await listening(lax)
    t.after(() => lax.close())
    const session = await sessionOf(port, { ...shown(clientMinted), ...limits })
    assert.equal(admitted, 1)
    assert.equal(await connected(port, { ...limits, session }), 'resumed')
    assert.equal(admitted, 1)
    assert.deepEqual(
      rejections.map((one) => one.rule),
      ['session_reused']
    )
  })

  test(`${version}: where a client without a certificate is let in by node:tls, the guard refuses it`, async (t) => {
    const { ClientVerifier } = require('../lib/tls/client-verifier')
    const { compile } = require('../lib/spiffe/authorizer')
    /** @type {any[]} */
    const rejections = []
    const lax = tls.createServer({
      ...shown(serverMinted),
      ca: rootA.pem,
      requestCert: true,
      rejectUnauthorized: false,
      ...limits
    })
    new ClientVerifier(serverSource, compile(authorize.any(), ''), {
      clients: 'required',
      onReject: (/** @type {any} */ one) => rejections.push(one)
    }).attach(lax, () => assert.fail('it was admitted'))
    const port = await listening(lax)
    t.after(() => lax.close())
    await raw(port, limits)
    assert.deepEqual(
      rejections.map((one) => one.rule),
      ['no_certificate']
    )
  })

  test(`${version}: what we would take and node:tls does not is refused, and told`, async (t) => {
    for (const clients of ['required', 'optional']) {
      const { port, rejections, seen, server: one } = await serve(t, serverSource, authorize.any(), { clients })
      // The user replaces the context by one that does not know the authority of the client.
      one.setSecureContext({ ...shown(serverMinted), ca: [rootB.pem] })
      await raw(port, { ...shown(clientMinted), ...limits })
      assert.deepEqual(
        rejections.map((one) => [one.rule, one.claimedIds]),
        [['tls_verification', [ID]]]
      )
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
    generous.on('newSession', (id, data, done) => {
      store.set(id.toString('hex'), data)
      done()
    })
    generous.on('resumeSession', (id, done) => done(null, store.get(id.toString('hex'))))
    const port = await listening(generous)
    t.after(() => {
      generous.close()
      generous.closeAllConnections()
    })
    let asked = 0
    let verdict = true
    const welcome = () => {
      asked++
      return verdict
    }
    const source = sourceOf(client)
    const options = clientOptions(source, welcome)
    // As we say it, and as a library that keeps sessions in spite of it.
    for (const agent of [
      new https.Agent(options),
      new https.Agent({ .../** @type {any} */ (options), maxCachedSessions: 100 }),
      createAgent(source, welcome, { agent: { keepAlive: false, maxCachedSessions: 100 } })
    ]) {
      asked = 0
      for (let round = 0; round < 4; round++) await refusal(askWith({ port, agent }))
      assert.ok(asked >= 2, `the authorizer was asked ${asked} times`)
      verdict = false
      for (let round = 0; round < 2; round++) assert.match(await refusal(askWith({ port, agent })), NO_WAY_BACK)
      verdict = true
      // The bundle of the server's trust domain now has another authority.
      source.rotate(undefined, new BundleSet([countersign.X509Bundle.fromPem('a.test', rootB.pem)]))
      for (let round = 0; round < 2; round++) assert.match(await refusal(askWith({ port, agent })), NO_WAY_BACK)
      source.rotate(undefined, both)
    }
    const session = await sessionOf(port, { ...options, host: '127.0.0.1', ...limits })
    assert.equal(
      await connected(port, { ...options, session }),
      'ERR_SSL_ATTEMPT_TO_REUSE_SESSION_IN_DIFFERENT_CONTEXT'
    )
    const other = clientOptions(clientSource, authorize.id('spiffe://a.test/other'))
    assert.equal(await connected(port, { ...other, session }), 'ERR_SSL_ATTEMPT_TO_REUSE_SESSION_IN_DIFFERENT_CONTEXT')
    assert.equal(resumed, 0)
  })
}

/**
 * A session to come back with.
 * @param {number} port
 * @param {tls.ConnectionOptions} options
 * @returns {Promise<Buffer>}
 */
async function sessionOf(port, options) {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  socket.on('error', () => {}).resume()
  const given = once(socket, 'session', { signal: AbortSignal.timeout(200) }).then(
    ([session]) => session,
    () => undefined
  )
  await once(socket, 'secureConnect')
  // TLS 1.3 gives it when data flows.
  const session = (await given) ?? socket.getSession()
  socket.destroy()
  return /** @type {Buffer} */ (session)
}

/** Whether a connection with a session comes back. @param {number} port @param {tls.ConnectionOptions} options */
async function connected(port, options) {
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

for (const version of VERSIONS)
  test(`${version}: NODE_TLS_REJECT_UNAUTHORIZED=0 and NODE_EXTRA_CA_CERTS change nothing`, async () => {
    const impostor = shown(leaf(rootB, 'spiffe://a.test/server'))
    const script = `
    const https = require('node:https'), tls = require('node:tls')
    const { clientOptions, serverOptions, secureServer, createAgent,
      authorize } = require(${JSON.stringify(entryPoint('countersign/tls'))})
    const { X509Svid, X509Bundle, BundleSet } = countersign
    const context = { svid: X509Svid.fromPem(${JSON.stringify(serverMinted.pem + serverMinted.keyPem)}),
      bundles: new BundleSet([X509Bundle.fromPem('a.test', ${JSON.stringify(rootA.pem)}),
        X509Bundle.fromPem('b.test', ${JSON.stringify(rootB.pem)})]) }
    const source = { context: () => context, subscribe: () => () => {} }
    const impostor = { ...${JSON.stringify(impostor)}, minVersion: '${version}', maxVersion: '${version}' }
    const get = (options) => new Promise((resolve) =>
      https.get({ host: '127.0.0.1', ...options }, (response) => resolve('accepted'))
        .on('error', (error) => resolve(error.rule ?? error.code)))
    const said = {}
    const fake = https.createServer(impostor, (request, response) => response.end('hello')).listen(0, '127.0.0.1',
      async () => {
      const { port } = fake.address()
      said.client = await get({ port, agent: false, ...clientOptions(source, authorize.any()) })
      said.agent = await get({ port, agent: createAgent(source, authorize.any()), rejectUnauthorized: false })
      said.rules = []
      const real = https.createServer(serverOptions(source, authorize.any()),
        (request, response) => response.end('hello'))
      secureServer(real, source, authorize.any(), { onReject: ({ rule }) => said.rules.push(rule) })
      real.listen(0, '127.0.0.1', async () => {
        const one = tls.connect({ port: real.address().port, host: '127.0.0.1', ...impostor })
        one.on('error', () => {}).on('secureConnect', () => one.write('GET / HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n'))
          .on('data', () => { said.server = 'accepted' })
        await new Promise((resolve) => one.on('close', resolve))
        console.log(JSON.stringify(said))
        process.exit()
      })
    })`
    const { stdout, stderr } = await runScript(script, {
      env: { NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_EXTRA_CA_CERTS: rootB.file }
    })
    assert.deepEqual(JSON.parse(stdout || stderr), {
      client: 'unknown_issuer',
      agent: 'unknown_issuer',
      rules: ['unknown_issuer']
    })
  })

test('a name with a comma is not split into a welcome one', async (t) => {
  const admin = authorize.id('spiffe://a.test/admin')
  const { port, rules } = await serve(t, serverSource, admin)
  for (const name of [
    `${ID}, URI:spiffe://a.test/admin`,
    'spiffe://a.test/admin, URI:x',
    '"spiffe://a.test/admin"',
    "spiffe://a.test/admin\\, x'"
  ]) {
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
    [
      authorize.anyOf([authorize.id(ID), authorize.memberOf('b.test')]),
      leaf(rootB, 'spiffe://b.test/client'),
      1,
      undefined
    ]
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
  /** @type {string[]} */
  const order = []
  const one = https.createServer(face.serverOptions(serverSource, authorize.id('spiffe://a.test/other')), () =>
    order.push('request')
  )
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
    socket.renegotiate({}, (/** @type {any} */ error) =>
      resolve(error ? (error.code ?? error.message) : 'renegotiated')
    )
  })
  socket.destroy()
  assert.notEqual(outcome, 'renegotiated')
})

test('a peer cannot be forged', async (t) => {
  const { port } = await serve(t, serverSource, authorize.any())
  const socket = tls.connect({ port, host: '127.0.0.1', ...clientOptions(clientSource, authorize.any()) })
  const inside = createAgent(clientSource, authorize.any(), { agent: { keepAlive: false } })
  await once(socket, 'secureConnect')
  const real = await new Promise((resolve) =>
    https.get({ port, host: '127.0.0.1', agent: inside }, (response) => resolve(response.resume().socket))
  )
  // Everything that marks a real one, copied.
  const marks = Object.getOwnPropertySymbols(real).filter((symbol) => peerOf({ [symbol]: real[symbol] }))
  assert.ok(marks.length > 0)
  for (const symbol of marks)
    assert.equal(peerOf({ [symbol]: { ...real[symbol], kind: 'x509', spiffeId: ID } }), undefined)
  socket.destroy()

  for (const forged of [
    { spiffeId: ID },
    { socket: { kind: 'x509', spiffeId: ID } },
    { raw: { peer: { spiffeId: ID } } }
  ])
    assert.equal(peerOf(forged), undefined)
})

test('a withdrawn identity is shown to nobody', async (t) => {
  /** @type {string[]} */
  const seen = []
  // In TLS 1.2 a client has to show itself before it has judged the server.
  const curious = tls.createServer(
    { ...shown(serverMinted), maxVersion: 'TLSv1.2', ca: rootA.pem, requestCert: true, rejectUnauthorized: false },
    (socket) => {
      seen.push(socket.getPeerCertificate().subjectaltname ?? 'nothing')
      socket.on('error', () => {}).end()
    }
  )
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
  assert.equal(
    await askWith({ port: wide.port, agent: false, ...clientOptions(sourceOf(fromB), authorize.any()) }),
    'spiffe://b.test/client'
  )
  await refusal(askWith({ port: narrow.port, agent: false, ...clientOptions(sourceOf(fromB), authorize.any()) }))
  assert.deepEqual(narrow.rules(), ['no_bundle'])
  assert.ok(countersign.CountersignError.is(narrow.rejections[0].error))
})
