// JWT-SVIDs: every rule of JWT-SVID over tokens signed by node:crypto and by jose.
import assert from 'node:assert/strict'
import { createPublicKey, createSecretKey } from 'node:crypto'
import { test } from 'node:test'
import { SignJWT } from 'jose'
import { claims, countersign, failing, newKey, token } from './support/spiffe-scene.mjs'

const { BundleSet, JwtBundle, JwtSvid, SpiffeBundle, verifyJwtSvid } = countersign

const KEYS = { RS: newKey('2048'), ES256: newKey('P-256'), ES384: newKey('P-384'), ES512: newKey('P-521') }
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512']
const keyIdOf = (/** @type {string} */ algorithm) => (algorithm.startsWith('ES') ? algorithm : 'RS')
const keyOf = (/** @type {string} */ algorithm) => KEYS[/** @type {'RS'} */ (keyIdOf(algorithm))]

const bundle = new JwtBundle('example.org')
for (const [keyId, key] of Object.entries(KEYS)) bundle.add(keyId, createPublicKey(key))
const bundles = new BundleSet([bundle])

const header = { alg: 'ES256', kid: 'ES256', typ: 'JWT' }
/** @param {any} [changedClaims] @param {any} [changedHeader] */
const minted = (changedClaims, changedHeader) =>
  token({ ...header, ...changedHeader }, claims(changedClaims), KEYS.ES256, 'ES256')
/** @param {string} text @param {any} [options] @param {any} [from] */
const judged = (text, options, from = bundles) =>
  failing(() => verifyJwtSvid(text, from, { audience: 'shop', ...options })).replace('ERR_INVALID_TOKEN ', '')
/** @param {string} text */
const parsed = (text) => failing(() => JwtSvid.parseInsecure(text)).replace('ERR_INVALID_TOKEN ', '')
/** Whoever only reads says the same as whoever judges. @param {string} text @param {string} verdict */
function both(text, verdict) {
  assert.equal(judged(text), verdict)
  assert.equal(parsed(text), verdict)
}
const now = () => Math.floor(Date.now() / 1000)

test('rule 3.1: compact serialization and nothing else', () => {
  const good = minted()
  both(good, 'accepted')
  const [head, body, signature] = good.split('.')
  both(JSON.stringify({ protected: head, payload: body, signature }), 'not_compact')
  both(`${head}.${body}.${signature}.x.y`, 'not_compact')
  both(`${head}.${body}`, 'not_compact')
  both('', 'not_compact')
  both(`${head}=.${body}.${signature}`, 'malformed_base64')
  both(` ${good}`, 'malformed_base64')
  both(`${good}\n`, 'malformed_base64')
  both(`${head}.${body}.+${signature.slice(1)}`, 'malformed_base64')
  both(token('[]', claims(), KEYS.ES256, 'ES256'), 'malformed_header')
  both(token(header, '"sub"', KEYS.ES256), 'malformed_claims')
})

for (const algorithm of ALGORITHMS) {
  test(`rule 3.2: ${algorithm} by node:crypto and by jose`, async () => {
    const head = { alg: algorithm, kid: keyIdOf(algorithm), typ: 'JWT' }
    const key = keyOf(algorithm)
    const own = token(head, claims(), key)
    const foreign = await new SignJWT(claims()).setProtectedHeader(head).sign(key)
    for (const text of [own, foreign]) {
      const svid = verifyJwtSvid(text, bundles, { audience: 'shop' })
      assert.equal(svid.algorithm, algorithm)
      assert.equal(svid.token, text)
      const [first, second, signature] = text.split('.')
      const flipped = Buffer.from(signature, 'base64url')
      flipped[9] ^= 1
      assert.equal(judged(`${first}.${second}.${flipped.toString('base64url')}`), 'invalid_signature')
      assert.equal(judged(`${first}.${second}.`), 'invalid_signature')
      const other = Buffer.from(JSON.stringify(claims({ sub: 'spiffe://example.org/root' }))).toString('base64url')
      assert.equal(judged(`${first}.${other}.${signature}`), 'invalid_signature')
    }
  })
}

test('rule 3.2: no other algorithm', () => {
  for (const alg of ['none', 'None', 'NONE', '', 'EdDSA', 'ES256K', 'es256', 'HS256', 'HS512', 'RS1'])
    both(minted({}, { alg }), 'unsupported_algorithm')
  both(token({ kid: 'ES256' }, claims(), KEYS.ES256, 'ES256'), 'unsupported_algorithm')
  both(token({ alg: null, kid: 'ES256' }, claims(), KEYS.ES256, 'ES256'), 'malformed_header')
})

