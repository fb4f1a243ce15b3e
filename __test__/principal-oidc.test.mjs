// Tokens of OIDC providers, signed by jose, and everything an attacker would send instead.
import assert from 'node:assert/strict'
import { createHmac, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { exportJWK, exportSPKI, SignJWT, UnsecuredJWT } from 'jose'
import { HumanPrincipal, Issuer, OidcResolver, ReplayGuard, UserId, WorkloadPrincipal } from 'countersign/principal'
import { failing, OTHER_TENANT, outcome, TENANT } from './support/principal-scene.mjs'
import { newKey, token } from './support/spiffe-scene.mjs'

const ISSUER = 'https://issuer.example.com'
const KEYS = { rsa: newKey('2048'), p256: newKey('P-256'), p384: newKey('P-384'), p521: newKey('P-521') }
const jwk = async (/** @type {any} */ key, /** @type {any} */ more) => ({
  ...(await exportJWK(createPublicKey(key))),
  ...more
})
const jwks = { keys: await Promise.all(Object.entries(KEYS).map(([kid, key]) => jwk(key, { kid, use: 'sig' }))) }
const keyIdOf = (/** @type {string} */ algorithm) =>
  ({ ES256: 'p256', ES384: 'p384', ES512: 'p521' })[algorithm] ?? 'rsa'

const now = () => Math.floor(Date.now() / 1000)
/** @param {any} [changes] */
const good = (changes) => ({
  iss: ISSUER,
  aud: 'api',
  sub: 'runner',
  exp: now() + 300,
  iat: now(),
  ...changes
})
/** Signed by jose. @param {any} [claims] @param {any} [header] @param {any} [key] */
const signed = (claims, header, key) => {
  const head = { alg: 'ES256', kid: 'p256', ...header }
  return new SignJWT(good(claims)).setProtectedHeader(head).sign(key ?? KEYS[/** @type {'p256'} */ (keyIdOf(head.alg))])
}
const map = () => ({ serviceName: 'billing', tenantSlug: 'blue' })
const options = { issuer: ISSUER, audience: 'api', trustDomain: 'example.org', tenantId: TENANT, map, jwks }
/** @param {string} text @param {any} [changes] */
const judged = async (text, changes) =>
  (await outcome(new OidcResolver({ ...options, ...changes }).for(text).resolve())).replace(
    'NOT_AUTHENTICATED refused ',
    ''
  )

test('a good token is what the mapper says', async () => {
  const principal = await new OidcResolver({ ...options, map: ({ sub }) => ({ ...map(), attributes: { sub } }) })
    .for(await signed())
    .resolve()
  assert.ok(principal instanceof WorkloadPrincipal)
  assert.equal(
    principal.toWire(),
    '{"kind":"workload","workload_id":"spiffe://example.org/billing/blue","trust_domain":"example.org",' +
      `"issuer":{"kind":"oauth"},"tenant_id":"${TENANT}","tenant_slug":"blue","service_name":"billing",` +
      '"attributes":{"sub":"runner"}}'
  )
  const labelled = /** @type {WorkloadPrincipal} */ (
    await new OidcResolver({ ...options, principalIssuer: Issuer.custom('gitlab_ci') }).for(await signed()).resolve()
  )
  assert.equal(String(labelled.issuer), 'gitlab_ci')
})

test('with a userId it is a human', async () => {
  const sid = UserId.random()
  const principal = await new OidcResolver({
    ...options,
    map: ({ uid, sid }) => ({ userId: uid, sessionId: sid, attributes: { amr: ['pwd'] } })
  })
    .for(await signed({ uid: OTHER_TENANT, sid }))
    .resolve()
  assert.ok(principal instanceof HumanPrincipal)
  assert.deepEqual(
    [principal.userId, principal.tenantId, principal.sessionId, principal.attributes.amr],
    [OTHER_TENANT, TENANT, sid, ['pwd']]
  )
  assert.equal(await judged(await signed(), { map: () => ({ userId: 'runner' }) }), 'ID not_a_uuid')
})

test('algorithms: five by default, others by name, and none that rests on a shared secret', async () => {
  for (const alg of ['RS256', 'RS384', 'RS512', 'ES256', 'ES384'])
    assert.equal(await judged(await signed({}, { alg, kid: keyIdOf(alg) })), 'resolved', alg)
  for (const alg of ['PS256', 'PS384', 'PS512', 'ES512']) {
    const text = await signed({}, { alg, kid: keyIdOf(alg) })
    assert.equal(await judged(text), 'algorithm_not_allowed', alg)
    assert.equal(await judged(text, { algorithms: [alg] }), 'resolved', alg)
  }
  for (const alg of ['HS256', 'none', 'None', 'EdDSA', 'Ed25519', 'RS1', 'es256', ''])
    assert.equal(
      failing(() => new OidcResolver({ ...options, algorithms: /** @type {any} */ ([alg]) })),
      'ARGUMENT',
      alg
    )
  assert.equal(
    failing(() => new OidcResolver({ ...options, algorithms: [] })),
    'ARGUMENT'
  )
  assert.equal(await judged(await signed(), { algorithms: ['RS256'] }), 'algorithm_not_allowed')
})

test('an unsecured token', async () => {
  assert.equal(await judged(new UnsecuredJWT(good()).encode()), 'unsupported_algorithm')
  const [, body] = (await signed()).split('.')
  for (const alg of ['none', 'NONE', 'nOnE', '']) {
    const head = Buffer.from(JSON.stringify({ alg, kid: 'p256' })).toString('base64url')
    for (const signature of ['', 'AA'])
      assert.equal(await judged(`${head}.${body}.${signature}`), 'unsupported_algorithm', alg)
  }
})

test('algorithm confusion: the public key as a shared secret, in every form it has', async () => {
  const spki = await exportSPKI(createPublicKey(KEYS.rsa))
  const der = createPublicKey(KEYS.rsa).export({ format: 'der', type: 'spki' })
  for (const secret of [spki, der, JSON.stringify(jwks.keys[0]), '']) {
    for (const [alg, hash] of [
      ['HS256', 'sha256'],
      ['HS512', 'sha512']
    ]) {
      const text = [{ alg, kid: 'rsa', typ: 'JWT' }, good()]
        .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
        .join('.')
      assert.equal(
        await judged(`${text}.${createHmac(hash, secret).update(text).digest('base64url')}`),
        'unsupported_algorithm'
      )
    }
  }
})

test('a key of another type, or for another algorithm', async () => {
  assert.equal(await judged(await signed({}, { alg: 'ES256', kid: 'rsa' }, KEYS.p256)), 'algorithm_mismatch')
  assert.equal(await judged(await signed({}, { alg: 'RS256', kid: 'p256' }, KEYS.rsa)), 'algorithm_mismatch')
  assert.equal(await judged(await signed({}, { alg: 'ES384', kid: 'p256' }, KEYS.p384)), 'algorithm_mismatch')
  const only = { keys: [await jwk(KEYS.rsa, { kid: 'rsa', alg: 'RS512' })] }
  assert.equal(await judged(await signed({}, { alg: 'RS512', kid: 'rsa' }), { jwks: only }), 'resolved')
  assert.equal(await judged(await signed({}, { alg: 'RS256', kid: 'rsa' }), { jwks: only }), 'algorithm_mismatch')
})

test('the kid: there, known, and a name', async () => {
  assert.equal(await judged(await signed({}, { kid: undefined })), 'missing_key_id')
  assert.equal(await judged(await signed({}, { kid: '' })), 'missing_key_id')
  for (const kid of ['p255', 'P256', '../p256', 'p256\0', '0', '__proto__', "' OR 1=1", 'x'.repeat(4000)])
    assert.equal(await judged(await signed({}, { kid })), 'unknown_key_id', kid.slice(0, 9))
  assert.equal(await judged(token({ alg: 'ES256', kid: ['p256'] }, good(), KEYS.p256, 'ES256')), 'malformed_header')
  assert.equal(await judged(await signed({}, {}, newKey('P-256'))), 'invalid_signature')
})

test('keys that are not for this are left out', async () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const text = await signed({}, {}, privateKey)
  for (const more of [{ use: 'enc' }, { use: 'jwt-svid' }, { key_ops: ['sign'] }, { alg: 'HS256' }, { alg: 'ES384' }]) {
    assert.equal(
      await judged(text, { jwks: { keys: [await jwk(privateKey, { kid: 'p256', ...more })] } }),
      'unknown_key_id',
      JSON.stringify(more)
    )
  }
  // A provider that publishes a private key lets everybody sign.
  assert.equal(
    await judged(text, { jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'p256' }] } }),
    'unknown_key_id'
  )
  assert.equal(await judged(text, { jwks: { keys: [{ kty: 'oct', k: 'AAAA', kid: 'p256' }] } }), 'unknown_key_id')
  assert.equal(await judged(text, { jwks: { keys: [await jwk(privateKey, { kid: 'p256' })] } }), 'resolved')
})

