'use strict'
/** Sets of bundles: what one trust domain of many costs. */
const { createPublicKey, generateKeyPairSync } = require('node:crypto')
const { atMost } = require('../report')
const { interleave, medians, perCall, round } = require('../rounds')

const COUNTS = [1, 100, 1000]

/**
 * Bundle sets of any size, and documents of them.
 * @param {any} countersign
 * @param {import('node:crypto').X509Certificate} anchor
 */
function makers({ X509Bundle, JwtBundle, BundleSet, SpiffeBundle }, anchor) {
  const jwk = createPublicKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey).export({ format: 'jwk' })
  const jwks = JSON.stringify({ keys: [{ ...jwk, kid: 'one' }] })
  const document = new SpiffeBundle('example.org', {
    x509Bundle: X509Bundle.fromPem('example.org', anchor.toString()),
    jwtBundle: JwtBundle.fromJwks('example.org', jwks)
  }).toJwks()
  const domains = (/** @type {number} */ count) =>
    Array.from({ length: count }, (_, index) => (index === 0 ? 'example.org' : `td${index}.example.org`))
  return {
    set: (/** @type {number} */ count, /** @type {boolean} */ lazy) =>
      new BundleSet(
        domains(count).flatMap((name) => [
          X509Bundle.fromDer(name, anchor.raw, { lazy }),
          JwtBundle.fromJwks(name, jwks, { lazy })
        ])
      ),
    map: (/** @type {number} */ count) => {
      const members = domains(count).map((name) => `${JSON.stringify(name)}:${document}`)
      return `{"trust_domains":{${members.join()}}}`
    }
  }
}

/** @param {any} countersign @param {ReturnType<typeof makers>} make @param {Buffer} der @param {number} count */
function variantsOf({ BundleMap, verifyX509Svid }, make, der, count) {
  const map = make.map(count)
  const few = Math.max(1, 20 / count)
  return {
    [`lazy ${count}`]: () => perCall(Math.max(1, 200 / count), () => make.set(count, true)),
    [`eager ${count}`]: () => perCall(few, () => make.set(count, false)),
    [`map ${count}`]: () => perCall(few, () => BundleMap.parse(map)),
    [`first peer ${count}`]: () => {
      const fresh = Array.from({ length: 5 }, () => make.set(count, true))
      return perCall(fresh.length, (index) => verifyX509Svid(der, fresh[index]))
    }
  }
}

/** @param {import('../report').Report} report @param {any} countersign @param {{ anchor: any, der: Buffer }} chain */
async function sets(report, countersign, { anchor, der }) {
  const make = makers(countersign, anchor)
  const variants = Object.assign({}, ...COUNTS.map((count) => variantsOf(countersign, make, der, count)))
  const times = medians(await interleave(variants, { rounds: 9, warmUp: 3 }))
  report.section('sets of bundles')
  for (const kind of ['lazy', 'eager', 'map']) {
    const each = COUNTS.map((count) => times[`${kind} ${count}`] / count)
    report.ratio(
      `${kind}: a trust domain of 1000 / of 100`,
      each[2] / each[1],
      atMost(1.5),
      `us a trust domain at ${COUNTS}: ${each.map((ns) => round(ns / 1000)).join(', ')}`
    )
  }
  report.ratio(
    '1000 trust domains: lazy / eager',
    times['lazy 1000'] / times['eager 1000'],
    atMost(0.7),
    `ms: ${['lazy', 'eager'].map((kind) => round(times[`${kind} 1000`] / 1e6)).join(', ')}`
  )
  report.ratio(
    'the first peer, which parses the roots: of 1000 / of 1',
    times['first peer 1000'] / times['first peer 1'],
    atMost(1.5),
    `us: ${COUNTS.map((count) => round(times[`first peer ${count}`] / 1000)).join(', ')}`
  )
}

module.exports = { sets }