test('rule 3.3: a token without kid is taken when one key alone suits', () => {
  const nameless = token({ alg: 'ES256' }, claims(), KEYS.ES256)
  assert.equal(judged(nameless), 'accepted')
  assert.equal(parsed(nameless), 'accepted')
  assert.equal(judged(nameless, { requireKid: true }), 'missing_key_id')
  const two = bundle.clone()
  two.add('another', createPublicKey(newKey('P-256')))
  assert.equal(judged(nameless, {}, two), 'ambiguous_key')
})

test('rule 3.4: typ is absent, JWT or JOSE', () => {
  for (const typ of ['JWT', 'JOSE', undefined]) both(minted({}, { typ }), 'accepted')
  for (const typ of ['jwt', 'at+jwt', 'wit+jwt', '']) both(minted({}, { typ }), 'invalid_type')
  both(minted({}, { typ: 5 }), 'malformed_header')
})

test('rule 3.5: no other header, and never a critical one', () => {
  both(minted({}, { jku: 'https://evil' }), 'unexpected_header')
  assert.equal(judged(minted({}, { x: 1 }), { allowExtraHeaders: true }), 'accepted')
  assert.equal(judged(minted({}, { crit: ['b64'], b64: false }), { allowExtraHeaders: true }), 'critical_header')
  both(minted({}, { crit: [] }), 'critical_header')
  both(token('{"alg":"ES256","alg":"ES256","kid":"ES256"}', claims(), KEYS.ES256, 'ES256'), 'malformed_header')
  both(token('{"alg":"ES256","kid":"other","kid":"ES256"}', claims(), KEYS.ES256, 'ES256'), 'malformed_header')
})

test('rule 3.6: sub is there and a SPIFFE ID', () => {
  both(minted({ sub: undefined }), 'missing_subject')
  both(minted({ sub: '' }), 'missing_subject')
  both(minted({ sub: 5 }), 'invalid_subject')
  both(minted({ sub: 'billing' }), 'invalid_subject')
  both(
    token(
      header,
      '{"sub":"spiffe://example.org/a","sub":"spiffe://example.org/b","aud":"shop","exp":9999999999}',
      KEYS.ES256
    ),
    'malformed_claims'
  )
  assert.throws(() => JwtSvid.parseInsecure(minted({ sub: 'spiffe://example.org/a/..' })), {
    code: 'ERR_INVALID_TOKEN',
    rule: 'invalid_subject',
    reason: 'dot_segment'
  })
  assert.equal(
    verifyJwtSvid(minted({ sub: 'SPIFFE://Example.org/A' }), bundles, { audience: 'shop' }).spiffeId.uri,
    'spiffe://example.org/A'
  )
})

test('rule 3.7: aud is there and names the verifier, who must say who it is', () => {
  both(minted({ aud: undefined }), 'missing_audience')
  both(minted({ aud: [] }), 'missing_audience')
  both(minted({ aud: '' }), 'missing_audience')
  both(minted({ aud: [5] }), 'invalid_audience')
  both(minted({ aud: Array.from({ length: 33 }, (_, index) => `a${index}`) }), 'too_many_audiences')
  assert.equal(judged(minted({ aud: 'shop' })), 'accepted')
  assert.equal(judged(minted({ aud: ['a', 'b'] }), { audience: ['c', 'b'] }), 'accepted')
  for (const audience of ['Shop', 'sho', 'shop ', 'spiffe://example.org/shop'])
    assert.equal(judged(minted(), { audience }), 'audience_mismatch')
  assert.equal(judged(minted({ aud: ['', 'x'] }), { audience: ['', 'y'] }), 'audience_mismatch')
  for (const audience of [[], '', [''], undefined, null, [5], { 0: 'shop' }]) {
    assert.equal(judged(minted(), { audience }), 'ERR_INVALID_ARGUMENT no_expected_audience', JSON.stringify(audience))
  }
  assert.match(
    // @ts-expect-error: an argument is missing
    failing(() => verifyJwtSvid(minted(), bundles)),
    /^ERR_INVALID_ARGUMENT/
  )
  assert.equal(
    judged(minted(), { audience: Array(33).fill('shop') }),
    'ERR_INVALID_ARGUMENT too_many_expected_audiences'
  )
})

