'use strict'
/**
 * A day of rotations in a minute: SVIDs live an hour and are renewed after half of it, authorities change every six
 * hours.
 */
const https = require('node:https')
const { atMost } = require('../report')
const { median, round, sleep } = require('../rounds')
const { listening, request, sourceOf } = require('./scene')

const SECONDS = 60
const ROTATIONS = 48
const CLIENTS = 50
const INTERVAL = (SECONDS * 1000) / ROTATIONS

/** @typedef {import('./run').Scene} Scene */

/** Rotates both sources, and returns the resident memory after each rotation but those of the first quarter. */
async function rotate(
  /** @type {Scene} */ { cs, certificates },
  /** @type {ReturnType<typeof sourceOf>} */ source,
  /** @type {ReturnType<typeof sourceOf>} */ client
) {
  const { rootA, rootB, leaf } = certificates
  const bundleOf = (/** @type {{ cert: string }[]} */ ...roots) =>
    new cs.BundleSet([cs.X509Bundle.fromPem('a.test', roots.map(({ cert }) => cert).join(''))])
  const leaves = Array.from({ length: 8 }, (_, index) => leaf(`day${index}`))
  const memory = []
  for (let turn = 0; turn < ROTATIONS; turn++) {
    await sleep(INTERVAL)
    // An authority is announced before it is used, and removed after.
    const bundles = turn % 12 < 6 ? bundleOf(rootA) : bundleOf(rootA, rootB)
    source.rotate(leaves[turn % 4], bundles)
    client.rotate(leaves[4 + (turn % 4)], bundles)
    if (turn < 12) continue
    globalThis.gc?.()
    memory.push(process.memoryUsage.rss() / 1048576)
  }
  return memory
}

/** @param {Scene} scene */
async function day(scene) {
  const { report, cs, face, certificates } = scene
  const bundles = new cs.BundleSet([cs.X509Bundle.fromPem('a.test', certificates.rootA.cert)])
  const source = sourceOf(cs, certificates.server, bundles)
  const client = sourceOf(cs, certificates.client, bundles)
  /** @type {string[]} */
  const failures = []
  const options = {
    maxConnectionAge: INTERVAL,
    closeOnBundleRemoval: true,
    onReject: (/** @type {any} */ { rule, error }) => failures.push(rule ?? error.message)
  }
  const server = https.createServer(face.serverOptions(source, face.authorize.any(), options), (_request, response) =>
    response.end('x'.repeat(500))
  )
  face.secureServer(server, source, face.authorize.any(), options)
  const port = await listening(server)
  let done = 0
  const end = Date.now() + SECONDS * 1000
  const clients = Array.from({ length: CLIENTS }, async () => {
    const agent = face.createAgent(client, face.authorize.memberOf('a.test'), {
      maxConnectionAge: INTERVAL,
      agent: { maxSockets: 1 }
    })
    while (Date.now() < end) {
      await request(port, agent).catch((error) => failures.push(error.code))
      done++
      await sleep(5)
    }
    agent.destroy()
  })
  const memory = await rotate(scene, source, client)
  await Promise.all(clients)
  server.close()
  server.closeAllConnections()
  const third = (memory.length / 3) | 0
  const growth = median(memory.slice(-third)) / median(memory.slice(0, third))
  report.section(`a day of rotations under ${CLIENTS} clients`)
  report.figure(
    'failed requests',
    failures.length,
    '',
    atMost(0),
    `${done} requests, ${ROTATIONS} rotations ${failures.slice(0, 3).join(' ')}`
  )
  report.ratio(
    'resident memory: at its end / before',
    growth,
    atMost(1.1),
    `MiB: ${round(memory[0], 0)} to ${round(memory[memory.length - 1], 0)}`
  )
}

module.exports = { day }
