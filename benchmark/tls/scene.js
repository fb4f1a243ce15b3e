'use strict'
/** What the TLS benchmarks share: certificates, a source that can be rotated, plain node:tls as people write it. */
const { once } = require('node:events')
const https = require('node:https')
const { Certificates } = require('../certificates')

const SERVER = 'spiffe://a.test/server'
const CLIENT = 'spiffe://a.test/client'

/**
 * Two authorities, an intermediate, leaves; and bundles of the authorities.
 * @param {string} directory
 * @param {any} cs
 */
function makeScene(directory, cs) {
  const certificates = new Certificates(directory)
  const rootA = certificates.authority('rootA', 'spiffe://a.test')
  const rootB = certificates.authority('rootB', 'spiffe://b.test')
  const between = certificates.authority('between', 'spiffe://a.test', rootA)
  const leaf = (/** @type {string} */ name, issuer = rootA) =>
    certificates.leaf(name, `spiffe://a.test/${name}`, issuer)
  const below = leaf('below', between)
  return {
    rootA,
    rootB,
    leaf,
    server: leaf('server'),
    client: leaf('client'),
    below: { ...below, cert: below.cert + between.cert },
    /** For plain node:tls, which knows no trust domains. */
    ca: [rootA.cert, rootB.cert],
    bundles: new cs.BundleSet([
      cs.X509Bundle.fromPem('a.test', rootA.cert),
      cs.X509Bundle.fromPem('b.test', rootB.cert)
    ])
  }
}

/**
 * A source of X509-SVIDs that changes when the benchmark says so.
 * @param {any} cs
 * @param {any} minted
 * @param {any} bundles
 */
function sourceOf({ X509Svid }, minted, bundles) {
  /** @type {Set<(event: { type: string }) => void>} */
  const listeners = new Set()
  let context = Object.freeze({ svid: X509Svid.fromPem(minted.cert, minted.key), bundles })
  return {
    context: () => context,
    subscribe: (/** @type {(event: { type: string }) => void} */ listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    rotate(/** @type {any} */ next, newBundles = context.bundles) {
      context = Object.freeze({ svid: X509Svid.fromPem(next.cert, next.key), bundles: newBundles })
      for (const listener of listeners) listener({ type: 'update' })
    }
  }
}

/** @param {import('node:net').Server} server @returns {Promise<number>} its port */
async function listening(server) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return /** @type {import('node:net').AddressInfo} */ (server.address()).port
}

/** How people check the name of a server today: as text. @param {string} expected */
const sanIs = (expected) => (/** @type {string} */ _host, /** @type {{ subjectaltname?: string }} */ certificate) =>
  certificate.subjectaltname === `URI:${expected}` ? undefined : new Error('not the server')

/** One request over a kept connection, to the end of the response. @param {number} port @param {https.Agent} agent */
const request = (port, agent) =>
  new Promise((resolve, reject) =>
    https
      .get({ host: '127.0.0.1', port, agent }, (response) => response.resume().on('end', resolve).on('error', reject))
      .on('error', reject)
  )

module.exports = { CLIENT, SERVER, listening, makeScene, request, sanIs, sourceOf }