test('rule 3.8: exp is there and ahead, give or take the leeway', () => {
  both(minted({ exp: undefined }), 'missing_expiry')
  for (const exp of ['9999999999', null, true]) assert.match(parsed(minted({ exp })), /^(invalid|missing)_expiry$/)
  const exp = now() + 100
  const at = (/** @type {number} */ seconds, leeway = 0) =>
    judged(minted({ exp }), { now: new Date((exp + seconds) * 1000), leeway })
  assert.equal(at(-1), 'accepted')
  assert.equal(at(0), 'expired')
  assert.equal(at(4, 5000), 'accepted')
  assert.equal(at(5, 5000), 'expired')
  assert.equal(at(119, 120000), 'accepted')
  assert.equal(judged(minted({ exp }), { now: new Date((exp + 4) * 1000) }), 'accepted', 'five seconds by default')
  assert.equal(judged(minted({ exp }), { now: new Date((exp + 5) * 1000) }), 'expired')
  for (const leeway of [120001, -1, NaN, Infinity, '5'])
    assert.match(judged(minted(), { leeway }), /^ERR_INVALID_ARGUMENT/)
})

test('rule 3.9: nbf is honoured, other claims are not looked at', () => {
  const nbf = now() + 50
  assert.equal(judged(minted({ nbf })), 'not_yet_valid')
  assert.equal(judged(minted({ nbf }), { now: new Date((nbf - 5) * 1000) }), 'accepted')
  assert.equal(judged(minted({ nbf }), { now: new Date((nbf - 6) * 1000) }), 'not_yet_valid')
  both(minted({ nbf: 'soon' }), 'invalid_not_before')
  both(minted({ iat: now() + 9999, iss: 5, jti: [] }), 'accepted')
})

test("rule 3.10: the signature is by a key of the subject's own trust domain", () => {
  const foreign = newKey('P-256')
  const pooled = new BundleSet([bundle])
  const other = new JwtBundle('other.org')
  other.add('theirs', foreign)
  other.add('ES384', foreign)
  pooled.add(other)
  const theirs = (/** @type {string} */ sub, kid = 'theirs') => token({ alg: 'ES256', kid }, claims({ sub }), foreign)
  assert.equal(judged(theirs('spiffe://other.org/a'), {}, pooled), 'accepted')
  assert.equal(judged(theirs('spiffe://example.org/a'), {}, pooled), 'unknown_key_id')
  assert.equal(judged(theirs('spiffe://example.org/a', 'ES256'), {}, pooled), 'invalid_signature')
  assert.equal(judged(minted({ sub: 'spiffe://third.org/a' }), {}, pooled), 'no_bundle')
  assert.equal(judged(minted(), {}, other), 'no_bundle')
  assert.equal(judged(minted(), {}, new JwtBundle('example.org')), 'unknown_key_id')
  assert.throws(() => verifyJwtSvid(minted(), new BundleSet(), { audience: 'shop' }), {
    rule: 'no_bundle',
    trustDomain: 'example.org'
  })
})

test('rule 3.11: the algorithm suits the key', () => {
  assert.equal(judged(token({ alg: 'ES256', kid: 'ES384' }, claims(), KEYS.ES256)), 'algorithm_mismatch')
  assert.equal(judged(token({ alg: 'RS256', kid: 'ES256' }, claims(), KEYS.RS)), 'algorithm_mismatch')
  const bound = JwtBundle.fromJwks(
    'example.org',
    JSON.stringify({ keys: [{ ...createPublicKey(KEYS.RS).export({ format: 'jwk' }), kid: 'RS', alg: 'PS256' }] })
  )
  assert.equal(judged(token({ alg: 'RS256', kid: 'RS' }, claims(), KEYS.RS), {}, bound), 'algorithm_mismatch')
  assert.equal(judged(token({ alg: 'PS256', kid: 'RS' }, claims(), KEYS.RS), {}, bound), 'accepted')
})

test('what a token says', () => {
  const exp = now() + 600
  const svid = verifyJwtSvid(
    minted({ exp, iat: exp - 700, aud: ['shop', 'bank'], nested: { list: [1, { deep: true }] } }),
    bundles,
    { audience: ['bank'] }
  )
  assert.ok(svid instanceof JwtSvid && Object.isFrozen(svid))
  assert.equal(`${svid}`, 'spiffe://example.org/billing')
  assert.deepEqual(svid.audience, ['shop', 'bank'])
  assert.equal(svid.expiresAt.getTime(), exp * 1000)
  assert.equal(svid.issuedAt?.getTime(), (exp - 700) * 1000)
  assert.equal(svid.keyId, 'ES256')
  assert.equal(svid.hint, undefined)
  assert.equal(JwtSvid.parseInsecure(svid.token, { hint: 'internal' }).hint, 'internal')
  const { nested } = /** @type {{ nested: any }} */ (svid.claims)
  assert.deepEqual(nested.list[1].deep, true)
  assert.equal(svid.claims, svid.claims)
  assert.throws(() => {
    nested.list[1].deep = false
  }, TypeError)
  assert.throws(() => {
    // @ts-expect-error: the list is read-only
    svid.audience.push('evil')
  }, TypeError)
  assert.throws(() => {
    // @ts-expect-error: the property is read-only
    svid.spiffeId = 'evil'
  }, TypeError)
  assert.equal(svid.needsRotation(new Date((exp - 351) * 1000)), false)
  assert.equal(svid.needsRotation(new Date((exp - 350) * 1000)), true)
  const undated = JwtSvid.parseInsecure(minted({ exp, iat: undefined }))
  assert.equal(undated.issuedAt, undefined)
  assert.equal(undated.needsRotation(), false)
  assert.equal(undated.needsRotation(new Date((exp - 290) * 1000)), true)
  assert.equal(JwtSvid.parseInsecure(minted({ exp, iat: exp + 999 })).needsRotation(new Date(exp * 1000)), true)
})

