// JWT-SVIDs over HTTP: who is behind a request, with tokens that node:crypto signs.
import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import http from 'node:http'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { claims, countersign, newKey, token } from './support/spiffe-scene.mjs'
import { authorize, BundleSet, client, face, listening, serve, server, sourceOf } from './support/tls-scene.mjs'
import { countersignError } from './support/countersign-error.mjs'

const { bearer, peerOf, requireBearer } = face
const { JwtBundle, JwtSvid } = countersign
const key = newKey('P-256')
const bundle = new JwtBundle('example.org')
bundle.add('one', createPublicKey(key))
const bundles = new BundleSet([bundle])
const good = token({ alg: 'ES256', kid: 'one' }, claims(), key)
const ID = 'spiffe://example.org/billing'

/** @param {import('node:test').TestContext} t @param {any} verifier @param {any} options */
async function guarded(t, verifier, options) {
  /** @type {any[]} */
  const rejections = []
  const guard = requireBearer(verifier, { onReject: (/** @type {any} */ one) => rejections.push(one), ...options })
  const one = http.createServer((request, response) =>
    guard(request, response, () => {
      const peer = peerOf(request)
      response.end(`${peer?.kind} ${peer}`)
    })
  )
  const port = await listening(one)
  t.after(() => {
    one.close()
    one.closeAllConnections()
  })
  const ask = async (/** @type {Record<string, string>} */ headers = {}) => {
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers })
    return [response.status, response.headers.get('www-authenticate'), await response.text()]
  }
  return { ask, port, rejections }
}

const audience = 'shop'

test('a token says who is behind a request', async (t) => {
  const { ask, rejections } = await guarded(t, bundles, { audience })
  for (const scheme of ['Bearer', 'bearer', 'BEARER'])
    assert.deepEqual(await ask({ authorization: `${scheme} ${good}` }), [200, null, `jwt ${ID}`])
  assert.deepEqual(rejections, [])
})

test('a client gets its header from a source, fresh each time', async (t) => {
  const { ask } = await guarded(t, bundles, { audience })
  /** @type {any[]} */
  const asked = []
  const source = {
    fetch: async (/** @type {any} */ options) => {
      asked.push(options)
      return JwtSvid.parseInsecure(good)
    }
  }
  const authorization = bearer(source, audience)
  assert.deepEqual(await ask(await authorization()), [200, null, `jwt ${ID}`])
  const { signal } = new AbortController()
  await authorization({ signal })
  assert.deepEqual(asked, [{ audience }, { audience, signal }])
  assert.ok(!inspect(authorization, { showHidden: true, depth: 5 }).includes(good))
  // @ts-expect-error: the argument has a wrong type
  await assert.rejects(bearer({ fetch: async () => 'a text' }, audience)(), { code: 'ERR_SOURCE_FAILED' })
  const failing = bearer(
    {
      fetch: async () => {
        throw countersignError('ERR_TIMEOUT', 'late')
      }
    },
    audience
  )
  await assert.rejects(failing(), { code: 'ERR_TIMEOUT' })
  for (const wrong of [
    [undefined, audience],
    [{}, audience],
    [source, undefined],
    [source, ''],
    [source, ['shop']]
  ])
    assert.throws(() => bearer(.../** @type {[any, any]} */ (wrong)), { code: 'ERR_INVALID_ARGUMENT' })
})

test('who shows none, or a bad one, is answered as RFC 6750 says', async (t) => {
  const { ask, rejections } = await guarded(t, bundles, { audience, authorize: authorize.memberOf('example.org') })
  const other = newKey('P-256')
  for (const [
    authorization,
    status,
    challenge,
    rule
  ] of /** @type {[string | undefined, number, string, string][]} */ ([
    [undefined, 401, 'Bearer', 'missing_token'],
    ['Basic dXNlcjpwYXNz', 401, 'Bearer', 'missing_token'],
    ['', 401, 'Bearer', 'missing_token'],
    ['Bearer', 400, 'Bearer error="invalid_request"', 'malformed_request'],
    ['Bearer ', 400, 'Bearer error="invalid_request"', 'malformed_request'],
    [`Bearer ${good} ${good}`, 400, 'Bearer error="invalid_request"', 'malformed_request'],
    [`Bearer "${good}"`, 400, 'Bearer error="invalid_request"', 'malformed_request'],
    ['Bearer nonsense', 401, 'Bearer error="invalid_token", error_description="not_compact"', 'not_compact'],
    [
      `Bearer ${token({ alg: 'ES256', kid: 'one' }, claims({ exp: 1000 }), key)}`,
      401,
      'Bearer error="invalid_token", error_description="expired"',
      'expired'
    ],
    [
      `Bearer ${token({ alg: 'ES256', kid: 'one' }, claims({ aud: ['other'] }), key)}`,
      401,
      'Bearer error="invalid_token", error_description="audience_mismatch"',
      'audience_mismatch'
    ],
    [
      `Bearer ${token({ alg: 'ES256', kid: 'one' }, claims(), other)}`,
      401,
      'Bearer error="invalid_token", error_description="invalid_signature"',
      'invalid_signature'
    ],
    [
      `Bearer ${token({ alg: 'ES256', kid: 'one' }, claims({ sub: 'spiffe://other.org/x' }), key)}`,
      401,
      'Bearer error="invalid_token", error_description="no_bundle"',
      'no_bundle'
    ]
  ])) {
    rejections.length = 0
    const answer = await ask(authorization === undefined ? {} : { authorization })
    assert.deepEqual(answer.slice(0, 2), [status, challenge])
    assert.deepEqual(
      rejections.map((one) => [one.side, one.rule]),
      [['server', rule]]
    )
  }
})