test('a key in the token is not looked at', async () => {
  const attacker = newKey('P-256')
  for (const header of [
    { jwk: await jwk(attacker, {}) },
    { jku: 'https://evil.example/jwks' },
    { x5u: 'https://evil.example/x5u' },
    { x5c: ['AAAA'] }
  ]) {
    assert.equal(
      await judged(token({ alg: 'ES256', kid: 'p256', ...header }, good(), attacker, 'ES256')),
      'invalid_signature'
    )
    assert.equal(await judged(token({ alg: 'ES256', ...header }, good(), attacker, 'ES256')), 'missing_key_id')
  }
})

test('critical headers, and tokens for something else', async () => {
  for (const header of [{ crit: ['b64'], b64: false }, { crit: [] }, { crit: ['exp'], exp: 1 }])
    assert.equal(
      await judged(token({ alg: 'ES256', kid: 'p256', ...header }, good(), KEYS.p256, 'ES256')),
      'critical_header'
    )
  for (const typ of ['JWT', 'jwt', 'at+jwt', 'application/at+jwt'])
    assert.equal(await judged(await signed({}, { typ })), 'resolved', typ)
  for (const typ of ['logout+jwt', 'dpop+jwt', 'secevent+jwt', 'JOSE', ''])
    assert.equal(await judged(await signed({}, { typ })), 'invalid_type', typ)
})

