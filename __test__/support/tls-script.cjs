'use strict'
// What the scripts share that try TLS on every runtime. It needs no test runner.
const fs = require('node:fs')
const path = require('node:path')
const tls = require('node:tls')
const { BundleSet, X509Bundle } = require('countersign')

/** Certificates and keys as `writeIdentities` writes them. @param {string} directory */
function identities(directory) {
  const read = (/** @type {string} */ name) => fs.readFileSync(path.join(directory, name), 'utf8')
  return {
    read,
    /** The key pair and chain of an identity, for plain node:tls. @param {string} name */
    shown: (/** @type {string} */ name) => ({ key: read(`${name}.pem`), cert: read(`${name}.pem`) }),
    bundles: new BundleSet([
      X509Bundle.fromPem('a.test', read('rootA.pem')),
      X509Bundle.fromPem('b.test', read('rootB.pem'))
    ])
  }
}

/** @param {import('node:net').Server} server @returns {Promise<number>} */
const listening = (server) =>
  new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve(/** @type {import('node:net').AddressInfo} */ (server.address()).port))
  )

/**
 * What a client with plain node:tls receives. Like an attacker, it sends its request as early as it can.
 * @param {number} port
 * @param {tls.ConnectionOptions} options
 * @param {string} request
 * @returns {Promise<string>}
 */
const raw = (port, options, request) =>
  new Promise((resolve) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
    let text = ''
    socket.on('secureConnect', () => socket.write(request))
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('error', () => resolve(text || 'refused'))
    socket.on('close', () => resolve(text || 'refused'))
  })

module.exports = { identities, listening, raw }
