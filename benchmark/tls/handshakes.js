'use strict'
/** Full handshakes of mutual TLS, ours and plain. */
const tls = require('node:tls')
const { atMost, listed } = require('../report')
const { interleave, medians, perCallAsync } = require('../rounds')
const { SERVER, listening, sanIs, sourceOf } = require('./scene')

/** @typedef {import('./run').Scene} Scene */

/** @param {tls.TLSSocket} socket */
const echo = (socket) => {
  socket.on('error', () => {})
  socket.on('data', (chunk) => socket.write(chunk))
}

/**
 * One connection, until a byte has come back: by then both sides have verified.
 * @param {tls.ConnectionOptions} options
 */
const handshake = (options) =>
  new Promise((resolve, reject) => {
    const socket = tls.connect(options)
    socket.on('secureConnect', () => socket.write('x'))
    socket.on('data', () => {
      socket.destroy()
      resolve(undefined)
    })
    socket.on('error', reject)
  })

/** Servers that let one client in. @param {Scene} scene @param {string} id @param {object} versions */
function servers({ cs, face, certificates }, id, versions) {
  const { ca, server, bundles } = certificates
  const strict = { requestCert: true, rejectUnauthorized: true }
  const plain = tls.createServer({ ...versions, ...strict, key: server.key, cert: server.cert, ca }, (socket) => {
    if (socket.getPeerCertificate().subjectaltname !== `URI:${id}`) return socket.destroy()
    echo(socket)
  })
  const source = sourceOf(cs, server, bundles)
  const authorizer = face.authorize.id(id)
  const ours = tls.createServer(face.serverOptions(source, authorizer, versions), echo)
  face.secureServer(ours, source, authorizer, versions)
  return { plain, ours }
}

/** The clients' options; the plain context is made once as well, and no session is kept. */
function clients(
  /** @type {Scene} */ { cs, face, certificates },
  /** @type {{ cert: string, key: string }} */ { cert, key },
  /** @type {object} */ versions
) {
  const { ca, bundles } = certificates
  return {
    plain: {
      secureContext: tls.createSecureContext({ ...versions, key, cert, ca }),
      checkServerIdentity: sanIs(SERVER)
    },
    ours: face.clientOptions(sourceOf(cs, { cert, key }, bundles), face.authorize.id(SERVER), versions)
  }
}

/** @param {Scene} scene */
async function handshakes(scene) {
  const { report, certificates } = scene
  report.section('full handshakes, beside plain node:tls')
  for (const [what, minted] of /** @type {const} */ ([
    ['leaf signed by the authority', certificates.client],
    ['with an intermediate', certificates.below]
  ])) {
    for (const version of /** @type {const} */ (['TLSv1.3', 'TLSv1.2'])) {
      const versions = { minVersion: version, maxVersion: version }
      const { plain, ours } = servers(scene, `spiffe://a.test/${minted.name}`, versions)
      const options = clients(scene, minted, versions)
      const connect = async (/** @type {tls.Server} */ server, /** @type {tls.ConnectionOptions} */ client) => {
        const port = await listening(server)
        return async () => (await perCallAsync(25, () => handshake({ host: '127.0.0.1', port, ...client }))) / 1e3
      }
      const variants = { ours: await connect(ours, options.ours), plain: await connect(plain, options.plain) }
      const times = medians(await interleave(variants, { rounds: 40, warmUp: 4 }))
      report.ratio(`${version}, ${what}: ours / plain`, times.ours / times.plain, atMost(1.1), `us: ${listed(times)}`)
      plain.close()
      ours.close()
    }
  }
}

module.exports = { handshakes }
