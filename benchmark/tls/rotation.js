'use strict'
/** A rotation of the SVID of a hundred servers, beside new contexts for a hundred plain servers. */
const https = require('node:https')
const { monitorEventLoopDelay } = require('node:perf_hooks')
const { LESS_IS_BETTER, atMost, listed } = require('../report')
const { elapsedSync, interleave, median, medians, round, sleep } = require('../rounds')
const { listening, sourceOf } = require('./scene')

const SERVERS = 100
const ROUNDS = 11

/** @typedef {import('./run').Scene} Scene */

/** Milliseconds of a change, and the longest time for which the event loop stood still. @param {() => void} change */
async function blocking(change) {
  await sleep(50)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  await sleep(20)
  delay.reset()
  const total = elapsedSync(change) / 1e3
  await sleep(30)
  delay.disable()
  // The monitor looks every millisecond: as much of the delay is its own.
  return { total, block: Math.max(total, delay.max / 1e6 - 1) }
}

/** @param {Scene} scene */
async function rotation({ report, cs, face, certificates }) {
  const { ca, server: minted, bundles } = certificates
  const source = sourceOf(cs, minted, bundles)
  const authorizer = face.authorize.memberOf('a.test')
  /** @type {https.Server[]} */
  const ours = []
  /** @type {https.Server[]} */
  const plain = []
  const strict = { ca, requestCert: true, rejectUnauthorized: true }
  for (let index = 0; index < SERVERS; index++) {
    const server = https.createServer(face.serverOptions(source, authorizer))
    face.secureServer(server, source, authorizer)
    await listening(server)
    ours.push(server)
    plain.push(https.createServer({ ...strict, key: minted.key, cert: minted.cert }))
  }
  const leaves = Array.from({ length: ROUNDS }, (_, index) => certificates.leaf(`next${index}`))
  const turns = { ours: 0, plain: 0 }
  const next = (/** @type {'ours' | 'plain'} */ side) => leaves[turns[side]++]
  const samples = await interleave(
    {
      ours: () => blocking(() => source.rotate(next('ours'))),
      plain: () => {
        const { key, cert } = next('plain')
        return blocking(() => {
          for (const server of plain) server.setSecureContext({ ...strict, key, cert })
        })
      }
    },
    { rounds: ROUNDS }
  )
  const totals = medians(samples, ({ total }) => total)
  const block = median(samples.ours.map(({ block }) => block))
  report.section(`a rotation of ${SERVERS} servers, beside setSecureContext of as many plain ones`)
  report.ratio('all of it: ours / plain', totals.ours / totals.plain, atMost(0.1), `ms: ${listed(totals, 2)}`)
  report.ratio('the longest block: ours / plain', block / totals.plain, atMost(0.2), `${round(block)} ms`)
  report.figure('all of it', totals.ours, 'ms', LESS_IS_BETTER)
  for (const server of ours) server.close()
}

module.exports = { rotation }
