'use strict'
/**
 * One process, one Workload API, both clients interleaved round by round. Prints one JSON document.
 *   node measure.cjs ENDPOINT [rounds]
 */
const { WorkloadApiClient } = require('../..')
const { GrpcClient } = require('./grpc-client.cjs')

const [endpoint, count = '300'] = process.argv.slice(2)
const rounds = Number(count)
const audience = 'spiffe://example.org/shop'
const ours = new WorkloadApiClient({ endpoint })
const theirs = new GrpcClient(endpoint)

const sleep = (/** @type {number} */ milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))
const median = (/** @type {number[]} */ values) => values.toSorted((a, b) => a - b)[values.length >> 1]

/** @type {Record<string, () => Promise<unknown>>} */
const variants = {
  x509: () => ours.fetchX509Svid(),
  x509Grpc: () => theirs.fetchX509Svid(),
  jwt: () => ours.fetchJwtSvid({ audience }),
  jwtGrpc: () => theirs.fetchJwtSvid(audience)
}

/** @param {() => Promise<unknown>} call */
async function timed(call) {
  const start = process.hrtime.bigint()
  await call()
  return Number(process.hrtime.bigint() - start) / 1e3
}

/** @param {number} pause milliseconds before each call @param {number} burst calls of one kind in a row */
async function measured(pause, burst) {
  /** @type {Record<string, number[]>} */
  const times = Object.fromEntries(Object.keys(variants).map((name) => [name, []]))
  for (let round = 0; round < rounds / burst; round++) {
    for (const [name, call] of Object.entries(variants)) {
      for (let index = 0; index < burst; index++) {
        if (pause > 0) await sleep(pause + Math.random())
        times[name].push(await timed(call))
      }
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)]))
}

async function main() {
  for (let index = 0; index < 100; index++) for (const call of Object.values(variants)) await call()
  console.log(
    JSON.stringify({ node: process.version, backToBack: await measured(0, 50), isolated: await measured(2, 1) })
  )
  ours.close()
  theirs.close()
}

main()
