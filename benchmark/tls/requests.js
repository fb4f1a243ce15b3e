'use strict'
/** Requests over kept connections of mutual TLS, ours and plain. */
const https = require('node:https')
const { atLeast, listed } = require('../report')
const { elapsed, inFlight, interleave, medians } = require('../rounds')
const { CLIENT, SERVER, listening, request, sanIs, sourceOf } = require('./scene')

const REQUESTS = 800
const CONNECTIONS = 16

/** @typedef {import('./run').Scene} Scene */

/** @param {Scene} scene */
async function plainSide({ certificates: { ca, server: minted, client } }) {
  const server = https.createServer(
    { key: minted.key, cert: minted.cert, ca, requestCert: true, rejectUnauthorized: true },
    (incoming, response) => {
      const socket = /** @type {any} */ (incoming.socket)
      socket.peer ??= socket.getPeerCertificate()
      response.end(socket.peer.subjectaltname)
    }
  )
  const agent = new https.Agent({
    keepAlive: true,
    maxSockets: CONNECTIONS,
    key: client.key,
    cert: client.cert,
    ca,
    checkServerIdentity: sanIs(SERVER)
  })
  return { server, agent, port: await listening(server) }
}

/** @param {Scene} scene */
async function ourSide({ cs, face, certificates: { bundles, server: minted, client } }) {
  const source = sourceOf(cs, minted, bundles)
  const authorizer = face.authorize.id(CLIENT)
  const server = https.createServer(face.serverOptions(source, authorizer), (incoming, response) =>
    response.end(face.peerOf(incoming).spiffeId.uri)
  )
  face.secureServer(server, source, authorizer)
  const agent = face.createAgent(sourceOf(cs, client, bundles), face.authorize.id(SERVER), {
    agent: { maxSockets: CONNECTIONS }
  })
  return { server, agent, port: await listening(server) }
}

/** @param {Scene} scene */
async function requests(scene) {
  const sides = { ours: await ourSide(scene), plain: await plainSide(scene) }
  const rate =
    (/** @type {{ port: number, agent: https.Agent }} */ { port, agent }) =>
    async () =>
      (REQUESTS * 1e6) / (await elapsed(() => inFlight(CONNECTIONS, REQUESTS, () => request(port, agent))))
  const rates = medians(
    await interleave({ ours: rate(sides.ours), plain: rate(sides.plain) }, { rounds: 25, warmUp: 3 })
  )
  scene.report.section('requests a second over kept connections, beside plain node:tls')
  scene.report.ratio('ours / plain', rates.ours / rates.plain, atLeast(0.98), listed(rates))
  for (const { agent, server } of Object.values(sides)) {
    agent.destroy()
    server.close()
  }
}

module.exports = { requests }
