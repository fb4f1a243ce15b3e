'use strict'
/**
 * npm run bench:workload-api [-- --spire] - our client beside @grpc/grpc-js and beside the crate `spiffe`, against one
 * Workload API that answers at once; then cold starts, live sources, memory, and large messages. With `--spire` the
 * clients of Node.js are measured against a real SPIRE agent as well. The other options: benchmark/bench.js.
 */
const { execFile, execFileSync } = require('node:child_process')
const path = require('node:path')
const { promisify } = require('node:util')
const { bench } = require('../bench')
const { LESS_IS_BETTER, atMost, listed } = require('../report')
const { elapsed, interleave, median, medians, round } = require('../rounds')
const { buildPeers, rustClient, stub } = require('./peers')
const { writeResponses } = require('./responses')

/** @typedef {import('../bench').Bench} Bench */
/** @typedef {Awaited<ReturnType<typeof serve>>} Server */

const SHAPES = /** @type {const} */ ({ backToBack: 'call after call', isolated: 'one call now and then' })
const CALLS = /** @type {const} */ ({ x509: 'fetchX509Svid', jwt: 'fetchJwtSvid' })

/** @param {Bench} bench @param {string} socket @param {string} directory */
async function serve({ children }, socket, directory) {
  const { child, read, write } = children.converse(stub, [socket, directory])
  await read()
  return {
    endpoint: `unix:${socket}`,
    /** Sends another response to those who watch, and returns when that was. @param {string} name */
    async push(name) {
      write(name)
      return read()
    },
    stop: () => children.stop(child)
  }
}

/** @param {string} name @param {string[]} args */
const script = (name, ...args) => [path.join(__dirname, name), ...args]

/** Not synchronous: with SPIRE, this process has to read its logs meanwhile. */
const clientTimes = async (/** @type {Bench} */ { checkout }, /** @type {string} */ endpoint) =>
  JSON.parse((await promisify(execFile)(process.execPath, script('measure.cjs', checkout.root, endpoint))).stdout)

/** @param {Bench} bench @param {string} endpoint */
async function race(bench, endpoint) {
  const { report } = bench
  const rust = (/** @type {number} */ pause) => () =>
    JSON.parse(execFileSync(rustClient, [endpoint, '300', String(pause)], { encoding: 'utf8' }))
  const samples = await interleave(
    { node: () => clientTimes(bench, endpoint), backToBack: rust(0), isolated: rust(2000) },
    { rounds: 5 }
  )
  const times = (/** @type {'backToBack' | 'isolated'} */ shape, /** @type {'x509' | 'jwt'} */ call) => ({
    ours: median(samples.node.map((sample) => sample[shape][call])),
    grpc: median(samples.node.map((sample) => sample[shape][`${call}Grpc`])),
    crate: median(samples[shape].map((sample) => sample[call]))
  })
  for (const shape of /** @type {const} */ (['backToBack', 'isolated'])) {
    report.section(SHAPES[shape])
    for (const call of /** @type {const} */ (['x509', 'jwt'])) {
      const { ours, grpc, crate } = times(shape, call)
      report.ratio(`${CALLS[call]}: ours / grpc-js`, ours / grpc, atMost(0.5), `us: ${listed({ ours, grpc, crate })}`)
      report.ratio(`${CALLS[call]}: ours / the crate spiffe, from Rust`, ours / crate, atMost(1.3))
    }
  }
  return times('isolated', 'x509').ours
}

/** @param {Bench} bench @param {string} endpoint */
async function cold({ report, checkout }, endpoint) {
  const start = (/** @type {string} */ which) => () =>
    Number(execFileSync(process.execPath, script('cold.cjs', checkout.root, which, endpoint), { encoding: 'utf8' }))
  const times = medians(await interleave({ ours: start('ours'), grpc: start('grpc') }, { rounds: 15 }))
  report.section('cold start to the first SVID')
  report.ratio('ours / grpc-js', times.ours / times.grpc, atMost(0.25), `ms: ${listed(times, 1)}`)
}

