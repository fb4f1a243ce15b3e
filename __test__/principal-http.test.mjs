// Who may pass: the guard in front of handlers, over real requests.
import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { after, test } from 'node:test'
import { BundleSet, JwtBundle } from 'countersign'
import {
  CliResolver,
  CountersignError,
  getPrincipal,
  HumanPrincipal,
  JwtSvidResolver,
  requirePrincipal,
  SessionResolver,
  statusOf,
  WhoamiResolver
} from 'countersign/principal'
import { failing, TENANT } from './support/principal-scene.mjs'
import { claims, newKey, token } from './support/spiffe-scene.mjs'

const key = newKey('P-256')
const bundle = new JwtBundle('example.org')
bundle.add('one', createPublicKey(key))
const tokens = new JwtSvidResolver({ bundles: new BundleSet([bundle]), audience: 'shop', trustDomain: 'example.org' })
const minted = (/** @type {any} */ changes) =>
  token(
    { alg: 'ES256', kid: 'one' },
    claims({ sub: 'spiffe://example.org/billing/blue', tid: TENANT, ...changes }),
    key,
    'ES256'
  )
const human = new HumanPrincipal({ userId: TENANT, tenantId: TENANT, sessionId: TENANT })
const sessions = new SessionResolver({
  session: (req) =>
    req.headers.cookie === 'sid=1' ? { userId: TENANT, tenantId: TENANT, sessionId: TENANT } : undefined
})

/** @type {(() => void)[]} */
const open = []
after(() => {
  for (const close of open) close()
})
/** @param {http.RequestListener} handler */
async function serve(handler) {
  const server = http.createServer(handler).listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return /** @type {net.AddressInfo} */ (server.address()).port
}
/** @param {any} guard */
const guarded = (guard) =>
  serve(async (req, res) => {
    if (await guard(req, res)) res.end(`hello ${getPrincipal(req)}`)
  })
/** @param {number} port @param {Record<string, string>} [headers] */
async function ask(port, headers) {
  const response = await fetch(`http://127.0.0.1:${port}/`, { headers })
  return {
    status: response.status,
    text: await response.text(),
    challenge: response.headers.get('www-authenticate'),
    cache: response.headers.get('cache-control')
  }
}
const bearer = (/** @type {any} */ changes) => ({ authorization: `Bearer ${minted(changes)}` })

test('node:http: the principal, or an answer', async () => {
  const port = await guarded(requirePrincipal(tokens))
  assert.deepEqual(await ask(port, bearer({})), {
    status: 200,
    text: 'hello spiffe://example.org/billing/blue',
    challenge: null,
    cache: null
  })
  assert.deepEqual(await ask(port), {
    status: 401,
    text: '{"error":"not_authenticated"}',
    challenge: 'Bearer',
    cache: 'no-store'
  })
  assert.deepEqual(await ask(port, bearer({ exp: 1 })), {
    status: 401,
    text: '{"error":"not_authenticated"}',
    challenge: 'Bearer error="invalid_token"',
    cache: 'no-store'
  })
  // Another name than it must have: a 401 as well.
  assert.equal((await ask(port, bearer({ sub: 'spiffe://example.org/a' }))).status, 401)
})

test('what is taken for a bearer token', async () => {
  const port = await guarded(requirePrincipal(tokens))
  const text = minted({})
  for (const authorization of [`Bearer ${text}`, `bearer ${text}`, `BEARER   ${text}`])
    assert.equal((await ask(port, { authorization })).status, 200, authorization.slice(0, 9))
  for (const [authorization, challenge] of /** @type {const} */ ([
    ['Basic dXNlcjpwYXNz', 'Bearer'],
    [text, 'Bearer'],
    [`Bearer${text}`, 'Bearer'],
    ['', 'Bearer'],
    [`Token Bearer ${text}`, 'Bearer'],
    ['Bearer', 'Bearer error="invalid_token"'],
    ['Bearer ', 'Bearer error="invalid_token"'],
    [`Bearer ${text} ${text}`, 'Bearer error="invalid_token"'],
    [`Bearer ${text},x`, 'Bearer error="invalid_token"'],
    [`Bearer "${text}"`, 'Bearer error="invalid_token"']
  ])) {
    const answer = await ask(port, { authorization })
    assert.deepEqual([answer.status, answer.challenge], [401, challenge], authorization.slice(0, 20))
  }
})

