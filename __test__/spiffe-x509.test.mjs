// X509-SVIDs: what a leaf, a key and a chain must be, and who may vouch for them. Certificates come from openssl.
import assert from 'node:assert/strict'
import { createPublicKey, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import {
  authority,
  CA,
  claims,
  countersign,
  failing,
  file,
  leaf,
  leafExtensions,
  mint,
  newKey,
  pkcs8,
  toDer,
  token
} from './support/spiffe-scene.mjs'

const { authorize, BundleSet, SpiffeBundle, verifyX509Svid, VerifiedX509Svid, X509Bundle, X509Svid } = countersign

const ID = 'spiffe://example.org/billing'
const root = authority('example.org')
const intermediate = mint({
  issuer: root,
  subject: '/O=intermediate',
  extensions: [...CA, 'subjectAltName=URI:spiffe://example.org']
})
const good = leaf(root, ID)
const below = leaf(intermediate, ID)
const bundle = X509Bundle.fromPem('example.org', root.pem)
const bundles = new BundleSet([bundle])

/** @param {any} minted */
const parsed = (minted) => failing(() => X509Svid.fromPem(minted.pem + minted.keyPem)).replace('ERR_INVALID_SVID ', '')
/** @param {any} chain @param {any} [options] @param {any} [from] */
const judged = (chain, options, from = bundles) =>
  failing(() => verifyX509Svid(chain, from, options)).replace('ERR_UNTRUSTED_SVID ', '')
/** @param {any} minted @param {string} verdict */
function both(minted, verdict) {
  assert.equal(parsed(minted), verdict)
  assert.equal(judged(minted.pem), verdict)
}

test('rule 2.1: one URI SAN, which is the SPIFFE ID; names of other kinds may stand beside it', () => {
  both(leaf(root, ID, { subjectAltName: `URI:${ID},DNS:billing.example.org,IP:10.0.0.1` }), 'accepted')
  both(leaf(root, ID, { subjectAltName: undefined }), 'missing_spiffe_id')
  both(leaf(root, ID, { subjectAltName: 'DNS:billing.example.org' }), 'missing_spiffe_id')
  both(leaf(root, ID, { subjectAltName: `URI:${ID},URI:${ID}` }), 'multiple_uri_sans')
  both(leaf(root, ID, { subjectAltName: 'URI:https://example.org/billing' }), 'invalid_spiffe_id')
  assert.equal(
    verifyX509Svid(leaf(root, ID, { subjectAltName: `URI:${ID},DNS:b.example.org` }).pem, bundles).dnsNames[0],
    'b.example.org'
  )
  try {
    X509Svid.fromPem(leaf(root, 'spiffe://example.org/a/../b').pem, good.keyPem)
    assert.fail('accepted')
  } catch (/** @type {any} */ error) {
    assert.deepEqual([error.code, error.rule, error.reason], ['ERR_INVALID_SVID', 'invalid_spiffe_id', 'dot_segment'])
  }
})

test('rule 2.2: the ID of a leaf has a path', () => both(leaf(root, 'spiffe://example.org'), 'leaf_id_without_path'))

test('rule 2.3: a leaf is no CA; basic constraints may be missing', () => {
  both(leaf(root, ID, { basicConstraints: 'critical,CA:true' }), 'leaf_is_ca')
  both(leaf(root, ID, { basicConstraints: undefined }), 'accepted')
})

test('rule 2.4: key usage is there, critical, with digitalSignature', () => {
  both(leaf(root, ID, { keyUsage: undefined }), 'leaf_missing_key_usage')
  both(leaf(root, ID, { keyUsage: 'digitalSignature' }), 'leaf_key_usage_not_critical')
  both(leaf(root, ID, { keyUsage: 'critical,keyEncipherment' }), 'leaf_missing_digital_signature')
})

test('rule 2.5: no keyCertSign, no cRLSign', () => {
  both(leaf(root, ID, { keyUsage: 'critical,digitalSignature,keyCertSign' }), 'leaf_has_key_cert_sign')
  both(leaf(root, ID, { keyUsage: 'critical,digitalSignature,cRLSign' }), 'leaf_has_crl_sign')
})

test('rule 2.6: keyEncipherment and keyAgreement are allowed', () =>
  both(leaf(root, ID, { keyUsage: 'critical,digitalSignature,keyEncipherment,keyAgreement' }), 'accepted'))

test('rule 2.7: an extended key usage must allow the use', () => {
  const server = leaf(root, ID, { extendedKeyUsage: 'serverAuth' }).pem
  assert.equal(judged(server, { usage: 'serverAuth' }), 'accepted')
  assert.equal(judged(server, { usage: 'clientAuth' }), 'extended_key_usage')
  assert.equal(judged(server), 'accepted')
  assert.equal(judged(leaf(root, ID, { extendedKeyUsage: 'codeSigning' }).pem), 'extended_key_usage')
  assert.equal(judged(good.pem, { usage: 'clientAuth' }), 'accepted')
  assert.equal(
    judged(leaf(root, ID, { extendedKeyUsage: 'serverAuth,clientAuth' }).pem, { usage: 'clientAuth' }),
    'accepted'
  )
})

test('rule 2.8: an empty subject with a critical SAN is fine', () => {
  const nameless = mint({
    issuer: root,
    subject: '/',
    extensions: leafExtensions(ID, { subjectAltName: `critical,URI:${ID}` })
  })
  both(nameless, 'accepted')
})

test('rule 2.9: signing certificates are CAs that may sign and have no path', () => {
  for (const [extensions, verdict] of /** @type {[string[], string][]} */ ([
    [['basicConstraints=critical,CA:false', 'keyUsage=critical,keyCertSign'], 'signing_not_ca'],
    [['basicConstraints=critical,CA:true', 'keyUsage=critical,digitalSignature'], 'signing_missing_key_cert_sign'],
    [[...CA, 'subjectAltName=URI:spiffe://example.org/ca'], 'signing_id_with_path']
  ])) {
    const bad = mint({ subject: '/O=bad', extensions })
    assert.equal(
      failing(() => X509Bundle.fromPem('example.org', bad.pem)),
      `ERR_INVALID_BUNDLE ${verdict}`
    )
    assert.equal(parsed({ pem: leaf(bad, ID).pem + bad.pem, keyPem: '' }), 'missing_private_key')
    const end = leaf(bad, ID)
    assert.equal(parsed({ pem: end.pem + bad.pem, keyPem: end.keyPem }), verdict)
    const skipping = X509Bundle.fromDer('example.org', bad.der, { lazy: true })
    assert.deepEqual(
      skipping.skipped.map((/** @type {any} */ one) => one.reason),
      [verdict]
    )
    assert.equal(judged(end.pem, {}, skipping), 'no_authorities')
  }
  assert.notEqual(judged(root.pem), 'accepted', 'a signing certificate is no identity')
})

test("rule 2.10: the path leads to the bundle of the leaf's own trust domain", () => {
  const other = authority('other.org')
  const pooled = new BundleSet([bundle, X509Bundle.fromPem('other.org', other.pem)])
  assert.equal(judged(good.pem, {}, pooled), 'accepted')
  assert.equal(judged(below.pem + intermediate.pem), 'accepted')
  assert.equal(judged(below.pem), 'unknown_issuer')
  assert.equal(
    judged(below.pem, {}, X509Bundle.fromPem('example.org', intermediate.pem)),
    'accepted',
    'an intermediate may be the anchor'
  )
  assert.equal(judged(leaf(other, ID).pem, {}, pooled), 'unknown_issuer', 'a foreign authority vouches for our name')
  assert.equal(
    judged(leaf(root, 'spiffe://other.org/billing').pem, {}, pooled),
    'unknown_issuer',
    'and we for a foreign one'
  )
  assert.equal(judged(leaf(root, 'spiffe://third.org/billing').pem, {}, pooled), 'no_bundle')
  assert.equal(judged(good.pem, {}, new BundleSet()), 'no_bundle')
  assert.equal(judged(good.pem, {}, new X509Bundle('example.org')), 'no_authorities')
  assert.equal(judged(good.pem, { now: new Date(Date.now() + 40 * 86400e3) }), 'expired')
  assert.equal(judged(good.pem, { now: new Date(Date.now() - 86400e3) }), 'not_yet_valid')
  const short = mint({
    subject: '/O=short',
    extensions: ['basicConstraints=critical,CA:true,pathlen:0', 'keyUsage=critical,keyCertSign']
  })
  const middle = mint({ issuer: short, subject: '/O=middle', extensions: CA })
  assert.equal(
    judged(leaf(middle, ID).pem + middle.pem, {}, X509Bundle.fromPem('example.org', short.pem)),
    'path_length'
  )
  const constrained = mint({
    subject: '/O=constrained',
    extensions: [...CA, 'nameConstraints=critical,permitted;DNS:other.org']
  })
  assert.equal(
    judged(
      leaf(constrained, ID, { subjectAltName: `URI:${ID},DNS:a.example.org` }).pem,
      {},
      X509Bundle.fromPem('example.org', constrained.pem)
    ),
    'name_constraint'
  )
})

test('rule 2.11: the key is unencrypted PKCS#8 and matches the leaf', () => {
  for (const kind of ['P-256', 'P-384', 'P-521', '2048', 'ed25519']) {
    const minted = leaf(root, ID, {}, newKey(kind))
    const svid = X509Svid.fromPem(minted.pem, minted.keyPem)
    assert.ok(createPublicKey(svid.privateKey).equals(svid.certificates[0].publicKey), kind)
    assert.equal(parsed({ pem: minted.pem, keyPem: pkcs8(newKey(kind)) }), 'private_key_mismatch')
    assert.equal(
      svid.keyAlgorithm,
      { 'P-256': 'ecdsa_p256', 'P-384': 'ecdsa_p384', 'P-521': 'ecdsa_p521', 2048: 'rsa', ed25519: 'ed25519' }[kind]
    )
  }
  assert.equal(parsed({ pem: good.pem, keyPem: '' }), 'missing_private_key')
  assert.equal(parsed({ pem: good.pem, keyPem: good.keyPem + good.keyPem }), 'multiple_private_keys')
  assert.equal(parsed({ pem: good.pem, keyPem: pkcs8(newKey('P-384')) }), 'malformed_private_key')
  assert.equal(
    parsed({ pem: good.pem, keyPem: String(good.key.export({ format: 'pem', type: 'sec1' })) }),
    'private_key_form'
  )
  assert.equal(
    parsed({
      pem: good.pem,
      keyPem: String(good.key.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' }))
    }),
    'private_key_form'
  )
  assert.equal(
    failing(() => X509Svid.fromDer(good.der, Buffer.alloc(20000))),
    'ERR_INVALID_SVID private_key_too_long'
  )
})

test('rule 2.12: a chain has a certificate', () => {
  assert.equal(parsed({ pem: '', keyPem: good.keyPem }), 'empty_chain')
  for (const nothing of ['', [], new Uint8Array(), 'no PEM at all']) assert.equal(judged(nothing), 'empty_chain')
})

test('rule 2.13: chains have limits', () => {
  const long = Array.from({ length: 17 }, () => good.der)
  for (const chain of [long, Buffer.concat(long)]) assert.equal(judged(chain), 'chain_too_long')
  assert.equal(parsed({ pem: good.pem + root.pem.repeat(16), keyPem: good.keyPem }), 'chain_too_long')
  assert.equal(judged(Buffer.alloc(1e6, 0x30)), 'chain_too_long')
  assert.equal(judged(Buffer.concat([good.der, Buffer.from('junk')])), 'malformed_chain')
  assert.equal(
    judged([good.der, Buffer.concat([intermediate.der, Buffer.from('junk')])]),
    'accepted',
    'what takes no part is not judged'
  )
  assert.notEqual(judged([Buffer.concat([good.der, Buffer.from('junk')]), root.der]), 'accepted')
  assert.equal(judged(leaf(root, `spiffe://example.org/${'a'.repeat(2028)}`).pem), 'invalid_spiffe_id')
})

test('a chain in every form says the same', () => {
  const der = Buffer.concat([below.der, intermediate.der])
  const shared = new Uint8Array(new SharedArrayBuffer(der.length))
  shared.set(der)
  const pem = below.pem + intermediate.pem
  for (const chain of [
    pem,
    der,
    shared,
    [below.der, intermediate.der],
    [new X509Certificate(below.pem), new X509Certificate(intermediate.pem)],
    [below.der, new X509Certificate(intermediate.pem)]
  ]) {
    for (let again = 0; again < 2; again++) {
      const verified = verifyX509Svid(chain, bundles)
      assert.ok(verified instanceof VerifiedX509Svid && Object.isFrozen(verified))
      assert.equal(`${verified}`, ID)
      assert.deepEqual(
        verified.certificates.map((/** @type {X509Certificate} */ one) => one.serialNumber),
        [below, intermediate].map((one) => new X509Certificate(one.pem).serialNumber)
      )
      assert.equal(verified.expiresAt.getTime(), Date.parse(new X509Certificate(below.pem).validTo))
    }
  }
  const one = new X509Certificate(good.pem)
  assert.deepEqual(verifyX509Svid(one, bundles).certificates, [one])
})

test('what is told is what was judged, whatever happens to the bytes', () => {
  const bytes = Buffer.from(good.der)
  const verified = verifyX509Svid(bytes, bundles)
  bytes.fill(0)
  assert.equal(verified.certificates[0].serialNumber, new X509Certificate(good.pem).serialNumber)
})

test('the authorizer has the last word, also over a chain that was seen before', () => {
  assert.equal(judged(good.pem, { authorize: authorize.id(ID) }), 'accepted')
  assert.equal(judged(good.pem, { authorize: authorize.oneOf([]) }), 'not_authorized')
  assert.equal(judged(good.pem, { authorize: async () => true }), 'authorizer_failed')
  assert.equal(
    judged(good.pem, {
      authorize: () => {
        throw new Error('x')
      }
    }),
    'authorizer_failed'
  )
  assert.match(judged(good.pem, { authorize: undefined }), /^ERR_INVALID_ARGUMENT/)
  assert.match(judged(good.pem, { authorise: authorize.oneOf([]) }), /^ERR_INVALID_ARGUMENT/)
  assert.throws(
    () => verifyX509Svid(good.pem, bundles, { authorize: authorize.memberOf('other.org') }),
    (/** @type {any} */ error) => {
      assert.deepEqual([error.spiffeId, error.expected], [ID, 'a member of other.org'])
      assert.match(error.message, /spiffe:\/\/example\.org\/billing is not authorized: expected a member of other\.org/)
      return true
    }
  )
})

test('a revoked authority vouches no longer, also for chains that were seen before', () => {
  const set = new BundleSet([bundle])
  assert.equal(judged(good.pem, {}, set), 'accepted')
  const rotated = bundle.clone()
  rotated.add(authority('example.org').der)
  assert.ok(rotated.remove(root.der))
  assert.equal(judged(good.pem, {}, set), 'accepted', 'the set holds a snapshot')
  set.add(rotated)
  assert.equal(judged(good.pem, {}, set), 'invalid_signature', 'the new authority has the name of the old one')
  set.removeX509('example.org')
  assert.equal(judged(good.pem, {}, set), 'no_bundle')
})

test('every holder of bundles judges', () => {
  const document = new SpiffeBundle('example.org', { x509Bundle: bundle })
  for (const from of [bundle, document, new BundleSet([document])]) assert.equal(judged(good.pem, {}, from), 'accepted')
  for (const wrong of [undefined, {}, [bundle], new countersign.JwtBundle('example.org'), root.pem])
    assert.match(judged(good.pem, {}, wrong ?? null), /^ERR_INVALID_ARGUMENT/)
  for (const wrong of [null, 5, {}, [good.pem], [null]]) assert.match(judged(wrong), /^ERR_INVALID_ARGUMENT/)
  for (const options of [{ now: Date.now() }, { now: new Date(NaN) }, { usage: 'server' }, { usage: '__proto__' }])
    assert.match(judged(good.pem, options), /^ERR_INVALID_ARGUMENT/)
})

test('an SVID from files, texts and bytes, and back', () => {
  const pem = below.pem + intermediate.pem
  const der = toDer(pem)
  const first = X509Svid.fromPem(pem, below.keyPem, { hint: 'internal' })
  const keyDer = below.key.export({ format: 'der', type: 'pkcs8' })
  for (const same of [
    X509Svid.load(file('chain.pem', pem), below.keyFile, { hint: 'internal' }),
    X509Svid.load(file('both.pem', pem + below.keyPem), undefined, { hint: 'internal' }),
    X509Svid.fromDer(der, keyDer, { hint: 'internal' }),
    X509Svid.fromDer([below.der, new X509Certificate(intermediate.pem)], below.key, { hint: 'internal' }),
    X509Svid.fromPem(Buffer.from(pem), Buffer.from(below.keyPem), { hint: 'internal' }),
    X509Svid.fromPem(first.chainPem() + first.keyPem(), undefined, { hint: 'internal' })
  ])
    assert.ok(first.equals(same))
  assert.ok(
    keyDer.some((byte) => byte !== 0),
    "what the caller gave is the caller's"
  )
  assert.ok(!first.equals(X509Svid.fromPem(pem, below.keyPem)) && !first.equals(null))
  assert.equal(first.chainPem(), pem)
  assert.equal(first.keyPem(), below.keyPem)
  assert.equal(first.hint, 'internal')
  assert.equal(first.spiffeId.uri, ID)
  assert.equal(first.certificates.length, 2)
  assert.equal(first.certificates, first.certificates)
  const { privateKey } = first
  assert.ok(privateKey.equals(below.key) && first.privateKey === privateKey)
  for (const number of [undefined, '1', '0x7f', '0x80', '0xff00000000000000000000000000000000000001']) {
    const { pem, keyPem } = mint({ issuer: root, extensions: leafExtensions(ID), number })
    assert.equal(X509Svid.fromPem(pem, keyPem).serialNumber, new X509Certificate(pem).serialNumber.toLowerCase())
  }
  assert.equal(first.expiresAt.getTime(), Date.parse(new X509Certificate(below.pem).validTo))
  assert.ok(first.expiresAt > first.notBefore)
  assert.throws(
    () => X509Svid.load('/nowhere/svid.pem'),
    (/** @type {any} */ error) =>
      error.rule === 'unreadable_file' && error.path === '/nowhere/svid.pem' && error.cause.code === 'ENOENT'
  )
  for (const wrong of [
    // @ts-expect-error: the constructor is private
    () => new X509Svid(),
    // @ts-expect-error: the constructor is private
    () => new X509Svid({}),
    // @ts-expect-error: the argument has a wrong type
    () => X509Svid.fromPem(5),
    // @ts-expect-error: the argument has a wrong type
    () => X509Svid.fromDer(der, 'key'),
    () => X509Svid.fromDer(der, createPublicKey(below.key)),
    () => X509Svid.load(''),
    // @ts-expect-error: the argument has a wrong type
    () => X509Svid.fromPem(pem, below.keyPem, { hint: 5 })
  ]) {
    assert.match(failing(wrong), /^ERR_INVALID_ARGUMENT/)
  }
})

test('half of the lifetime is when to rotate', () => {
  const svid = X509Svid.fromPem(good.pem, good.keyPem)
  const half = (svid.notBefore.getTime() + svid.expiresAt.getTime()) / 2
  assert.equal(svid.needsRotation(), false)
  assert.equal(svid.needsRotation(new Date(half - 2000)), false)
  assert.equal(svid.needsRotation(new Date(half + 2000)), true)
  assert.match(
    // @ts-expect-error: the argument has a wrong type
    failing(() => svid.needsRotation(half)),
    /^ERR_INVALID_ARGUMENT/
  )
})

test('a token is no chain', () => assert.notEqual(judged(token({ alg: 'ES256' }, claims(), newKey())), 'accepted'))
