// What an attacker would send, and where secrets must not turn up.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { Worker } from 'node:worker_threads'
import * as face from 'countersign'
import { authority, claims, countersign, failing, leaf, newKey, token } from './support/spiffe-scene.mjs'

const {
  authorize,
  BundleSet,
  JwtBundle,
  JwtSvid,
  SpiffeBundle,
  SpiffeId,
  verifyJwtSvid,
  verifyX509Svid,
  X509Bundle,
  X509Svid
} = countersign
const index = createRequire(import.meta.url).resolve('..')

const key = newKey('P-256')
const attacker = newKey('P-256')
const jwt = new JwtBundle('example.org')
jwt.add('one', createPublicKey(key))
const bundles = new BundleSet([jwt])
/** @param {any} header @param {any} body @param {any} [signer] */
const judged = (header, body = claims(), signer = key) =>
  failing(() => verifyJwtSvid(token(header, body, signer, 'ES256'), bundles, { audience: 'shop' })).replace(
    'ERR_INVALID_TOKEN ',
    ''
  )

test('a key in the token is not looked at, not even with further headers borne', () => {
  const jwk = createPublicKey(attacker).export({ format: 'jwk' })
  for (const header of [
    { alg: 'ES256', kid: 'one', jwk },
    { alg: 'ES256', jwk },
    { alg: 'ES256', kid: 'one', x5c: ['AA=='] },
    { alg: 'ES256', kid: 'one', jku: 'https://evil/keys' }
  ]) {
    assert.equal(judged(header, claims(), attacker), 'unexpected_header')
    const text = token(header, claims(), attacker, 'ES256')
    assert.equal(
      failing(() => verifyJwtSvid(text, bundles, { audience: 'shop', allowExtraHeaders: true })),
      'ERR_INVALID_TOKEN invalid_signature'
    )
  }
})

test('a kid is a name, not a path, an index or a query', () => {
  for (const kid of [
    '',
    '../one',
    'one\0',
    'ONE',
    ' one',
    '0',
    '*',
    '__proto__',
    'constructor',
    "' OR 1=1",
    'https://evil/one',
    'a'.repeat(4000)
  ]) {
    assert.equal(judged({ alg: 'ES256', kid }, claims(), attacker), 'unknown_key_id', kid.slice(0, 20))
  }
  for (const kid of [0, ['one'], { one: 1 }, true]) assert.equal(judged({ alg: 'ES256', kid }), 'malformed_header')
})

test('huge and deep inputs end quickly', () => {
  const started = process.hrtime.bigint()
  assert.equal(
    failing(() => JwtSvid.parseInsecure('a'.repeat(5e6))),
    'ERR_INVALID_TOKEN token_too_long'
  )
  assert.equal(
    failing(() => JwtSvid.parseInsecure('.'.repeat(16000))),
    'ERR_INVALID_TOKEN not_compact'
  )
  assert.match(
    failing(() => X509Svid.fromPem('-----BEGIN CERTIFICATE-----\n'.repeat(100000))),
    /^ERR_INVALID_SVID/
  )
  assert.match(
    failing(() => verifyX509Svid(Buffer.alloc(5e6, 0x30), new BundleSet())),
    /^ERR_UNTRUSTED_SVID chain_too_long/
  )
  assert.match(
    failing(() => SpiffeBundle.parse('example.org', `{"keys":${'['.repeat(500000)}`)),
    /^ERR_INVALID_BUNDLE/
  )
  assert.match(
    failing(() => SpiffeBundle.parse('example.org', `{"keys":[${'{},'.repeat(2000)}{}]}`)),
    /^ERR_INVALID_BUNDLE bundle_too_large/
  )
  assert.match(
    failing(() => X509Bundle.fromPem('example.org', 'x'.repeat(5e6))),
    /^ERR_INVALID_BUNDLE/
  )
  assert.ok(Number(process.hrtime.bigint() - started) < 5e9)
})

test('claims nested as deep as a token can hold do not overflow the stack', () => {
  const depth = 5900
  const body = `${JSON.stringify(claims()).slice(0, -1)},"deep":${'['.repeat(depth)}${']'.repeat(depth)}}`
  let value = /** @type {any} */ (
    verifyJwtSvid(token({ alg: 'ES256', kid: 'one' }, body, key), bundles, { audience: 'shop' }).claims.deep
  )
  let found = 0
  for (; Array.isArray(value); value = value[0]) found += Number(Object.isFrozen(value))
  assert.equal(found, depth)
})