test('issuer and audience, letter by letter', async () => {
  for (const iss of [`${ISSUER}/`, ISSUER.toUpperCase(), `${ISSUER}.evil`, 'https://evil', ''])
    assert.equal(await judged(await signed({ iss })), 'issuer_mismatch', iss)
  for (const iss of [undefined, null, [ISSUER], { a: ISSUER }, 5])
    assert.equal(await judged(await signed({ iss })), 'missing_issuer')
  for (const aud of ['API', 'ap', 'api ', ['other'], 'https://api'])
    assert.equal(await judged(await signed({ aud })), 'audience_mismatch')
  for (const aud of [undefined, [], '', ['']]) assert.equal(await judged(await signed({ aud })), 'missing_audience')
  for (const aud of [5, { api: true }, ['api', 5]])
    assert.equal(await judged(await signed({ aud })), 'invalid_audience')
  assert.equal(await judged(await signed({ aud: ['x', 'api'] })), 'resolved')
  assert.equal(await judged(await signed({ aud: 'b' }), { audience: ['a', 'b'] }), 'resolved')
})

test('time, with a minute of leeway', async () => {
  assert.equal(await judged(await signed({ exp: now() - 50 })), 'resolved')
  assert.equal(await judged(await signed({ exp: now() - 70 })), 'expired')
  assert.equal(await judged(await signed({ exp: now() - 50 }), { leeway: 0 }), 'expired')
  assert.equal(await judged(await signed({ exp: now() - 110 }), { leeway: 120_000 }), 'resolved')
  assert.equal(await judged(await signed({ exp: undefined })), 'missing_expiry')
  for (const exp of ['9999999999', 1e300, now() + 0.5, null, -1e18])
    assert.equal(await judged(await signed({ exp })), 'invalid_expiry', String(exp))
  assert.equal(await judged(await signed({ nbf: now() + 50 })), 'resolved')
  assert.equal(await judged(await signed({ nbf: now() + 70 })), 'not_yet_valid')
  assert.equal(await judged(await signed({ nbf: 'now' })), 'invalid_not_before')
  for (const leeway of [-1, 120_001, NaN, '5'])
    assert.equal(
      failing(() => new OidcResolver({ ...options, leeway: /** @type {any} */ (leeway) })),
      'ARGUMENT'
    )
})

test('members that are there twice', async () => {
  const twice = (/** @type {string} */ header, /** @type {string} */ claims) =>
    judged(token(header, claims, KEYS.p256, 'ES256'))
  const head = '{"alg":"ES256","kid":"p256"}'
  const body = JSON.stringify(good())
  assert.equal(await twice(head, body), 'resolved')
  assert.equal(await twice('{"alg":"none","alg":"ES256","kid":"p256"}', body), 'malformed_header')
  assert.equal(await twice('{"alg":"ES256","kid":"p256","kid":"x"}', body), 'malformed_header')
  assert.equal(await twice(head, body.replace('{', '{"iss":"https://evil",')), 'malformed_claims')
  assert.equal(await twice(head, body.replace('{', '{"repository":"a/b","repository":"acme/x",')), 'malformed_claims')
  assert.equal(
    await twice(head, body.replace('{', '{"kubernetes.io":{"namespace":"a","n\\u0061mespace":"b"},')),
    'malformed_claims'
  )
})

