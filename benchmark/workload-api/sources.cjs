'use strict'
/**
 * Live sources in a process of their own: how fast they are read, how soon they know. Prints one JSON
 * document. Rotations are asked for by a line on stdout, `push NAME`; the time of the push comes back on stdin.
 *   node sources.cjs ENDPOINT ROTATIONS
 */
const { createInterface } = require('node:readline')

const [endpoint, rotations] = process.argv.slice(2)
const sleep = (/** @type {number} */ milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** Nanoseconds a call. @param {number} calls @param {() => unknown} call */
function each(calls, call) {
  const all = []
  for (let round = 0; round < 15; round++) {
    const start = process.hrtime.bigint()
    for (let index = 0; index < calls; index++) call()
    all.push(Number(process.hrtime.bigint() - start) / calls)
  }
  return all.toSorted((a, b) => a - b)[7]
}

async function main() {
  const { X509Source, JwtSource } = require('../..')
  const source = await X509Source.open({ endpoint })
  const tokens = await JwtSource.open({ endpoint })
  const audience = 'spiffe://example.org/shop'
  await tokens.fetch({ audience })
  const svid = each(20000, () => source.svid())
  const context = each(20000, () => source.context())
  const jwt = []
  for (let round = 0; round < 15; round++) {
    const start = process.hrtime.bigint()
    for (let index = 0; index < 20000; index++) await tokens.fetch({ audience })
    jwt.push(Number(process.hrtime.bigint() - start) / 20000)
  }
  // Rotations: from the push to the update that tells of it.
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  const delays = []
  for (let index = 0; index < Number(rotations); index++) {
    const known = source.svid()
    const told = new Promise((resolve) => {
      const leave = source.subscribe(({ type }) => {
        if (type !== 'update' || source.svid() === known) return
        leave()
        resolve(process.hrtime.bigint())
      })
    })
    process.stdout.write(`push x509-${(index % 2) + 2}\n`)
    const pushed = BigInt((await lines.next()).value)
    delays.push(Number(/** @type {bigint} */ (await told) - pushed) / 1e6)
    await sleep(2)
  }
  delays.sort((a, b) => a - b)
  const at = (/** @type {number} */ part) => delays[Math.min(delays.length - 1, Math.floor(delays.length * part))]
  process.stdout.write(
    `${JSON.stringify({ svid, context, jwt: jwt.toSorted((a, b) => a - b)[7], rotation: { median: at(0.5), p99: at(0.99), worst: delays.at(-1) } })}\n`
  )
  process.exit()
}

main()