test('claims named like members of Object are only claims', () => {
  const body =
    JSON.stringify(claims()).slice(0, -1) +
    ',"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}},"hasOwnProperty":1,' +
    '"list":[{"__proto__":{"x":1}}]}'
  const svid = verifyJwtSvid(token({ alg: 'ES256', kid: 'one' }, body, key), bundles, { audience: 'shop' })
  assert.equal(Object.getPrototypeOf(svid.claims), null)
  assert.equal(svid.claims.admin, undefined)
  assert.equal(/** @type {any} */ ({}).admin, undefined)
  assert.deepEqual(Object.getOwnPropertyDescriptor(svid.claims, '__proto__')?.value.admin, true)
  assert.equal(/** @type {any} */ (svid.claims.list)[0].x, undefined)
})

test('a claim said twice decides nothing', () => {
  for (const twice of ['"exp":9999999999', '"aud":"shop"', '"nbf":0', '"sub":"spiffe://example.org/root"']) {
    assert.equal(
      judged({ alg: 'ES256', kid: 'one' }, `${JSON.stringify(claims({ nbf: 1 })).slice(0, -1)},${twice}}`),
      'malformed_claims',
      twice
    )
  }
  // Spelt with an escape, it is the same name.
  assert.equal(
    judged(
      { alg: 'ES256', kid: 'one' },
      `${JSON.stringify(claims()).slice(0, -1)},"s\\u0075b":"spiffe://example.org/root"}`
    ),
    'malformed_claims'
  )
})

test('an authority of another trust domain cannot vouch for our names, with both bundles at hand', () => {
  const ours = authority('example.org')
  const theirs = authority('evil.org')
  const both = new BundleSet([X509Bundle.fromPem('example.org', ours.pem), X509Bundle.fromPem('evil.org', theirs.pem)])
  const forged = leaf(theirs, 'spiffe://example.org/root')
  for (const chain of [forged.pem, forged.pem + theirs.pem, forged.pem + ours.pem]) {
    assert.equal(
      failing(() => verifyX509Svid(chain, both, { authorize: authorize.any() })),
      'ERR_UNTRUSTED_SVID unknown_issuer'
    )
  }
  const own = leaf(theirs, 'spiffe://evil.org/a')
  assert.equal(
    failing(() => verifyX509Svid(own.pem, both, { authorize: authorize.memberOf('example.org') })),
    'ERR_UNTRUSTED_SVID not_authorized'
  )
  assert.equal(
    failing(() => verifyX509Svid(own.pem, both)),
    'accepted'
  )
})

test('a polluted Object.prototype loosens nothing', () => {
  const script = `
    Object.prototype.allowExtraHeaders = true; Object.prototype.leeway = 120000; Object.prototype.audience = 'shop';
    Object.prototype.authorize = () => true
    const { verifyJwtSvid, verifyX509Svid, BundleSet, JwtBundle } = require(${JSON.stringify(index)})
    const codes = []
    for (const call of [() => verifyJwtSvid(process.argv[1], new BundleSet(), {}),
      () => verifyX509Svid('', new BundleSet(), {})]) {
      try { call(); codes.push('accepted') } catch (error) { codes.push(error.code + ' ' + (error.rule ?? '')) }
    }
    process.stdout.write(codes.join())`
  const said = execFileSync(process.execPath, ['-e', script, token({ alg: 'ES256', x: 1 }, claims(), key)], {
    encoding: 'utf8'
  })
  assert.equal(said, 'ERR_INVALID_ARGUMENT no_expected_audience,ERR_UNTRUSTED_SVID empty_chain')
})

test('secrets turn up under their own names only', () => {
  const root = authority('example.org')
  const minted = leaf(root, 'spiffe://example.org/billing')
  const svid = X509Svid.fromPem(minted.pem, minted.keyPem)
  const text = token({ alg: 'ES256', kid: 'one' }, claims({ secret: 'claim-that-is-ours' }), key)
  const jwtSvid = verifyJwtSvid(text, bundles, { audience: 'shop' })
  assert.equal(jwtSvid.token, text)
  assert.equal(svid.keyPem(), minted.keyPem)
  void svid.privateKey
  void jwtSvid.claims
  const der = minted.key.export({ format: 'der', type: 'pkcs8' })
  const needles = [
    text,
    text.split('.')[2],
    text.split('.')[1],
    'claim-that-is-ours',
    minted.keyPem.split('\n')[1],
    der.toString('hex').slice(60, 100),
    der.toString('base64').slice(60, 90)
  ]
  /** @type {string[]} */
  const places = []
  for (const value of [svid, jwtSvid]) {
    places.push(
      inspect(value),
      inspect(value, { depth: 9, showHidden: true }),
      inspect(value, { customInspect: false, showHidden: true }),
      JSON.stringify(value),
      String(value),
      `${value}`,
      inspect({ ...value }),
      inspect(structuredClone({ ...value, spiffeId: 0 })),
      inspect(Object.entries(Object.getOwnPropertyDescriptors(value)), { depth: 9 })
    )
    assert.match(inspect(value), /\[redacted\]/)
    assert.match(JSON.stringify(value), /\[redacted\]/)
  }
  const broken = [
    text.slice(0, -1),
    `${text}x`,
    text.replace('.', '..'),
    token({ alg: 'ES256', kid: 'secret-kid' }, claims(), key),
    text.slice(5)
  ]
  for (const one of broken) {
    for (const call of [
      () => verifyJwtSvid(one, bundles, { audience: 'shop' }),
      () => verifyJwtSvid(one, bundles, { audience: 'bank' }),
      () => JwtSvid.parseInsecure(one),
      () => SpiffeId.parse(one),
      () => verifyX509Svid(one, bundles),
      () => X509Svid.fromPem(one),
      () => X509Svid.fromPem(minted.pem, minted.keyPem.slice(0, -9)),
      () => X509Svid.fromDer(minted.der, Buffer.concat([der, der])),
      () => JwtBundle.fromJwks('example.org', one),
      () => authorize.id(one)
    ]) {
      try {
        call()
      } catch (/** @type {any} */ error) {
        places.push(inspect(error, { depth: 9, showHidden: true }), JSON.stringify(error), error.stack)
      }
    }
  }
  assert.ok(places.length > 100)
  for (const place of places)
    for (const needle of needles)
      assert.ok(!place.includes(needle), `${needle.slice(0, 12)}... in ${place.slice(0, 200)}`)
})

