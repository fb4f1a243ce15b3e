// Principals of JWT-SVIDs: whom the token may name, whose tenant it is, and what an attacker would try.
import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { BundleSet, JwtBundle, verifyJwtSvid } from 'countersign'
import { Issuer, JwtSvidResolver } from 'countersign/principal'
import { countersignError } from './support/countersign-error.mjs'
import { failing, OTHER_TENANT, outcome, TENANT } from './support/principal-scene.mjs'
import { claims, newKey, token } from './support/spiffe-scene.mjs'

const key = newKey('P-256')
const bundle = new JwtBundle('example.org')
bundle.add('one', createPublicKey(key))
const other = new JwtBundle('other.org')
other.add('one', createPublicKey(key))
const bundles = new BundleSet([bundle, other])
/** @param {any} [changes] @param {any} [header] @param {any} [signer] */
const minted = (changes, header, signer = key) =>
  token(
    { alg: 'ES256', kid: 'one', ...header },
    claims({ sub: 'spiffe://example.org/billing/blue', tid: TENANT, ...changes }),
    signer,
    'ES256'
  )
const options = { bundles, audience: 'shop', trustDomain: 'example.org' }
/** @param {string} text @param {any} [changes] */
const judged = (text, changes) => outcome(new JwtSvidResolver({ ...options, ...changes }).for(text).resolve())

test('a good token is a workload of the tenant it names', async () => {
  const principal = await new JwtSvidResolver(options).for(minted()).resolve()
  assert.equal(
    principal.toWire(),
    '{"kind":"workload","workload_id":"spiffe://example.org/billing/blue","trust_domain":"example.org",' +
      `"issuer":{"kind":"jwt_svid"},"tenant_id":"${TENANT}","tenant_slug":"blue","service_name":"billing",` +
      '"attributes":{}}'
  )
  assert.equal(principal.issuer, Issuer.jwtSvid)
})

test('a token of its own, as text or from a function', async () => {
  for (const given of [minted(), () => minted(), async () => minted()])
    assert.equal((await new JwtSvidResolver({ ...options, token: given }).resolve()).tenantId, TENANT)
  for (const given of [undefined, () => undefined, async () => null])
    assert.equal(
      await outcome(new JwtSvidResolver({ ...options, token: /** @type {any} */ (given) }).resolve()),
      'NOT_AUTHENTICATED no_credential'
    )
  assert.equal(
    await outcome(new JwtSvidResolver({ ...options, token: /** @type {any} */ (() => 5) }).resolve()),
    'ARGUMENT'
  )
  assert.equal(
    failing(() => new JwtSvidResolver({ ...options, token: /** @type {any} */ (5) })),
    'ARGUMENT'
  )
  const broken = new Error('the disk is gone')
  await assert.rejects(
    new JwtSvidResolver({
      ...options,
      token: () => {
        throw broken
      }
    }).resolve(),
    broken
  )
})

test('whatever the judge refuses is not authenticated, and says why in its cause', async () => {
  const refused = (/** @type {string} */ rule) => `NOT_AUTHENTICATED refused ${rule}`
  assert.equal(await judged(minted({}, {}, newKey('P-256'))), refused('invalid_signature'))
  assert.equal(await judged(minted({}, { alg: 'none' })), refused('unsupported_algorithm'))
  assert.equal(await judged(minted({}, { kid: 'two' })), refused('unknown_key_id'))
  assert.equal(await judged(minted({ exp: 1 })), refused('expired'))
  assert.equal(await judged(minted({ aud: 'bank' })), refused('audience_mismatch'))
  assert.equal(await judged(minted({ sub: undefined })), refused('missing_subject'))
  assert.equal(await judged(minted({ sub: 'billing' })), refused('invalid_subject'))
  assert.equal(await judged(minted({ sub: 'spiffe://third.org/billing/blue' })), refused('no_bundle'))
  assert.equal(await judged(''), refused('not_compact'))
  assert.equal(await judged('x'.repeat(1e6)), refused('token_too_long'))
  assert.equal(
    await judged(token({ alg: 'ES256' }, claims({ sub: 'spiffe://example.org/a/b', tid: TENANT }), key), {
      requireKid: true
    }),
    refused('missing_key_id')
  )
  const text = minted({ exp: 1 })
  await new JwtSvidResolver(options)
    .for(text)
    .resolve()
    .then(
      () => assert.fail(),
      (error) => {
        assert.ok(!inspect(error, { depth: 9 }).includes(text.slice(0, 40)), 'an error shows the token')
      }
    )
})

