// Keys of OIDC providers over https: slow, huge, redirecting, lying and rotating servers.
import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import { after, before, test } from 'node:test'
import { inspect } from 'node:util'
import { exportJWK, SignJWT } from 'jose'
import { OidcResolver } from 'countersign/principal'
import { entryPoint, runScript } from './support/child.mjs'
import { freePort } from './support/free-port.mjs'
import { outcome, TENANT } from './support/principal-scene.mjs'
import { authority, CA, leaf, newKey } from './support/spiffe-scene.mjs'

const root = authority('example.org', CA)
const certificate = leaf(root, 'spiffe://example.org/idp', { subjectAltName: 'IP:127.0.0.1' })
const wrongName = leaf(root, 'spiffe://example.org/idp', { subjectAltName: 'IP:127.0.0.2' })

/** @typedef {(req: http.IncomingMessage, res: http.ServerResponse) => void} Handler */
/** @type {Record<string, Handler>} */
const routes = {}
/** @type {string[]} */
let asked = []
/** @type {https.Server} */
let server
/** @type {string} */
let origin
/** @param {any} [tls] */
async function listen(tls) {
  const listener = https
    .createServer({ key: certificate.keyPem, cert: certificate.pem, ...tls }, (req, res) => {
      asked.push(`${req.url}`)
      const route = routes[String(req.url)]
      if (route) return route(req, res)
      res.writeHead(404).end()
    })
    .listen(0, '127.0.0.1')
  await once(listener, 'listening')
  return listener
}
const originOf = (/** @type {https.Server} */ listener) =>
  `https://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (listener.address()).port}`
before(async () => {
  server = await listen()
  origin = originOf(server)
})
after(() => {
  server.closeAllConnections()
  server.close()
})

const keys = { one: newKey('P-256'), two: newKey('P-256') }
const jwks = async (/** @type {string[]} */ ...names) =>
  JSON.stringify({
    keys: await Promise.all(
      names.map(async (kid) => ({ ...(await exportJWK(createPublicKey(keys[/** @type {'one'} */ (kid)]))), kid }))
    )
  })
const both = await jwks('one', 'two')
const one = await jwks('one')
/** @param {string} [kid] @param {any} [changes] */
const signed = (kid = 'one', changes) =>
  new SignJWT({ iss: origin, aud: 'api', exp: Math.floor(Date.now() / 1000) + 300, ...changes })
    .setProtectedHeader({ alg: 'ES256', kid })
    .sign(keys[/** @type {'one'} */ (kid)] ?? keys.one)
const json = (/** @type {string} */ text) => (/** @type {any} */ _, /** @type {http.ServerResponse} */ res) => {
  res.writeHead(200, { 'content-type': 'application/json' }).end(text)
}

let paths = 0
/** A resolver whose keys are behind this handler. @param {Handler} handler @param {any} [options] */
function behind(handler, options) {
  const path = `/keys/${++paths}`
  routes[path] = handler
  asked = []
  return new OidcResolver({
    issuer: origin,
    audience: 'api',
    trustDomain: 'example.org',
    tenantId: TENANT,
    jwksUri: `${origin}${path}`,
    ca: root.pem,
    map: () => ({ serviceName: 'a', tenantSlug: 'b' }),
    fetchTimeout: 1500,
    ...options
  })
}
/** @param {OidcResolver} resolver @param {string} [kid] */
const ask = async (resolver, kid) =>
  (await outcome(resolver.for(await signed(kid)).resolve())).replace('NOT_AUTHENTICATED ', '')
const UNAVAILABLE = 'unavailable ERR_KEYS_UNAVAILABLE'

test('keys are fetched once for everybody, and kept', async () => {
  const resolver = behind(json(both))
  assert.deepEqual(
    await Promise.all(Array.from({ length: 20 }, (_, index) => ask(resolver, index % 2 ? 'one' : 'two'))),
    Array(20).fill('resolved')
  )
  assert.equal(await ask(resolver), 'resolved')
  assert.equal(asked.length, 1)
})

