// Bundles: every rule of SPIFFE Trust Domain and Bundle, and that what is written reads the same.
import assert from 'node:assert/strict'
import { createPublicKey, createSecretKey, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { authority, CA, countersign, failing, leaf, mint, newKey } from './support/spiffe-scene.mjs'

const { BundleMap, BundleSet, JwtBundle, SpiffeBundle, X509Bundle } = countersign

const root = authority('example.org')
const second = authority('example.org')
const key = newKey('P-256')
const jwk = createPublicKey(key).export({ format: 'jwk' })
const x5c = root.der.toString('base64')
const certified = new X509Certificate(root.pem).publicKey.export({ format: 'jwk' })
const X509 = { ...certified, use: 'x509-svid', x5c: [x5c] }
const JWT = { ...jwk, use: 'jwt-svid', kid: 'one' }

/** @param {any} keys @param {any} [more] */
const document = (keys, more) => JSON.stringify({ keys, ...more })
/** @param {any[]} keys */
const parsed = (...keys) => SpiffeBundle.parse('example.org', document(keys))
/** What was left out, and why. @param {any[]} keys */
const skipped = (...keys) => parsed(...keys).skipped.map((/** @type {any} */ { index, reason }) => `${index} ${reason}`)
/** @param {string | Uint8Array} text */
const refused = (text) => failing(() => SpiffeBundle.parse('example.org', text)).replace('ERR_INVALID_BUNDLE ', '')

test('rule 5.1: keys are there, and may be none', () => {
  assert.equal(refused('{}'), 'missing_keys')
  assert.equal(refused('{"keys":null}'), 'missing_keys')
  for (const text of ['', '[]', 'null', '{"keys":{}}', '{"keys":[]', '{"keys":[]}x', Buffer.from([0x7b, 0xff])])
    assert.equal(refused(text), 'malformed_json', String(text))
  assert.equal(refused('{"keys":[],"keys":[]}'), 'duplicate_member')
  const empty = parsed()
  assert.equal(empty.x509Bundle.size + empty.jwtBundle.size, 0)
  assert.equal(
    failing(() => JwtBundle.fromJwks('example.org', '{}')),
    'ERR_INVALID_BUNDLE missing_keys'
  )
})

test('rule 5.2: the sequence is a 64-bit integer, exact', () => {
  const sequence = (/** @type {string} */ digits) =>
    SpiffeBundle.parse('example.org', `{"keys":[],"spiffe_sequence":${digits}}`).sequence
  assert.equal(sequence('0'), 0)
  assert.equal(sequence('9007199254740991'), 9007199254740991)
  assert.equal(sequence('9007199254740993'), 9007199254740993n)
  assert.equal(sequence('18446744073709551615'), 18446744073709551615n)
  assert.equal(parsed().sequence, undefined)
  for (const wrong of ['-1', '1.5', '"1"', '18446744073709551616', '1e400'])
    assert.equal(refused(`{"keys":[],"spiffe_sequence":${wrong}}`), 'malformed_json', wrong)
  const large = new SpiffeBundle('example.org', { sequence: 2n ** 64n - 1n })
  assert.match(large.toJwks(), /"spiffe_sequence":18446744073709551615/)
  if ('rawJSON' in JSON) assert.match(JSON.stringify(large), /"spiffe_sequence":18446744073709551615/)
  else
    assert.match(
      failing(() => JSON.stringify(large)),
      /^ERR_INVALID_ARGUMENT/
    )
  for (const wrong of [-1, 1.5, 2 ** 53, 2n ** 64n, -1n, '1', null])
    assert.match(
      failing(() => new SpiffeBundle('example.org', { sequence: /** @type {any} */ (wrong) })),
      /^ERR_INVALID_ARGUMENT/
    )
})

test('rule 5.3: the refresh hint is seconds there, milliseconds here', () => {
  const bundle = SpiffeBundle.parse('example.org', '{"keys":[],"spiffe_refresh_hint":300}')
  assert.equal(bundle.refreshHint, 300000)
  assert.match(bundle.with({ refreshHint: 1001 }).toJwks(), /"spiffe_refresh_hint":2\b/)
  assert.equal(bundle.with({ refreshHint: undefined }).refreshHint, undefined)
  assert.equal(bundle.with({}).refreshHint, 300000)
  assert.equal(refused('{"keys":[],"spiffe_refresh_hint":-1}'), 'malformed_json')
  for (const wrong of [-1, NaN, '1', 1n])
    assert.match(
      failing(() => bundle.with({ refreshHint: /** @type {any} */ (wrong) })),
      /^ERR_INVALID_ARGUMENT/
    )
})

test('rule 5.4: a key of an unknown type is left out, and nothing else', () => {
  assert.deepEqual(skipped({ kty: 'AKP', alg: 'ML-DSA-65', pub: 'AA', use: 'jwt-svid', kid: 'pq' }, JWT), [
    '0 unknown_key_type'
  ])
  assert.deepEqual(
    skipped({ use: 'jwt-svid', kid: 'a' }, { ...JWT, crv: 'P-257' }, 5, null, [], { ...JWT, kid: 'two' }).length,
    5
  )
  assert.equal(parsed({ kty: 'AKP', use: 'x509-svid' }, JWT, X509).jwtBundle.size, 1)
})

test('rule 5.5: a key says what it is for', () => {
  assert.deepEqual(
    skipped({ ...JWT, use: undefined }, { ...JWT, use: 'sig' }, { ...JWT, use: 'enc' }, { ...JWT, use: 'X509-SVID' }),
    ['0 missing_use', '1 other_use', '2 other_use', '3 other_use']
  )
  assert.deepEqual(skipped({ ...JWT, use: 'wit-svid' }, JWT), [])
})

test('rule 5.6: an X.509 authority has one certificate: none leaves it out, of several the first counts', () => {
  assert.deepEqual(
    skipped({ ...X509, x5c: undefined }, { ...X509, x5c: [] }, { ...X509, x5c: ['!'] }, { ...X509, x5c: [5] }),
    ['0 missing_certificate', '1 missing_certificate', '2 invalid_certificate', '3 invalid_certificate']
  )
  const several = parsed({ ...X509, x5c: [x5c, second.der.toString('base64')] })
  assert.deepEqual(several.x509Bundle.toDer(), root.der)
  assert.deepEqual(several.warnings, [{ index: 0, reason: 'extra_certificates' }])
  assert.deepEqual(parsed({ ...X509, x5c: [x5c.replace(/(.{64})/g, '$1\n ')] }).x509Bundle.toDer(), root.der)
  assert.deepEqual(skipped({ ...X509, x5c: [leaf(root, 'spiffe://example.org/a').der.toString('base64')] }), [
    '0 invalid_certificate'
  ])
  assert.deepEqual(skipped({ ...X509, ...jwk }), ['0 certificate_mismatch'])
  assert.doesNotMatch(parsed(X509).toJwks(), /"kid"/)
})

test('rule 5.7: an authority need not be self-signed', () => {
  const inner = mint({ issuer: root, subject: '/O=inner', extensions: CA })
  assert.equal(X509Bundle.fromPem('example.org', inner.pem).size, 1)
  assert.deepEqual(skipped({ use: 'x509-svid', kty: 'EC', x5c: [inner.der.toString('base64')] }), [])
})

test('rule 5.8: a key for tokens has an ID', () => {
  assert.deepEqual(skipped({ ...JWT, kid: undefined }, { ...JWT, kid: '' }), ['0 missing_key_id', '1 missing_key_id'])
  assert.equal(
    failing(() => new JwtBundle('example.org').add('', key)),
    'ERR_INVALID_BUNDLE missing_key_id'
  )
})

test('rule 5.9: of two keys with one ID the last counts', () => {
  const later = createPublicKey(newKey('P-256'))
  const bundle = parsed(JWT, { ...JWT, ...later.export({ format: 'jwk' }) })
  assert.ok(bundle.jwtBundle.get('one')?.equals(later))
  assert.deepEqual(bundle.skipped, [{ index: 0, reason: 'duplicate_key_id' }])
  assert.deepEqual(skipped({ ...JWT, use: 'wit-svid' }, JWT), [], 'WIT keys stand apart')
})

test('rule 5.10: a JWKS of the Workload API need not say what its keys are for, but may not say otherwise', () => {
  const jwks = JwtBundle.fromJwks(
    'example.org',
    document([
      { ...jwk, kid: 'a' },
      { ...jwk, kid: 'b', use: 'sig' },
      { ...JWT, kid: 'c' },
      X509,
      { ...JWT, use: 'wit-svid' },
      { ...JWT, use: 'enc' }
    ])
  )
  assert.deepEqual(jwks.keyIds, ['a', 'b', 'c'])
  assert.deepEqual(
    jwks.skipped.map((/** @type {any} */ one) => one.index),
    [3, 4, 5]
  )
  assert.deepEqual(Object.keys(JSON.parse(jwks.toJwks()).keys[0]).includes('use'), false)
})

test('rule 5.11: a bundle map is taken as a whole or not at all, without its refresh hints', () => {
  const good = {
    'example.org': JSON.parse(document([X509, JWT], { spiffe_sequence: 7, spiffe_refresh_hint: 60 })),
    'Other.org': { keys: [] }
  }
  const map = BundleMap.parse(JSON.stringify({ trust_domains: good }))
  assert.deepEqual(map.trustDomains.map(String), ['example.org', 'other.org'])
  const found = map.get('example.org')
  assert.ok(found)
  assert.equal(found.sequence, 7)
  assert.equal(found.refreshHint, undefined)
  assert.equal(map.get('third.org'), undefined)
  const set = map.toBundleSet()
  assert.ok(set.equals(BundleSet.fromMap(Buffer.from(map.toText()))))
  assert.equal(set.x509Bundle('example.org')?.size, 1)
  const wrong = (/** @type {string} */ text) => failing(() => BundleMap.parse(text)).replace('ERR_INVALID_BUNDLE ', '')
  assert.equal(wrong('{}'), 'missing_trust_domains')
  assert.equal(wrong('{"trust_domains":{"a.org":{"keys":[]},"a.org":{"keys":[]}}}'), 'duplicate_member')
  assert.equal(wrong('{"trust_domains":{"a.org":{"keys":[]},"A.org":{"keys":[]}}}'), 'duplicate_trust_domain')
  assert.equal(wrong('{"trust_domains":{"a.org":{"keys":[{"kty":"EC","kty":"EC"}]}}}'), 'duplicate_member')
  assert.equal(wrong('{"trust_domains":{"a b":{"keys":[]}}}'), 'invalid_trust_domain')
  assert.throws(() => BundleMap.parse('{"trust_domains":{"a.org":{"keys":[]},"b.org":{}}}'), {
    code: 'ERR_INVALID_BUNDLE',
    rule: 'missing_keys',
    trustDomain: 'b.org'
  })
  const copy = map.clone()
  assert.ok(
    copy.equals(map) && BundleMap.parse(copy.toText()).equals(map) && BundleMap.parse(JSON.stringify(copy)).equals(map)
  )
  assert.equal(copy.remove('other.org'), true)
  assert.equal(copy.remove('other.org'), false)
  assert.equal(copy.size, 1)
  assert.equal(map.size, 2)
  assert.ok(!copy.equals(map) && new BundleMap([found]).equals(copy))
})

test('X.509 bundles are read, changed, compared and written', () => {
  const bundle = X509Bundle.fromPem('Example.org', root.pem + second.pem)
  assert.equal(bundle.trustDomain.name, 'example.org')
  assert.ok(
    bundle.equals(X509Bundle.fromDer('example.org', [second.der, new X509Certificate(root.pem)])),
    'in whatever order'
  )
  assert.ok(
    bundle.equals(X509Bundle.fromDer('example.org', bundle.toDer())) &&
      bundle.equals(X509Bundle.fromPem('example.org', bundle.toPem()))
  )
  assert.ok(!bundle.equals(X509Bundle.fromDer('other.org', bundle.toDer())) && !bundle.equals(bundle.toDer()))
  assert.deepEqual(
    bundle.authorities.map((/** @type {X509Certificate} */ one) => one.serialNumber),
    [root, second].map((one) => new X509Certificate(one.pem).serialNumber)
  )
  const copy = bundle.clone()
  assert.deepEqual(
    [copy.remove(root.der), copy.remove(root.der), copy.has(root.der), copy.add(second.der), copy.size],
    [true, false, false, false, 1]
  )
  assert.equal(bundle.size, 2)
  assert.equal(copy.add(new X509Certificate(root.pem)), true)
  assert.ok(copy.equals(bundle) && new X509Bundle('example.org', [root.der, second.der]).equals(bundle))
  assert.equal(
    failing(() => copy.add(leaf(root, 'spiffe://example.org/a').der)),
    'ERR_INVALID_BUNDLE signing_not_ca'
  )
  assert.equal(
    failing(() => X509Bundle.fromPem('example.org', 'nothing')),
    'ERR_INVALID_BUNDLE malformed_pem'
  )
  assert.equal(
    failing(() => X509Bundle.fromDer('example.org', Buffer.from('junk'))),
    'ERR_INVALID_BUNDLE malformed_der'
  )
  assert.equal(
    failing(() => X509Bundle.fromDer('exa mple', root.der)),
    'ERR_INVALID_TRUST_DOMAIN bad_trust_domain_char'
  )
  assert.throws(() => X509Bundle.fromDer('example.org', [root.der, leaf(root, 'spiffe://example.org/a').der]), {
    rule: 'signing_not_ca',
    index: 1
  })
  assert.equal(inspect(bundle), 'X509Bundle { trustDomain: TrustDomain(example.org), size: 2 }')
})

test('JWT bundles are read, changed, compared and written', () => {
  const bundle = new JwtBundle('example.org')
  assert.deepEqual(
    [
      bundle.add('one', key),
      bundle.add('one', /** @type {Record<string, unknown>} */ (jwk)),
      bundle.add('two', newKey('2048')),
      bundle.add('two', newKey('P-521')),
      bundle.size
    ],
    [true, false, true, true, 2]
  )
  assert.ok(bundle.get('one')?.equals(createPublicKey(key)))
  assert.equal(bundle.get('three'), undefined)
  assert.doesNotMatch(bundle.toJwks(), /"d"/)
  assert.ok(
    JwtBundle.fromJwks('example.org', bundle.toJwks()).equals(bundle) &&
      JwtBundle.fromJwks('example.org', JSON.stringify(bundle)).equals(bundle)
  )
  const copy = bundle.clone()
  assert.deepEqual(
    [copy.remove('one'), copy.remove('one'), copy.has('one'), bundle.has('one')],
    [true, false, false, true]
  )
  assert.ok(!copy.equals(bundle))
  assert.equal(
    failing(() => copy.add('k', newKey('ed25519'))),
    'ERR_INVALID_BUNDLE unknown_key_type'
  )
  assert.equal(
    failing(() => copy.add('k', newKey('1024'))),
    'ERR_INVALID_BUNDLE rsa_size'
  )
  assert.equal(
    failing(() => copy.add('k', { ...jwk, x: jwk.y })),
    'ERR_INVALID_BUNDLE invalid_key'
  )
  for (const wrong of [createSecretKey(Buffer.alloc(32)), null, 'key', []])
    assert.match(
      failing(() => copy.add('k', /** @type {any} */ (wrong))),
      /^ERR_INVALID_ARGUMENT/
    )
  assert.equal(inspect(bundle), "JwtBundle { trustDomain: TrustDomain(example.org), keyIds: [ 'one', 'two' ] }")
})

test('SPIFFE bundles are put together, compared and written', () => {
  const x509Bundle = X509Bundle.fromPem('example.org', root.pem)
  const jwtBundle = JwtBundle.fromJwks('example.org', document([JWT]))
  const bundle = new SpiffeBundle('example.org', { x509Bundle, jwtBundle, sequence: 5, refreshHint: 60000 })
  const again = SpiffeBundle.parse('example.org', bundle.toJwks())
  assert.ok(again.equals(bundle) && again.clone().equals(bundle) && again.toJwks() === bundle.toJwks())
  assert.ok(SpiffeBundle.parse('example.org', JSON.stringify(bundle)).equals(bundle))
  assert.ok(!bundle.with({ sequence: 6 }).equals(bundle) && bundle.sequence === 5)
  bundle.x509Bundle.remove(root.der)
  assert.equal(bundle.x509Bundle.size, 1, 'a copy of its own')
  assert.equal(
    failing(() => new SpiffeBundle('other.org', { x509Bundle })),
    'ERR_INVALID_BUNDLE trust_domain_mismatch'
  )
  for (const wrong of [{ x509Bundle: jwtBundle }, { jwtBundle: {} }, { sequenze: 1 }])
    assert.match(
      failing(() => bundle.with(/** @type {any} */ (wrong))),
      /^ERR_INVALID_ARGUMENT/
    )
})

test('a set holds snapshots by trust domain and kind', () => {
  const x509 = X509Bundle.fromPem('example.org', root.pem)
  const set = new BundleSet([x509, JwtBundle.fromJwks('other.org', document([JWT]))])
  assert.deepEqual(set.trustDomains.map(String), ['example.org', 'other.org'])
  assert.deepEqual(
    [set.add(x509), set.add(x509.clone()), set.size, set.has('EXAMPLE.org'), set.has('third.org')],
    [false, false, 2, true, false]
  )
  x509.add(second.der)
  assert.equal(set.x509Bundle('example.org')?.size, 1)
  const copy = set.clone()
  assert.ok(copy.equals(set))
  assert.equal(copy.add(x509), true)
  assert.ok(!copy.equals(set) && set.x509Bundle('example.org')?.size === 1)
  assert.deepEqual(
    [
      copy.removeJwt('other.org'),
      copy.removeJwt('other.org'),
      copy.has('other.org'),
      copy.remove('example.org'),
      copy.remove('example.org'),
      copy.size
    ],
    [true, false, false, true, false, 0]
  )
  assert.equal(set.jwtBundle('example.org'), undefined)
  for (const wrong of [null, {}, [x509], set, root.der])
    assert.match(
      failing(() => set.add(/** @type {any} */ (wrong))),
      /^ERR_INVALID_ARGUMENT/
    )
  assert.equal(
    failing(() => set.has('exa mple')),
    'ERR_INVALID_TRUST_DOMAIN bad_trust_domain_char'
  )
  assert.equal(JSON.stringify(set), '{"trustDomains":["example.org","other.org"]}')
})