test('who is proven and not welcome gets 403; what the token claimed is told, the token never', async (t) => {
  const { ask, rejections } = await guarded(t, bundles, {
    audience,
    authorize: authorize.id('spiffe://example.org/other')
  })
  assert.deepEqual((await ask({ authorization: `Bearer ${good}` })).slice(0, 2), [
    403,
    'Bearer error="insufficient_scope"'
  ])
  const [{ rule, claimedIds, remoteAddress }] = rejections
  assert.deepEqual(
    { rule, claimedIds, remoteAddress },
    { rule: 'not_authorized', claimedIds: [ID], remoteAddress: '127.0.0.1' }
  )
  assert.ok(!inspect(rejections, { depth: 9, showHidden: true }).includes(good.split('.')[2]))
  const failing = await guarded(t, bundles, { audience, authorize: async () => true })
  assert.equal((await failing.ask({ authorization: `Bearer ${good}` }))[0], 403)
  assert.equal(failing.rejections[0].rule, 'authorizer_failed')
})

test('two Authorization headers are a bad request', async (t) => {
  const { port, rejections } = await guarded(t, bundles, { audience })
  const status = await new Promise((resolve, reject) => {
    const request = http.request({ port, host: '127.0.0.1' }, (response) => resolve(response.resume().statusCode))
    request.setHeader('authorization', [`Bearer ${good}`, 'Bearer other'])
    request.on('error', reject).end()
  })
  assert.equal(status, 400)
  assert.equal(rejections[0].rule, 'malformed_request')
})

test('a source may judge', async (t) => {
  /** @type {any[]} */
  const asked = []
  const validate = async (/** @type {string} */ text, /** @type {any} */ options) => {
    asked.push(options)
    return countersign.verifyJwtSvid(text, bundles, options)
  }
  const { ask } = await guarded(t, { validate }, { audience: ['shop', 'store'], leeway: 1000 })
  assert.deepEqual(await ask({ authorization: `Bearer ${good}` }), [200, null, `jwt ${ID}`])
  assert.deepEqual(asked, [{ audience: ['shop', 'store'], leeway: 1000 }])
  for (const [wrong, code] of /** @type {[any, string][]} */ ([
    [async () => true, 'ERR_SOURCE_FAILED'],
    [async () => ({ spiffeId: ID }), 'ERR_SOURCE_FAILED'],
    [
      () => {
        throw new Error('down')
      },
      'ERR_SOURCE_FAILED'
    ],
    [
      async () => {
        throw countersignError('ERR_TIMEOUT', 'late')
      },
      'ERR_TIMEOUT'
    ]
  ])) {
    const { ask, rejections } = await guarded(t, { validate: wrong }, { audience })
    assert.deepEqual((await ask({ authorization: `Bearer ${good}` })).slice(0, 2), [503, null])
    assert.equal(rejections[0].code, code)
  }
})

test('the peer of a request is the one of its token, that of its socket is still there', async (t) => {
  const { port, server: one } = await serve(t, sourceOf(server), authorize.any())
  const guard = requireBearer(bundles, { audience })
  one.removeAllListeners('request')
  one.on('request', (request, response) =>
    guard(request, response, () => response.end(`${peerOf(request)} by ${peerOf(request.socket)}`))
  )
  const spiffeFetch = face.createFetch(sourceOf(client), authorize.any())
  const answer = await spiffeFetch(`https://localhost:${port}/`, { headers: { authorization: `Bearer ${good}` } })
  assert.equal(await answer.text(), `${ID} by spiffe://a.test/client`)
  await spiffeFetch.close()
})

test('what cannot be meant is an error at once', () => {
  const wrong = (/** @type {any[]} */ ...args) =>
    assert.throws(() => requireBearer(.../** @type {[any, any]} */ (args)), { code: 'ERR_INVALID_ARGUMENT' })
  wrong(undefined, { audience })
  wrong(bundles, {})
  wrong(bundles, { audience: [] })
  wrong(bundles, { audience: '' })
  wrong(bundles, { audience: [1] })
  wrong(bundles, { audience, authorize: undefined })
  wrong(bundles, { audience, leeway: 1e9 })
  wrong(bundles, { audience, audiences: 'x' })
  wrong({ validate() {} }, {})
})