test('a server that is not who it should be', async () => {
  for (const options of [{ ca: undefined }, { ca: authority('other.org', CA).pem }])
    assert.equal(await ask(behind(json(both), options)), UNAVAILABLE)
  const liar = await listen({ key: wrongName.keyPem, cert: wrongName.pem })
  routes['/liar'] = json(both)
  assert.equal(await ask(behind(json(both), { jwksUri: `${originOf(liar)}/liar` })), UNAVAILABLE)
  liar.close()
  const plain = http.createServer((_, res) => res.end(both)).listen(0, '127.0.0.1')
  await once(plain, 'listening')
  assert.equal(
    await ask(behind(json(both), { jwksUri: `https://127.0.0.1:${/** @type {any} */ (plain.address()).port}/` })),
    UNAVAILABLE
  )
  plain.close()
  assert.equal(await ask(behind(json(both), { jwksUri: `https://127.0.0.1:${await freePort()}/` })), UNAVAILABLE)
})

test('no environment variable switches the judge of certificates off', async () => {
  routes['/env'] = json(both)
  const script = `const { OidcResolver } = require(${JSON.stringify(entryPoint('countersign/principal'))})
    new OidcResolver({ issuer: ${JSON.stringify(origin)}, audience: 'api', trustDomain: 'example.org',
      tenantId: '${TENANT}', jwksUri: ${JSON.stringify(`${origin}/env`)},
        map: () => ({ serviceName: 'a', tenantSlug: 'b' }) })
      .for(${JSON.stringify(await signed())}).resolve()
        .then(() => console.log('resolved'), (error) => console.log(error.reason, error.cause.code))`
  const { stdout } = await runScript(script, { env: { NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_NO_WARNINGS: '1' } })
  assert.equal(stdout.trim(), 'unavailable ERR_KEYS_UNAVAILABLE')
})

test('a redirect is not followed, wherever it leads', async () => {
  for (const status of [301, 302, 303, 307, 308]) {
    routes['/elsewhere'] = json(both)
    assert.equal(
      await ask(behind((_, res) => res.writeHead(status, { location: `${origin}/elsewhere` }).end())),
      UNAVAILABLE
    )
    assert.ok(!asked.includes('/elsewhere'))
  }
})

test('answers that are none', async () => {
  for (const status of [201, 204, 400, 401, 404, 500, 503])
    assert.equal(await ask(behind((_, res) => res.writeHead(status).end(both))), UNAVAILABLE, String(status))
  for (const text of ['', '{', '[]', 'null', '<html>', '{"keys":5}', '{}', `${both}x`, '{"keys":[],"keys":[]}'])
    assert.equal(await ask(behind(json(text))), UNAVAILABLE, text)
  assert.equal(await ask(behind((_, res) => res.writeHead(200, { 'content-encoding': 'gzip' }).end(both))), UNAVAILABLE)
  assert.equal(await ask(behind((_, res) => res.socket?.destroy())), UNAVAILABLE)
  assert.equal(
    await ask(
      behind((_, res) => {
        res.writeHead(200, { 'content-length': 1000 }).write(both.slice(0, 50))
        setTimeout(() => res.socket?.destroy(), 20)
      })
    ),
    UNAVAILABLE
  )
  assert.equal(await ask(behind(json('{"keys":[]}'))), 'refused unknown_key_id')
})

test('a huge answer is not read to its end', async () => {
  let sent = 0
  const resolver = behind((_req, res) => {
    res.writeHead(200)
    const write = () => {
      while (!res.destroyed && res.write(Buffer.alloc(65536, ' '))) sent += 65536
      if (!res.destroyed) res.once('drain', write)
    }
    write()
  })
  assert.equal(await ask(resolver), UNAVAILABLE)
  assert.ok(sent < 16 * 1024 * 1024, String(sent))
})

test('a slow server, and one that drips, are given up on', async () => {
  for (const handler of /** @type {Handler[]} */ ([
    () => {},
    (_, res) => {
      res.writeHead(200)
      res.flushHeaders()
    },
    (_, res) => {
      res.writeHead(200)
      const timer = setInterval(() => (res.destroyed ? clearInterval(timer) : res.write(' ')), 20)
    }
  ])) {
    const started = performance.now()
    assert.equal(await ask(behind(handler, { fetchTimeout: 200 })), UNAVAILABLE)
    assert.ok(performance.now() - started < 1400)
  }
})