test('every holder of JWT bundles judges', () => {
  const document = new SpiffeBundle('example.org', { jwtBundle: bundle })
  for (const from of [bundle, document, new BundleSet([document])]) assert.equal(judged(minted(), {}, from), 'accepted')
  const lazy = JwtBundle.fromJwks('example.org', '{"keys":[', { lazy: true })
  assert.equal(judged(minted(), {}, lazy), 'malformed_bundle')
  for (const wrong of [null, {}, new countersign.X509Bundle('example.org'), { keys: [] }])
    assert.match(judged(minted(), {}, wrong), /^ERR_INVALID_ARGUMENT/)
  for (const wrong of [null, 5, Buffer.from('a.b.c'), new String(minted())]) {
    assert.match(judged(/** @type {any} */ (wrong)), /^ERR_INVALID_ARGUMENT/)
    assert.match(parsed(/** @type {any} */ (wrong)), /^ERR_INVALID_ARGUMENT/)
  }
  assert.match(
    // @ts-expect-error: the constructor is private
    failing(() => new JwtSvid(minted(), '[]\n{}')),
    /^ERR_INVALID_ARGUMENT/
  )
})

test('a public key as HMAC secret makes no token', () => {
  const secret = createSecretKey(Buffer.from(createPublicKey(KEYS.RS).export({ format: 'pem', type: 'spki' })))
  both(token({ alg: 'HS256', kid: 'RS' }, claims(), secret), 'unsupported_algorithm')
  assert.equal(judged(token({ alg: 'RS256', kid: 'RS' }, claims(), secret, 'HS256')), 'invalid_signature')
})

test('a token that was judged before is judged by every rule but the signature again', () => {
  const own = new JwtBundle('example.org')
  own.add('ES256', createPublicKey(KEYS.ES256))
  const set = new BundleSet([own])
  const twice = (
    /** @type {string} */ text,
    /** @type {any} */ options,
    /** @type {any} */ strict,
    /** @type {string} */ verdict
  ) => {
    assert.equal(judged(text, options, set), 'accepted')
    assert.equal(judged(text, options, set), 'accepted')
    assert.equal(judged(text, strict, set), verdict)
  }
  twice(minted({}, { kid: undefined }), {}, { requireKid: true }, 'missing_key_id')
  twice(minted({}, { x: 1 }), { allowExtraHeaders: true }, {}, 'unexpected_header')
  twice(minted(), {}, { audience: 'other' }, 'audience_mismatch')
  twice(minted({ exp: now() + 100 }), {}, { now: new Date(Date.now() + 110_000) }, 'expired')
  twice(minted({ nbf: now() - 100 }), {}, { now: new Date(Date.now() - 110_000) }, 'not_yet_valid')
  const good = minted()
  // The last character of a signature holds bits that mean nothing: another text is another token all the same.
  assert.notEqual(judged(`${good.slice(0, -2)}${good.at(-2) === 'A' ? 'B' : 'A'}${good.at(-1)}`, {}, set), 'accepted')
  twice(good, {}, {}, 'accepted')
  // Another bundle of the same trust domain, though with the very same key: nothing is known of it.
  const [first, second] = [
    verifyJwtSvid(good, set, { audience: 'shop' }),
    verifyJwtSvid(good, set, { audience: 'shop' })
  ]
  assert.deepEqual({ ...first.claims }, { ...second.claims })
  assert.equal(second.token, good)
  const other = new JwtBundle('example.org')
  other.add('ES256', createPublicKey(newKey('P-256')))
  set.add(other)
  assert.equal(judged(good, {}, set), 'invalid_signature')
  set.remove('example.org')
  assert.equal(judged(good, {}, set), 'no_bundle')
  set.add(own)
  assert.equal(judged(good, {}, set), 'accepted')
})