test('the workload lives in the pinned trust domain, at /service/tenant', async () => {
  assert.equal(await judged(minted({ sub: 'spiffe://other.org/billing/blue' })), 'SPIFFE_ID trust_domain_mismatch')
  assert.equal(
    await judged(minted({ sub: 'spiffe://other.org/billing/blue' }), { trustDomain: 'other.org' }),
    'resolved'
  )
  for (const path of ['', '/a', '/a/b/c'])
    assert.equal(await judged(minted({ sub: `spiffe://example.org${path}` })), 'SPIFFE_ID wrong_path_shape')
  assert.equal(
    await judged(minted({ sub: 'spiffe://example.org/ns/blue/sa/x' }), {
      split: (/** @type {any} */ id) => ({ serviceName: id.segments[3], tenantSlug: id.segments[1] })
    }),
    'resolved'
  )
})

test('a token without a tenant, or with one that is none, is not authenticated', async () => {
  for (const tid of [undefined, '', 'blue', 5, null, [TENANT], { a: 1 }])
    assert.match(await judged(minted({ tid })), /^NOT_AUTHENTICATED refused/, String(tid))
  assert.equal(await judged(minted({ tid: `{${TENANT.toUpperCase()}}` })), 'resolved')
  const named = token(
    { alg: 'ES256', kid: 'one' },
    JSON.stringify(claims({ sub: 'spiffe://example.org/a/b' })).replace('{', `{"__proto__":{"tid":"${TENANT}"},`),
    key,
    'ES256'
  )
  assert.equal(await judged(named), 'NOT_AUTHENTICATED refused')
})

test('a tenant that is looked up, and the one the token names, must agree', async () => {
  const tenantOf = async (/** @type {string} */ slug) => (slug === 'blue' ? TENANT : undefined)
  assert.equal(await judged(minted({ tid: undefined }), { tenantOf }), 'resolved')
  assert.equal(await judged(minted(), { tenantOf }), 'resolved')
  assert.equal(await judged(minted({ tid: OTHER_TENANT }), { tenantOf }), 'NOT_AUTHENTICATED refused')
  assert.equal(await judged(minted({ tid: 'x' }), { tenantOf }), 'NOT_AUTHENTICATED refused ERR_INVALID_ID')
  assert.equal(
    await judged(minted({ sub: 'spiffe://example.org/billing/green' }), { tenantOf }),
    'NOT_AUTHENTICATED unknown_tenant'
  )
  assert.equal(await judged(minted(), { tenantOf: () => null }), 'NOT_AUTHENTICATED unknown_tenant')
  assert.equal(await judged(minted(), { tenantOf: () => 'blue' }), 'ARGUMENT ERR_INVALID_ID')
  const broken = new Error('the table is gone')
  await assert.rejects(
    new JwtSvidResolver({
      ...options,
      tenantOf: () => {
        throw broken
      }
    })
      .for(minted())
      .resolve(),
    broken
  )
  assert.equal(await judged(minted({ tid: undefined }), { tenantId: TENANT }), 'resolved')
  assert.equal(await judged(minted({ tid: OTHER_TENANT }), { tenantId: TENANT }), 'NOT_AUTHENTICATED refused')
})

test('a pinned issuer', async () => {
  assert.equal(await judged(minted({ iss: 'https://idp' }), { issuer: 'https://idp' }), 'resolved')
  assert.equal(await judged(minted({ iss: 'https://evil' }), { issuer: 'https://idp' }), 'NOT_AUTHENTICATED refused')
  assert.equal(await judged(minted(), { issuer: 'https://idp' }), 'NOT_AUTHENTICATED refused')
  assert.equal(await judged(minted({ iss: ['https://idp'] }), { issuer: 'https://idp' }), 'NOT_AUTHENTICATED refused')
})