test('a call that is taken back does not take the keys from the others', async () => {
  const resolver = behind((_, res) => {
    setTimeout(() => res.end(both), 150)
  })
  const text = await signed()
  const taken = resolver.for(text).resolve({ signal: AbortSignal.timeout(20) })
  const other = resolver.for(text).resolve()
  await assert.rejects(taken, { name: 'TimeoutError' })
  await other
  assert.equal(asked.length, 1)
})

/** A clock that a test moves on. @param {import('node:test').TestContext} t */
function clock(t) {
  const start = performance.now()
  let ahead = 0
  const real = performance.now.bind(performance)
  t.mock.method(performance, 'now', () => real() + ahead)
  return {
    pass: (/** @type {number} */ milliseconds) => {
      ahead += milliseconds
    },
    start
  }
}

test('rotation: a key nobody has heard of makes us look again, at most every 30 seconds', async (t) => {
  const time = clock(t)
  let answer = one
  const resolver = behind((_, res) => {
    res.end(answer)
  })
  assert.equal(await ask(resolver, 'one'), 'resolved')
  // Just fetched: whoever makes up key IDs costs the provider nothing.
  for (let round = 0; round < 50; round++) assert.equal(await ask(resolver, 'two'), 'refused unknown_key_id')
  assert.equal(asked.length, 1)
  answer = both
  time.pass(31_000)
  assert.equal(await ask(resolver, 'two'), 'resolved')
  assert.equal(asked.length, 2)
  time.pass(31_000)
  assert.deepEqual(
    await Promise.all(['x', 'y', 'z'].map((kid) => ask(resolver, kid))),
    Array(3).fill('refused unknown_key_id')
  )
  assert.equal(asked.length, 3)
  // A token without a key ID is no reason to look.
  time.pass(31_000)
  const nameless = await new SignJWT({ iss: origin, aud: 'api', exp: 9999999999 })
    .setProtectedHeader({ alg: 'ES256' })
    .sign(keys.one)
  assert.equal(await outcome(resolver.for(nameless).resolve()), 'NOT_AUTHENTICATED refused missing_key_id')
  assert.equal(asked.length, 3)
})

test('keys age: a key that is taken back is not believed for long', async (t) => {
  const time = clock(t)
  let answer = both
  const resolver = behind((_, res) => {
    res.end(answer)
  })
  assert.equal(await ask(resolver, 'two'), 'resolved')
  answer = one
  time.pass(590_000)
  assert.equal(await ask(resolver, 'two'), 'resolved')
  time.pass(20_000)
  assert.equal(await ask(resolver, 'two'), 'refused unknown_key_id')
  assert.equal(await ask(resolver, 'one'), 'resolved')
})

test('a provider that is away: old keys do for an hour, and then nobody is authenticated', async (t) => {
  const time = clock(t)
  let away = false
  const resolver = behind((_, res) => {
    away ? res.writeHead(503).end() : res.end(both)
  })
  assert.equal(await ask(resolver), 'resolved')
  away = true
  for (let minute = 0; minute < 59; minute += 5) {
    assert.equal(await ask(resolver), 'resolved', `${minute}`)
    time.pass(300_000)
  }
  assert.equal(await ask(resolver), UNAVAILABLE)
  away = false
  time.pass(60_000)
  assert.equal(await ask(resolver), 'resolved')
})

test('a provider that never answered is not asked again and again', async (t) => {
  const time = clock(t)
  const resolver = behind((_, res) => {
    res.writeHead(500).end()
  })
  for (let round = 0; round < 20; round++) assert.equal(await ask(resolver), UNAVAILABLE)
  assert.equal(asked.length, 1)
  const pauses = []
  for (let second = 1; second <= 120; second++) {
    time.pass(1000)
    const before = asked.length
    await ask(resolver)
    if (asked.length > before) pauses.push(second)
  }
  assert.deepEqual(pauses, [1, 3, 7, 15, 31, 61, 91])
})

