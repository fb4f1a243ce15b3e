'use strict'
/**
 * One process, one Workload API, both clients interleaved round by round. Prints one JSON document.
 *   node measure.cjs CHECKOUT ENDPOINT [CALLS]
 */
const { Checkout } = require('../checkout')
const { elapsed, interleave, median, medians, sleep } = require('../rounds')
const { GrpcClient } = require('./grpc-client.cjs')
const { AUDIENCE } = require('./audience')

const [checkout, endpoint, calls = '300'] = process.argv.slice(2)
const { WorkloadApiClient } = new Checkout(checkout).load()
const ours = new WorkloadApiClient({ endpoint })
const theirs = new GrpcClient(endpoint)

/** @type {Record<string, () => Promise<unknown>>} */
const variants = {
  x509: () => ours.fetchX509Svid(),
  x509Grpc: () => theirs.fetchX509Svid(),
  jwt: () => ours.fetchJwtSvid({ audience: AUDIENCE }),
  jwtGrpc: () => theirs.fetchJwtSvid(AUDIENCE)
}

/** @param {number} pause milliseconds before each call @param {number} burst calls of one kind in a row */
async function measured(pause, burst) {
  const bursts = Object.entries(variants).map(([name, call]) => {
    const run = async () => {
      const times = []
      for (let index = 0; index < burst; index++) {
        if (pause > 0) await sleep(pause + Math.random())
        times.push(await elapsed(call))
      }
      return median(times)
    }
    return [name, run]
  })
  return medians(await interleave(Object.fromEntries(bursts), { rounds: Number(calls) / burst }))
}

async function main() {
  await interleave(variants, { rounds: 100 })
  const report = { node: process.version, backToBack: await measured(0, 50), isolated: await measured(2, 1) }
  console.log(JSON.stringify(report))
  ours.close()
  theirs.close()
}

main()