test('copies of a private key that were made on the way are wiped', () => {
  const minted = leaf(authority('example.org'), 'spiffe://example.org/billing')
  /** @type {Buffer[]} */
  const copies = []
  const exported = minted.key.export.bind(minted.key)
  minted.key.export = (/** @type {any} */ options) => {
    const der = /** @type {any} */ (exported(options))
    copies.push(der)
    return der
  }
  const from = Buffer.from
  // biome-ignore lint/suspicious/noTsIgnore: whether the assignment fits depends on the release of @types/node
  // @ts-ignore: watched
  Buffer.from = (/** @type {any[]} */ ...values) => {
    const made = from(.../** @type {[any]} */ (values))
    copies.push(made)
    return made
  }
  try {
    X509Svid.fromDer(minted.der, minted.key)
    X509Svid.fromPem(minted.pem, minted.keyPem)
    X509Svid.fromPem(minted.pem + minted.keyPem)
    assert.throws(() => X509Svid.fromPem(minted.pem, minted.keyPem + minted.keyPem))
  } finally {
    Buffer.from = from
  }
  assert.ok(copies.length >= 5)
  for (const copy of copies) assert.ok(copy.every((byte) => byte === 0))
  const own = Buffer.from(minted.keyPem)
  X509Svid.fromPem(minted.pem, own)
  assert.equal(own.toString(), minted.keyPem)
})

test('an error points at the caller, not at us', () => {
  for (const call of [
    () => SpiffeId.parse('x'),
    () => JwtSvid.parseInsecure('x'),
    () => verifyJwtSvid('x', bundles, { audience: 'a' }),
    () => verifyX509Svid('', bundles),
    () => X509Svid.fromPem(''),
    () => X509Bundle.fromPem('a.org', ''),
    () => JwtBundle.fromJwks('a.org', ''),
    () => SpiffeBundle.parse('a.org', '')
  ]) {
    assert.throws(call, (/** @type {any} */ error) => {
      assert.match(error.stack.split('\n')[1], /spiffe-attacks\.test/)
      return true
    })
  }
})

test('it works in a worker, and a worker that is ended takes nothing with it', async () => {
  const minted = authority('example.org')
  const child = leaf(minted, 'spiffe://example.org/a')
  const script = `const { verifyX509Svid, X509Bundle, X509Svid } = require(${JSON.stringify(index)});
  const { parentPort, workerData: { root, pem, key } } = require('node:worker_threads')
    X509Svid.fromPem(pem, key)
    parentPort.postMessage(verifyX509Svid(pem, X509Bundle.fromPem('example.org', root)).spiffeId.uri);
    setInterval(() => {}, 1000)`
  for (let round = 0; round < 3; round++) {
    const worker = new Worker(script, {
      eval: true,
      workerData: { root: minted.pem, pem: child.pem, key: child.keyPem }
    })
    assert.equal(
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)),
      'spiffe://example.org/a'
    )
    await worker.terminate()
  }
  assert.equal(
    failing(() => verifyX509Svid(child.pem, X509Bundle.fromPem('example.org', minted.pem))),
    'accepted'
  )
})

test('an ES module and a CommonJS module get the same', () => {
  assert.equal(face.SpiffeId, SpiffeId)
  assert.equal(face.verifyX509Svid, verifyX509Svid)
  assert.equal(face.authorize, authorize)
})
