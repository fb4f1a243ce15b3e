'use strict'
/** The responses of the Workload API that answers at once, as files. Nothing of the package has a part in them. */
const { X509Certificate, createPrivateKey, createPublicKey, generateKeyPairSync } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { Certificates } = require('../certificates')
const { mintJwtSvid } = require('../jwt-svid')
const { AUDIENCE } = require('./audience')
const { loadService } = require('./grpc-client.cjs')

const TRUST_DOMAIN = 'spiffe://example.org'
const BILLING = `${TRUST_DOMAIN}/billing`

/** The response of a method as the bytes of its message. @param {string} method @param {object} response */
function message(method, response) {
  return loadService().SpiffeWorkloadAPI.service[method].responseSerialize(response)
}

/** An authority, and so many SVIDs of one workload. @param {string} directory @param {number} count */
function x509(directory, count) {
  const certificates = new Certificates(directory)
  const authority = certificates.authority('authority', TRUST_DOMAIN)
  const bundle = new X509Certificate(authority.cert).raw
  const svids = Array.from({ length: count }, (_, index) => {
    const { cert, key } = certificates.leaf(`svid-${index}`, BILLING, authority)
    return {
      spiffe_id: BILLING,
      x509_svid: new X509Certificate(cert).raw,
      x509_svid_key: createPrivateKey(key).export({ format: 'der', type: 'pkcs8' }),
      bundle
    }
  })
  return { bundle, svids }
}

/** A token that outlives the benchmark, and the document with its key. */
function jwt() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = { ...createPublicKey(privateKey).export({ format: 'jwk' }), kid: 'one' }
  const { text } = mintJwtSvid('ES256', privateKey, { sub: BILLING, aud: [AUDIENCE] }, 24 * 3600)
  return { svid: text, jwks: Buffer.from(JSON.stringify({ keys: [jwk] })) }
}

/**
 * One SVID, two to rotate between, tokens; and directories with large messages.
 * @param {string} directory
 * @returns {{ count: number, directory: string }[]} the large ones
 */
function writeResponses(directory) {
  const { bundle, svids } = x509(directory, 3)
  const { svid, jwks } = jwt()
  const single = svids.map((one) => message('FetchX509SVID', { svids: [one] }))
  const files = {
    x509: single[0],
    'x509-2': single[1],
    'x509-3': single[2],
    'x509-bundles': message('FetchX509Bundles', { bundles: { [TRUST_DOMAIN]: bundle } }),
    jwt: message('FetchJWTSVID', { svids: [{ spiffe_id: BILLING, svid }] }),
    'jwt-bundles': message('FetchJWTBundles', { bundles: { [TRUST_DOMAIN]: jwks } })
  }
  const many = (/** @type {number} */ count) => {
    const numbers = Array.from({ length: count }, (_, index) => index)
    return message('FetchX509SVID', {
      svids: numbers.map((index) => ({ ...svids[0], hint: `h${index}` })),
      federated_bundles: Object.fromEntries(numbers.map((index) => [`spiffe://d${index}.org`, bundle]))
    })
  }
  const write = (/** @type {string} */ target, /** @type {Record<string, Uint8Array>} */ contents) => {
    for (const [name, bytes] of Object.entries(contents)) fs.writeFileSync(path.join(target, name), bytes)
  }
  write(directory, files)
  return [1, 100, 1000].map((count) => {
    const large = path.join(directory, `large-${count}`)
    fs.mkdirSync(large)
    write(large, { ...files, x509: many(count) })
    return { count, directory: large }
  })
}

module.exports = { writeResponses }