test('what is huge, deep, or no token at all, ends quickly', async () => {
  const started = performance.now()
  assert.equal(await judged(await signed({ pad: 'x'.repeat(7000) })), 'token_too_long')
  assert.equal(await judged('.'.repeat(8000)), 'not_compact')
  assert.equal(await judged('a'.repeat(1e7)), 'token_too_long')
  assert.equal(
    await judged(
      token(
        { alg: 'ES256', kid: 'p256' },
        JSON.stringify(good()).replace('{', `{"x":${'['.repeat(2000)}${']'.repeat(2000)},`),
        KEYS.p256
      )
    ),
    'malformed_claims'
  )
  for (const body of ['', '[]', 'null', '{', '\u{feff}{}'])
    assert.equal(
      await judged(token({ alg: 'ES256', kid: 'p256' }, body === '' ? '""' : body, KEYS.p256)),
      'malformed_claims'
    )
  const [head, body, signature] = (await signed()).split('.')
  for (const text of ['', '.', '..', head, `${head}.${body}`, `${head}.${body}.${signature}.`])
    assert.equal(await judged(text), 'not_compact', text)
  for (const text of [
    `${head}.${body}.${signature}=`,
    ` ${head}.${body}.${signature}`,
    `${head}.${body}.${signature}\n`,
    `${head}.${body}+.${signature}`
  ])
    assert.equal(await judged(text), 'malformed_base64')
  assert.ok(performance.now() - started < 5000)
})

test('the mapper sees claims that nobody can change, and only of tokens that are good', async () => {
  let seen = 0
  const mapper = (/** @type {any} */ claims) => {
    seen++
    assert.equal(Object.getPrototypeOf(claims), null)
    assert.ok(Object.isFrozen(claims) && Object.isFrozen(claims.deep) && Object.isFrozen(claims.deep.list))
    return map()
  }
  assert.equal(await judged(await signed({ deep: { list: [1] } }), { map: mapper }), 'resolved')
  assert.equal(await judged(await signed({ exp: 1 }), { map: mapper }), 'expired')
  assert.equal(seen, 1)
})

test("errors of the mapper are the program's fault; refusals and bad names are the caller's", async () => {
  const text = await signed()
  const broken = new TypeError('x is undefined')
  await assert.rejects(
    new OidcResolver({
      ...options,
      map: () => {
        throw broken
      }
    })
      .for(text)
      .resolve(),
    broken
  )
  for (const mapped of [
    undefined,
    null,
    5,
    [],
    {},
    { serviceName: 'a' },
    { serviceName: 'a', tenantSlug: 5 },
    { ...map(), tenant: 'x' },
    { ...map(), issuer: Issuer.cli },
    { userId: OTHER_TENANT, serviceName: 'x' }
  ]) {
    assert.equal(await judged(text, { map: async () => mapped }), 'ARGUMENT', inspect(mapped))
  }
  assert.equal(
    await judged(text, { map: () => ({ serviceName: '../x', tenantSlug: 'y' }) }),
    'COMPONENT service bad_path_segment_char'
  )
  assert.equal(
    await judged(text, { map: () => ({ ...map(), workloadId: 'spiffe://other.org/a/b' }) }),
    'SPIFFE_ID trust_domain_mismatch'
  )
  assert.equal(await judged(text, { map: () => ({ ...map(), workloadId: 'spiffe://example.org/a/b' }) }), 'resolved')
})

test('the tenant by the slug of the mapper', async () => {
  const tenantOf = (/** @type {string} */ slug) => (slug === 'blue' ? OTHER_TENANT : undefined)
  const principal = await new OidcResolver({ ...options, tenantId: undefined, tenantOf }).for(await signed()).resolve()
  assert.equal(principal.tenantId, OTHER_TENANT)
  assert.equal(
    await judged(await signed(), {
      tenantId: undefined,
      tenantOf,
      map: () => ({ serviceName: 'a', tenantSlug: 'green' })
    }),
    'NOT_AUTHENTICATED unknown_tenant'
  )
})