/** @param {Bench} bench @param {Server} server @param {number} call microseconds of a call now and then */
async function sources({ report, checkout, children }, server, call) {
  const program = script('sources.cjs', checkout.root, server.endpoint, '500')
  const { read, write } = children.converse(process.execPath, ['--expose-gc', ...program])
  let line = await read()
  for (; line.startsWith('push '); line = await read()) write(await server.push(line.slice(5)))
  const { reads, rotation } = JSON.parse(line)
  report.section('live sources')
  const detail = `ns: ${listed(reads)}`
  report.ratio('source.svid() / a no-op call of the addon', reads.svid / reads.noop, atMost(12), detail)
  report.ratio('a kept token, awaited / a no-op call of the addon', reads.jwt / reads.noop, atMost(12))
  report.ratio(
    'from the push to the update, median / a call now and then',
    (rotation.median * 1e3) / call,
    atMost(3),
    `ms: ${listed(rotation, 2)} of 500`
  )
  report.figure('from the push to the update, p99', rotation.p99, 'ms', LESS_IS_BETTER)
}

/** What sources add to a service. @param {Bench} bench @param {string} endpoint */
async function memory({ report, checkout }, endpoint) {
  const run = (/** @type {number} */ sources) => () => {
    const program = script('memory.cjs', checkout.root, endpoint, String(sources))
    return Number(execFileSync(process.execPath, ['--expose-gc', ...program], { encoding: 'utf8' }))
  }
  const sizes = medians(await interleave({ none: run(0), one: run(1), many: run(500) }, { rounds: 7 }))
  report.section('resident memory of a small http service')
  report.ratio(
    'with the package, one source, one connection / without',
    sizes.one / sizes.none,
    atMost(1.12),
    `MiB: ${listed(sizes, 1)}`
  )
  report.ratio('with 500 sources / without', sizes.many / sizes.none, atMost(1.24))
}

/** @param {Bench} bench @param {{ count: number, directory: string }[]} sizes */
async function large(bench, sizes) {
  const { WorkloadApiClient } = bench.checkout.load()
  const each = []
  for (const { count, directory } of sizes) {
    const server = await serve(bench, path.join(directory, 's.sock'), directory)
    const times = []
    for (let index = 0; index < 15; index++) {
      // Another endpoint in name: what is remembered of the last message must not help.
      const endpoint = index % 2 === 0 ? server.endpoint : server.endpoint.replace('unix:', 'unix:///..')
      const client = new WorkloadApiClient({ endpoint })
      times.push(await elapsed(() => client.fetchX509Context()))
      client.close()
    }
    each.push(median(times) / count)
    await server.stop()
  }
  bench.report.section('many SVIDs and federated bundles in one message')
  bench.report.ratio(
    'one of 1000 / one of 100',
    each[2] / each[1],
    atMost(1.5),
    `us for one of 1, 100, 1000: ${each.map((time) => round(time, 1)).join(', ')}`
  )
}

/** @param {Bench} bench */
async function spire(bench) {
  const { startSpire } = await import('../../__test__/spire/harness.mjs')
  const running = await startSpire({ federation: false })
  try {
    await running.local.createEntry({
      spiffeId: 'spiffe://example.org/billing',
      selectors: [`unix:uid:${process.getuid?.()}`]
    })
    const times = await clientTimes(bench, running.local.endpoint)
    bench.report.section('a real SPIRE agent, which attests each call')
    for (const shape of /** @type {const} */ (['backToBack', 'isolated'])) {
      for (const call of /** @type {const} */ (['x509', 'jwt'])) {
        const [ours, grpc] = [times[shape][call], times[shape][`${call}Grpc`]]
        const name = `${CALLS[call]}, ${SHAPES[shape]}: ours / grpc-js`
        bench.report.ratio(name, ours / grpc, LESS_IS_BETTER, `us: ${listed({ ours, grpc })}`)
      }
    }
  } finally {
    await running.stop()
  }
}

bench('workload-api', { options: { spire: { type: 'boolean' } }, prepare: buildPeers }, async (context) => {
  const { directory, options } = context
  const sizes = writeResponses(directory)
  const server = await serve(context, path.join(directory, 's.sock'), directory)
  const call = await race(context, server.endpoint)
  await cold(context, server.endpoint)
  await sources(context, server, call)
  await memory(context, server.endpoint)
  await server.stop()
  await large(context, sizes)
  if (options.spire) await spire(context)
})
