'use strict'
/**
 * npm run bench:spiffe - the verification of SVIDs beside jose and beside the bare cryptography under it, and SPIFFE
 * IDs beside URL; all in one process, interleaved round by round. The options are those of benchmark/bench.js.
 */
const { createPublicKey, generateKeyPairSync, X509Certificate } = require('node:crypto')
const { bench } = require('../bench')
const { Certificates } = require('../certificates')
const { mintJwtSvid } = require('../jwt-svid')
const { buildNative, nativeAddon } = require('../native')
const { atLeast, atMost } = require('../report')
const { inFlight, interleave, medians, perCall, perCallAsync, round } = require('../rounds')
const { sets } = require('./sets')

/** @typedef {import('../report').Report} Report */

const AUDIENCE = 'spiffe://example.org/shop'
/** What a call returned: a result that is used cannot be optimized away. */
let sink

const ROUNDS = { rounds: 31, warmUp: 3 }
const FEW_ROUNDS = { rounds: 15, warmUp: 3 }

/** @param {Record<string, number>} times in nanoseconds */
const microseconds = (times) =>
  `us: ${Object.entries(times)
    .map(([name, value]) => `${name} ${round(value / 1000)}`)
    .join(', ')}`

/** @param {Report} report @param {any} countersign */
async function ids(report, { SpiffeId }) {
  const names = Array.from({ length: 1000 }, (_, index) => `spiffe://example.org/ns/production/sa/billing-${index}`)
  const parse = (/** @type {(name: string) => unknown} */ call) => () =>
    perCall(20_000, (index) => {
      sink = call(names[index % 1000])
    })
  const variants = { ours: parse((name) => SpiffeId.parse(name)), url: parse((name) => new URL(name)) }
  const times = medians(await interleave(variants, ROUNDS))
  report.section('SPIFFE IDs')
  report.ratio('SpiffeId.parse / new URL', times.ours / times.url, atMost(1), microseconds(times))
}

/** @param {'ES256' | 'RS256'} algorithm */
const keyPair = (algorithm) =>
  algorithm === 'ES256'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 })

/** One check of a signature in Rust, nanoseconds a call. @param {any} native @param {any} jwk @param {any} token */
function bareCheck(native, jwk, { message, signature }) {
  const bytes = (/** @type {string} */ name) => Buffer.from(jwk[name], 'base64url')
  if (jwk.kty === 'RSA') return () => native.bareRs256(bytes('n'), bytes('e'), message, signature, 300)
  const point = Buffer.concat([Buffer.from([4]), bytes('x'), bytes('y')])
  return () => native.bareEs256(point, message, signature, 300)
}

/** @param {Report} report @param {any} countersign @param {any} native @param {'ES256' | 'RS256'} algorithm */
async function tokens(report, { JwtBundle, BundleSet, verifyJwtSvid }, native, algorithm) {
  const { privateKey } = keyPair(algorithm)
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' })
  const claims = { sub: 'spiffe://example.org/ns/production/sa/billing', aud: [AUDIENCE] }
  const minted = mintJwtSvid(algorithm, privateKey, claims, 3600)
  const bundle = new JwtBundle('example.org')
  bundle.add('one', jwk)
  const remembering = new BundleSet([bundle])
  const { jwtVerify, createLocalJWKSet } = await import('jose')
  const keys = createLocalJWKSet({ keys: [{ ...jwk, kid: 'one', alg: algorithm }] })
  const verify = (/** @type {unknown} */ bundles) => () => {
    sink = verifyJwtSvid(minted.text, bundles, { audience: AUDIENCE })
  }
  const jose = async () => {
    sink = await jwtVerify(minted.text, keys, { audience: AUDIENCE })
  }
  const times = medians(
    await interleave(
      {
        // A bundle by itself remembers no token: every call pays for its signature.
        ours: () => perCall(300, verify(bundle)),
        seen: () => perCall(2000, verify(remembering)),
        jose: () => perCallAsync(100, jose),
        bare: bareCheck(native, jwk, minted)
      },
      ROUNDS
    )
  )
  // The signature checks of jose run on other threads: with many calls in flight it has all cores, and we have one.
  const busy = medians(
    await interleave(
      {
        ours: () => perCall(256, verify(bundle)),
        jose: async () => (await perCallAsync(1, () => inFlight(64, 256, jose))) / 256
      },
      FEW_ROUNDS
    )
  )
  report.section(`JWT-SVIDs, ${algorithm}`)
  report.ratio('time: jose.jwtVerify / verifyJwtSvid', times.jose / times.ours, atLeast(3), microseconds(times))
  report.ratio('verifyJwtSvid / bare signature check in Rust', times.ours / times.bare, atMost(1.3))
  report.ratio('time: jose with 64 in flight / verifyJwtSvid', busy.jose / busy.ours, atLeast(1), microseconds(busy))
}

/** An authority, an intermediate, and a leaf. @param {string} directory */
function chain(directory) {
  const certificates = new Certificates(directory)
  const anchor = certificates.authority('anchor')
  const intermediate = certificates.authority('intermediate', undefined, anchor)
  const usage = 'extendedKeyUsage=serverAuth,clientAuth'
  const leaf = certificates.leaf('leaf', 'spiffe://example.org/billing/0', intermediate, usage)
  const [anchorCertificate, ...list] = [anchor, leaf, intermediate].map(({ cert }) => new X509Certificate(cert))
  return { anchor: anchorCertificate, list, der: Buffer.concat(list.map(({ raw }) => raw)) }
}

/** @param {Report} report @param {any} countersign @param {any} native @param {ReturnType<typeof chain>} chain */
async function chains(report, { X509Bundle, BundleSet, verifyX509Svid }, native, { anchor, list, der }) {
  const bundle = X509Bundle.fromDer('example.org', anchor)
  const remembering = new BundleSet([bundle])
  const verify = (/** @type {unknown} */ svid, /** @type {unknown} */ bundles) => () => {
    sink = verifyX509Svid(svid, bundles)
  }
  const [leaf, intermediate] = list
  const times = medians(
    await interleave(
      {
        // A bundle by itself remembers no chain: every call pays for its signatures.
        ours: () => perCall(100, verify(der, bundle)),
        bare: () => native.barePath(anchor.raw, leaf.raw, intermediate.raw, 100),
        'seen, DER': () => perCall(2000, verify(der, remembering)),
        'seen, X509Certificate[]': () => perCall(2000, verify(list, remembering))
      },
      ROUNDS
    )
  )
  report.section('X509-SVIDs, one intermediate')
  report.ratio(
    'verifyX509Svid / bare path validation in Rust',
    times.ours / times.bare,
    atMost(1.5),
    microseconds(times)
  )
  for (const form of ['DER', 'X509Certificate[]']) {
    const name = `a chain seen before, ${form} / bare path validation in Rust`
    report.ratio(name, times[`seen, ${form}`] / times.bare, atMost(0.08))
  }
}

bench('spiffe', { prepare: buildNative }, async ({ report, checkout, directory }) => {
  const countersign = checkout.load()
  const native = nativeAddon()
  const minted = chain(directory)
  await ids(report, countersign)
  await tokens(report, countersign, native, 'ES256')
  await tokens(report, countersign, native, 'RS256')
  await chains(report, countersign, native, minted)
  await sets(report, countersign, minted)
  return sink
})
