'use strict'
/**
 * Live sources in a process of their own: how fast they are read, how soon they learn of a rotation. Prints one JSON
 * document. It asks for a rotation by a line on stdout, `push NAME`; the time of the push comes back on stdin.
 *   node sources.cjs CHECKOUT ENDPOINT ROTATIONS
 */
const { createInterface } = require('node:readline')
const { Checkout } = require('../checkout')
const { interleave, medians, perCall, perCallAsync, sleep } = require('../rounds')
const { AUDIENCE } = require('./audience')

const [directory, endpoint, rotations] = process.argv.slice(2)
const checkout = new Checkout(directory)
const CALLS = 20_000

/** Nanoseconds a call, beside a call of the addon that does nothing. @param {any} source @param {any} tokens */
async function readTimes(source, tokens) {
  const addon = checkout.addon()
  await tokens.fetch({ audience: AUDIENCE })
  const variants = {
    noop: () => perCall(CALLS, () => addon.version()),
    svid: () => perCall(CALLS, () => source.svid()),
    context: () => perCall(CALLS, () => source.context()),
    jwt: () => perCallAsync(CALLS, () => tokens.fetch({ audience: AUDIENCE }))
  }
  return medians(await interleave(variants, { rounds: 15, warmUp: 1 }))
}

/** Milliseconds from each push to the update that announces it. @param {any} source @param {number} count */
async function rotationDelays(source, count) {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  const delays = []
  for (let index = 0; index < count; index++) {
    const known = source.svid()
    const updated = new Promise((resolve) => {
      const leave = source.subscribe((/** @type {{ type: string }} */ { type }) => {
        if (type !== 'update' || source.svid() === known) return
        leave()
        resolve(process.hrtime.bigint())
      })
    })
    process.stdout.write(`push x509-${(index % 2) + 2}\n`)
    const pushed = BigInt((await lines.next()).value)
    delays.push(Number(/** @type {bigint} */ (await updated) - pushed) / 1e6)
    await sleep(2)
  }
  return delays.sort((a, b) => a - b)
}

async function main() {
  const { X509Source, JwtSource } = checkout.load()
  const source = await X509Source.open({ endpoint })
  const reads = await readTimes(source, await JwtSource.open({ endpoint }))
  const delays = await rotationDelays(source, Number(rotations))
  const at = (/** @type {number} */ part) => delays[Math.min(delays.length - 1, Math.floor(delays.length * part))]
  const rotation = { median: at(0.5), p99: at(0.99), worst: at(1) }
  process.stdout.write(`${JSON.stringify({ reads, rotation })}\n`)
  process.exit()
}

main()