test('a source that judges, at once or later', async () => {
  const seen = /** @type {any[]} */ ([])
  const source = (/** @type {any} */ judge) => ({
    bundles: undefined,
    source: {
      validate: (/** @type {string} */ text, /** @type {any} */ how) => {
        seen.push(how)
        return judge(text, how)
      }
    }
  })
  assert.equal(
    await judged(
      minted(),
      source((/** @type {string} */ text, /** @type {any} */ how) => verifyJwtSvid(text, bundles, how))
    ),
    'resolved'
  )
  assert.equal(
    await judged(minted(), {
      ...source(async (/** @type {string} */ text, /** @type {any} */ how) => verifyJwtSvid(text, bundles, how)),
      leeway: 0
    }),
    'resolved'
  )
  assert.deepEqual(seen, [{ audience: 'shop' }, { audience: 'shop', leeway: 0 }])
  assert.equal(
    await judged(
      minted({ exp: 1 }),
      source((/** @type {string} */ text, /** @type {any} */ how) => verifyJwtSvid(text, bundles, how))
    ),
    'NOT_AUTHENTICATED refused expired'
  )
  assert.equal(
    await judged(
      minted(),
      source(() => undefined)
    ),
    'ARGUMENT'
  )
  assert.equal(
    await judged(
      minted(),
      source(() => true)
    ),
    'ARGUMENT'
  )
  assert.equal(
    await judged(
      minted(),
      source(() => {
        throw countersignError('ERR_IDENTITY_WITHDRAWN', 'gone')
      })
    ),
    'NOT_AUTHENTICATED unavailable ERR_IDENTITY_WITHDRAWN'
  )
})

test('options that cannot mean anything are refused when the program starts', () => {
  const made = (/** @type {any} */ changes) => failing(() => new JwtSvidResolver({ ...options, ...changes }))
  assert.equal(made({ bundles: undefined }), 'ARGUMENT')
  assert.equal(made({ source: { validate() {} } }), 'ARGUMENT')
  assert.equal(made({ bundles: undefined, source: {} }), 'ARGUMENT')
  assert.equal(made({ audience: undefined }), 'ARGUMENT')
  assert.equal(made({ audience: [] }), 'ARGUMENT')
  assert.equal(made({ trustDomain: undefined }), 'ARGUMENT')
  assert.equal(made({ trustDomain: 'Example.ORG' }), 'TRUST_DOMAIN bad_trust_domain_char')
  assert.equal(made({ issuer: '' }), 'ARGUMENT')
  assert.equal(made({ tenantId: 'blue' }), 'ID not_a_uuid')
  assert.equal(made({ tenantId: TENANT, tenantOf: () => TENANT }), 'ARGUMENT')
  assert.equal(made({ tenantOf: TENANT }), 'ARGUMENT')
  assert.equal(made({ trust_domain: 'example.org' }), 'ARGUMENT')
  assert.equal(
    failing(() => new JwtSvidResolver(/** @type {any} */ (undefined))),
    'ARGUMENT'
  )
})

test("an empty audience, or bundles that are none, are the program's fault and not the caller's", async () => {
  assert.equal(await judged(minted(), { audience: [''] }), 'ARGUMENT')
  assert.equal(await judged(minted(), { bundles: {} }), 'ARGUMENT')
})

test('resolve can be taken back, and ends in time', async () => {
  const slow = new JwtSvidResolver({ ...options, tenantOf: () => new Promise(() => {}) }).for(minted())
  const controller = new AbortController()
  const taken = slow.resolve({ signal: controller.signal })
  controller.abort('enough')
  await assert.rejects(taken, (reason) => reason === 'enough')
  await assert.rejects(slow.resolve({ signal: AbortSignal.abort('before') }), (reason) => reason === 'before')
  assert.equal(await outcome(slow.resolve({ timeout: 10 })), 'TIMEOUT')
  assert.equal(await outcome(slow.resolve(/** @type {any} */ ({ timeout: '5s' }))), 'ARGUMENT')
  assert.equal(await outcome(slow.resolve(/** @type {any} */ ({ deadline: 5 }))), 'ARGUMENT')
})