test('two Authorization headers: whoever looked at the other one was deceived', async () => {
  const port = await guarded(requirePrincipal(tokens))
  const raw = async (/** @type {string[]} */ lines) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.end(`GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines.join('\r\n')}\r\n\r\n`)
    let text = ''
    for await (const chunk of socket.setEncoding('utf8')) text += chunk
    return text.slice(9, 12)
  }
  const good = `Authorization: Bearer ${minted({})}`
  assert.equal(await raw([good]), '200')
  assert.equal(await raw([good, 'Authorization: Bearer x']), '401')
  assert.equal(await raw([good, good]), '401')
  assert.equal(await raw(['AUTHORIZATION: Basic eA==', good]), '401')
})

test('callbacks, as Express calls them', async () => {
  const guard = requirePrincipal(tokens)
  const port = await serve((req, res) => {
    let called = 0
    const returned = guard(req, res, (error) => {
      called++
      res.end(error ? `error ${error}` : `${/** @type {any} */ (req).principal} ${called}`)
    })
    assert.equal(returned, undefined)
  })
  assert.equal((await ask(port, bearer({}))).text, 'spiffe://example.org/billing/blue 1')
  assert.equal((await ask(port)).status, 401)
})

test('the kind: 403 for the other one', async () => {
  const port = await guarded(requirePrincipal([tokens, sessions], { kind: 'human' }))
  assert.equal((await ask(port, { cookie: 'sid=1' })).text, `hello ${TENANT}`)
  assert.deepEqual(await ask(port, bearer({})), {
    status: 403,
    text: '{"error":"forbidden"}',
    challenge: null,
    cache: 'no-store'
  })
  assert.equal((await ask(port)).status, 401)
})

test('authorize: only a clear yes is one', async () => {
  /** @type {any} */
  let verdict
  const port = await guarded(
    requirePrincipal(tokens, {
      authorize: async (principal, req) => {
        assert.equal(principal.kind, 'workload')
        assert.ok(req.headers)
        return verdict()
      }
    })
  )
  for (const [given, status] of /** @type {const} */ ([
    [() => true, 200],
    [() => false, 403],
    [() => undefined, 500],
    [() => 1, 500],
    [() => 'true', 500],
    [
      () => {
        throw new Error('policy engine')
      },
      500
    ]
  ])) {
    verdict = given
    const answer = await ask(port, bearer({}))
    assert.equal(answer.status, status)
    assert.ok(!answer.text.includes('policy'), answer.text)
  }
})

test('several sources: the first that finds a credential decides', async () => {
  const order = /** @type {string[]} */ ([])
  const noting = (/** @type {string} */ name, /** @type {any} */ source) => ({
    forRequest: (/** @type {any} */ req) => {
      order.push(name)
      return source.forRequest(req)
    }
  })
  const port = await guarded(requirePrincipal([noting('tokens', tokens), noting('sessions', sessions)]))
  assert.equal((await ask(port, { cookie: 'sid=1' })).status, 200)
  assert.deepEqual(order.splice(0), ['tokens', 'sessions'])
  assert.equal((await ask(port, { cookie: 'sid=1', ...bearer({}) })).text, 'hello spiffe://example.org/billing/blue')
  assert.deepEqual(order.splice(0), ['tokens'])
  // A bad token is not made good by a session.
  assert.equal((await ask(port, { cookie: 'sid=1', ...bearer({ exp: 1 }) })).status, 401)
  assert.deepEqual(order.splice(0), ['tokens'])
  assert.equal((await ask(port)).status, 401)
})

test('functions: a principal, a resolver, nobody; anything else is our own fault', async () => {
  /** @type {any} */
  let given
  const port = await guarded(requirePrincipal((/** @type {any} */ req) => given(req)))
  for (const [value, status] of /** @type {[any, number][]} */ ([
    [() => human, 200],
    [async () => human, 200],
    [() => tokens.for(minted({})), 200],
    [() => tokens.for(minted({ exp: 1 })), 401],
    [() => undefined, 401],
    [() => null, 401],
    [() => true, 500],
    [() => ({ kind: 'human' }), 500],
    [() => ({ resolve: async () => ({ kind: 'human' }) }), 500],
    [
      () => {
        throw new TypeError('x')
      },
      500
    ],
    [
      async () => {
        throw new CountersignErrorLike()
      },
      500
    ]
  ])) {
    given = value
    assert.equal((await ask(port)).status, status, String(value))
  }
})
class CountersignErrorLike extends Error {
  code = 'ERR_NOT_AUTHENTICATED'
}