test('a token that is good for one use', async () => {
  const once = new ReplayGuard()
  const resolver = new OidcResolver({ ...options, once, map: ({ bad }) => (bad ? /** @type {any} */ ({}) : map()) })
  const text = await signed({ jti: 'a' })
  const all = await Promise.all([1, 2, 3].map(() => outcome(resolver.for(text).resolve())))
  assert.deepEqual(all.sort(), ['NOT_AUTHENTICATED replayed', 'NOT_AUTHENTICATED replayed', 'resolved'])
  assert.equal(await outcome(resolver.for(await signed({ jti: 'b' })).resolve()), 'resolved')
  for (const jti of [undefined, '', 5])
    assert.equal(await outcome(resolver.for(await signed({ jti })).resolve()), 'NOT_AUTHENTICATED refused')
  assert.equal(await outcome(resolver.for(await signed({ jti: 'c', bad: true })).resolve()), 'ARGUMENT')
  assert.equal(once.size, 2)
  // A ledger that does not say a clear yes says no.
  for (const verdict of [false, undefined, 'yes', 1])
    assert.equal(await judged(text, { once: { use: async () => verdict } }), 'NOT_AUTHENTICATED replayed')
  assert.equal(
    failing(() => new OidcResolver({ ...options, once: /** @type {any} */ ({}) })),
    'ARGUMENT'
  )
})

test('a replay guard that is full accepts nothing, until something has expired', () => {
  const guard = new ReplayGuard({ limit: 2 })
  const later = new Date(Date.now() + 60_000)
  assert.deepEqual([guard.use('a', new Date(0)), guard.use('b', later), guard.use('b', later)], [true, true, false])
  assert.deepEqual(
    [guard.use('c', later), guard.use('d', later), guard.use('b', later), guard.size],
    [true, false, false, 2]
  )
  for (const limit of [0, -1, 1.5, NaN, '5'])
    assert.equal(
      failing(() => new ReplayGuard({ limit: /** @type {any} */ (limit) })),
      'ARGUMENT'
    )
})

test('options that cannot mean anything are refused when the program starts', () => {
  const made = (/** @type {any} */ changes) => failing(() => new OidcResolver({ ...options, ...changes }))
  for (const changes of [
    { issuer: '' },
    { issuer: undefined },
    { audience: undefined },
    { audience: [] },
    { audience: [''] },
    { map: undefined },
    { map: {} },
    { tenantId: undefined },
    { principalIssuer: 'github' },
    { jwksUri: 'https://x' },
    { ca: 'x' },
    { headers: {} },
    { fetchTimeout: 5 },
    { jwks: 5 },
    { Issuer: 'x' },
    { token: 5 }
  ]) {
    assert.equal(made(changes), 'ARGUMENT', JSON.stringify(changes))
  }
  assert.equal(made({ jwks: '{}' }), 'BUNDLE')
  assert.equal(made({ jwks: { keys: 5 } }), 'BUNDLE')
  assert.equal(made({ jwks: '{"keys":[],"keys":[]}' }), 'BUNDLE')
  assert.equal(made({ trustDomain: 'Example' }), 'TRUST_DOMAIN bad_trust_domain_char')
  assert.equal(made({ jwks: JSON.stringify(jwks) }), 'accepted')
  assert.equal(made({ jwks: Buffer.from(JSON.stringify(jwks)) }), 'accepted')
  for (const jwksUri of [
    'http://issuer.example.com/keys',
    'file:///etc/passwd',
    'data:application/json,{"keys":[]}',
    'https://user:secret@issuer.example.com',
    'issuer.example.com',
    '',
    5
  ]) {
    assert.equal(made({ jwks: undefined, jwksUri }), 'ARGUMENT', String(jwksUri))
  }
  assert.equal(made({ jwks: undefined, issuer: 'http://issuer.example.com' }), 'ARGUMENT')
  assert.equal(made({ jwks: undefined, issuer: 'not a URL' }), 'ARGUMENT')
})

test('no error shows a token', async () => {
  for (const text of [
    await signed({ exp: 1 }),
    await signed({}, {}, newKey('P-256')),
    await signed({ iss: 'x' }),
    await signed({}, { kid: 'x' })
  ]) {
    const error = await new OidcResolver(options)
      .for(text)
      .resolve()
      .then(
        () => assert.fail(),
        (error) => error
      )
    const shown = inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error)
    for (const part of text.split('.')) assert.ok(!shown.includes(part.slice(0, 30)), shown)
  }
  const resolver = new OidcResolver({ ...options, token: await signed() })
  assert.ok(!inspect(resolver, { depth: 9, showHidden: true }).includes('eyJ'))
  assert.ok(
    !(inspect(resolver.for(await signed()), { depth: 9, showHidden: true }) + JSON.stringify(resolver)).includes('eyJ')
  )
})
