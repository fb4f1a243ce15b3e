'use strict'
/**
 * npm run bench:tls [-- --only handshakes|requests|rotation|day] - mutual TLS with us beside plain node:tls, which
 * pools all authorities and compares the SAN as text: what people write today. Both in one process, interleaved round
 * by round. The other options are those of benchmark/bench.js.
 */
const { bench } = require('../bench')
const { day } = require('./day')
const { handshakes } = require('./handshakes')
const { requests } = require('./requests')
const { rotation } = require('./rotation')
const { makeScene } = require('./scene')

/**
 * @typedef {object} Scene
 * @property {import('../report').Report} report
 * @property {any} cs the package
 * @property {any} face its sub-path for TLS
 * @property {ReturnType<typeof makeScene>} certificates
 */

const PARTS = { handshakes, requests, rotation, day }

bench('tls', { options: { only: { type: 'string' } } }, async ({ report, checkout, directory, options }) => {
  const { only } = options
  if (only !== undefined && !Object.hasOwn(PARTS, only)) throw new Error(`--only takes one of ${Object.keys(PARTS)}`)
  const cs = checkout.load()
  const scene = { report, cs, face: checkout.load('tls'), certificates: makeScene(directory, cs) }
  for (const [name, run] of Object.entries(PARTS)) {
    if (only === undefined || only === name) await run(scene)
  }
})