test('whoever says who this process is cannot say who sends a request', () => {
  const cli = new CliResolver({ trustDomain: 'td', serviceName: 'a', tenantId: TENANT, tenantSlug: 'b' })
  for (const source of [
    cli,
    [cli],
    new WhoamiResolver({ trustDomain: 'td', tenantId: TENANT, tenantSlug: 'b' }),
    tokens.for('x'),
    undefined,
    null,
    5,
    {},
    [],
    [tokens, undefined],
    human
  ]) {
    assert.equal(
      failing(() => requirePrincipal(/** @type {any} */ (source))),
      'ARGUMENT'
    )
  }
  for (const options of [
    { kind: 'robot' },
    { kind: undefined },
    { authorize: undefined },
    { authorize: true },
    { onRefuse: 'x' },
    { kinds: 'human' },
    null
  ]) {
    assert.equal(
      failing(() => requirePrincipal(tokens, /** @type {any} */ (options))),
      'ARGUMENT',
      JSON.stringify(options)
    )
  }
})

test('onRefuse answers in our place, and learns why', async () => {
  const seen = /** @type {any[]} */ ([])
  const port = await guarded(
    requirePrincipal(tokens, {
      onRefuse: (error, answer, _req, res) => {
        seen.push([/** @type {any} */ (error).code, /** @type {any} */ (error).cause?.rule, answer.status])
        res.writeHead(302, { location: '/login' }).end()
      }
    })
  )
  assert.equal(
    (await fetch(`http://127.0.0.1:${port}/`, { redirect: 'manual', headers: bearer({ aud: 'bank' }) })).status,
    302
  )
  assert.deepEqual(seen, [['ERR_NOT_AUTHENTICATED', 'audience_mismatch', 401]])
})

test('onRefuse that throws: nobody passes, and the framework hears of it', async () => {
  const guard = requirePrincipal(tokens, {
    onRefuse: () => {
      throw new Error('broken page')
    }
  })
  const port = await serve((req, res) => {
    guard(req, res, (error) => {
      res.statusCode = 500
      res.end(String(error?.message))
    })
  })
  assert.deepEqual(await ask(port).then(({ status, text }) => [status, text]), [500, 'broken page'])
})

test('a handler without a guard', async () => {
  const port = await serve((req, res) => {
    try {
      res.end(String(getPrincipal(req)))
    } catch (error) {
      res.statusCode = statusOf(error)
      res.end(/** @type {any} */ (error).code)
    }
  })
  assert.deepEqual(await ask(port, bearer({})).then(({ status, text }) => [status, text]), [500, 'ERR_NO_PRINCIPAL'])
  for (const req of [undefined, null, 5, {}])
    assert.equal(
      failing(() => getPrincipal(/** @type {any} */ (req))),
      'NO_PRINCIPAL'
    )
  // What anybody could write there is not believed.
  assert.equal(
    failing(() => getPrincipal(/** @type {any} */ ({ principal: human }))),
    'NO_PRINCIPAL'
  )
})

test('statuses of errors', () => {
  const { CountersignError: Made } = /** @type {any} */ ({ CountersignError })
  for (const code of [
    'ERR_NOT_AUTHENTICATED',
    'ERR_INVALID_SPIFFE_ID',
    'ERR_INVALID_TRUST_DOMAIN',
    'ERR_INVALID_COMPONENT',
    'ERR_INVALID_ID',
    'ERR_INVALID_PRINCIPAL'
  ])
    assert.equal(statusOf(new Made(code, '')), 401)
  assert.equal(statusOf(new Made('ERR_PRINCIPAL_DENIED', '')), 403)
  for (const error of [
    new Made('ERR_NO_PRINCIPAL', ''),
    new Made('ERR_INVALID_ARGUMENT', ''),
    new Error('x'),
    undefined,
    'x',
    { code: 'ERR_NOT_AUTHENTICATED' }
  ])
    assert.equal(statusOf(error), 500)
})

test('an answer that has begun is broken off', async () => {
  const guard = requirePrincipal(tokens)
  const port = await serve(async (req, res) => {
    res.writeHead(200)
    res.write('x')
    await guard(req, res)
  })
  await assert.rejects(ask(port))
})