test("where the keys are: by the provider's own configuration", async () => {
  const issuer = `${origin}/realms/acme`
  const path = '/realms/acme/.well-known/openid-configuration'
  const config = (/** @type {any} */ changes) =>
    JSON.stringify({ issuer, jwks_uri: `${origin}/discovered`, ...changes })
  routes['/discovered'] = json(both)
  const resolver = (/** @type {any} */ more) =>
    new OidcResolver({
      issuer,
      audience: 'api',
      trustDomain: 'example.org',
      tenantId: TENANT,
      ca: root.pem,
      fetchTimeout: 1500,
      map: () => ({ serviceName: 'a', tenantSlug: 'b' }),
      ...more
    })
  const judged = async (/** @type {any} */ more) =>
    (
      await outcome(
        resolver(more)
          .for(await signed('one', { iss: more?.issuer ?? issuer }))
          .resolve()
      )
    ).replace('NOT_AUTHENTICATED ', '')
  routes[path] = json(config({}))
  assert.equal(await judged({}), 'resolved')
  // Discovery 4.1: a slash at the end is not doubled. The name in tokens is another one.
  routes[path] = json(config({ issuer: `${issuer}/` }))
  assert.equal(await judged({ issuer: `${issuer}/` }), 'resolved')
  assert.equal(await judged({}), UNAVAILABLE)
  for (const text of [
    config({ issuer: 'https://evil' }),
    config({ issuer: undefined }),
    config({ jwks_uri: undefined }),
    config({ jwks_uri: origin.replace('https', 'http') }),
    config({ jwks_uri: 'file:///etc/passwd' }),
    'null',
    '{',
    ''
  ]) {
    routes[path] = json(text)
    assert.equal(await judged({}), UNAVAILABLE, text)
  }
  routes[path] = json(config({ pad: 'x'.repeat(70_000) }))
  assert.equal(await judged({}), UNAVAILABLE)
})

test('what is meant for the provider goes to nobody else', async () => {
  /** @type {(string | undefined)[]} */
  const seen = []
  const other = await listen()
  const issuer = `${origin}/k8s`
  routes['/k8s/.well-known/openid-configuration'] = (req, res) => {
    seen.push(req.headers.authorization)
    res.end(JSON.stringify({ issuer, jwks_uri: `${originOf(other)}/elsewhere/keys` }))
  }
  routes['/elsewhere/keys'] = (req, res) => {
    seen.push(req.headers.authorization)
    res.end(both)
  }
  const common = {
    audience: 'api',
    trustDomain: 'example.org',
    tenantId: TENANT,
    ca: root.pem,
    map: () => ({ serviceName: 'a', tenantSlug: 'b' })
  }
  const resolver = new OidcResolver({ ...common, issuer, headers: async () => ({ authorization: 'Bearer sa-token' }) })
  assert.equal(await outcome(resolver.for(await signed('one', { iss: issuer })).resolve()), 'resolved')
  assert.deepEqual(seen, ['Bearer sa-token', undefined])
  const named = new OidcResolver({
    ...common,
    issuer,
    jwksUri: `${originOf(other)}/elsewhere/keys`,
    headers: { authorization: 'Bearer own' }
  })
  assert.equal(await outcome(named.for(await signed('one', { iss: issuer })).resolve()), 'resolved')
  assert.deepEqual(seen.slice(2), ['Bearer own'])
  other.closeAllConnections()
  other.close()
})

test('an error names the place without its query, and no header', async () => {
  const resolver = behind(json(both), {
    jwksUri: `${origin}/missing?key=hunter2`,
    headers: { authorization: 'Bearer hunter3' }
  })
  const error = await resolver
    .for(await signed())
    .resolve()
    .then(
      () => assert.fail(),
      (error) => error
    )
  const shown = inspect(error, { depth: 9, showHidden: true })
  assert.equal(error.cause.url, `${origin}/missing`)
  assert.ok(!/hunter/.test(shown), shown)
})

test('a resolver keeps no process alive', async () => {
  const script = `const { OidcResolver } = require(${JSON.stringify(entryPoint('countersign/principal'))})
    const resolver = new OidcResolver({ issuer: ${JSON.stringify(origin)}, audience: 'api',
      trustDomain: 'example.org', tenantId: '${TENANT}', jwksUri: ${JSON.stringify(`${origin}/alive`)},
        ca: ${JSON.stringify(root.pem)}, map: () => ({ serviceName: 'a', tenantSlug: 'b' }) })
    resolver.for(${JSON.stringify(await signed())}).resolve().then(() => console.log('resolved'))`
  routes['/alive'] = json(both)
  const { stdout, code, took } = await runScript(script)
  assert.deepEqual([stdout.trim(), code], ['resolved', 0])
  assert.ok(took < 4000)
})
