'use strict'
/**
 * npm run bench:workload-api [-- --spire] - our client beside @grpc/grpc-js and beside the crate `spiffe`, against one
 * Workload API that answers at once; then cold starts, memory, reading, rotations, and large messages. With `--spire` the
 * clients of Node are raced against a real SPIRE agent as well. Prints ratios.
 */
const { execFile, execFileSync, spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { createInterface } = require('node:readline')
const { promisify } = require('node:util')
const { cache } = require('../../scripts/cache')

const root = path.join(__dirname, '..', '..')

function prepare() {
  require('../../scripts/setup').setUp()
  require('../../scripts/build').build()
  require('../../scripts/tls-peers').installPeers()
  const target = path.join(cache, 'peers-target')
  execFileSync(
    'cargo',
    [
      'build',
      '--release',
      '-q',
      '--manifest-path',
      path.join(root, 'peers', 'Cargo.toml'),
      '-p',
      'workload-api-peers',
      '--target-dir',
      target
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] }
  )
  return { stub: path.join(target, 'release', 'stub'), rust: path.join(target, 'release', 'spiffe-client') }
}

const round = (/** @type {number} */ number, digits = 2) => Number(number.toFixed(digits))
const median = (/** @type {number[]} */ values) => values.toSorted((a, b) => a - b)[values.length >> 1]

/**
 * @param {string} what
 * @param {number} value
 * @param {number} limit
 * @param {string} detail
 */
function line(what, value, limit, detail, unit = 'x ') {
  const verdict = value <= limit ? 'ok' : `MISSED (<= ${limit})`
  console.log(
    `  ${what.padEnd(62)} ${String(round(value)).padStart(7)} ${unit.padEnd(3)} ${verdict.padEnd(16)} ${detail}`
  )
}

/** The responses of the stand-in: one SVID, two to rotate between, tokens, and large ones. @param {string} directory */
async function write(directory) {
  const { domain, jwtBundlesResponse, jwtResponse, x509BundlesResponse, x509Response } = await import(
    '../../__test__/workload-stub.mjs'
  )
  const home = domain('example.org')
  const [first, second, third] = [1, 2, 3].map(() => home.svid('/billing'))
  const id = 'spiffe://example.org'
  const many = (/** @type {number} */ count) =>
    x509Response({
      svids: Array.from({ length: count }, (_, index) => ({ ...first, hint: `h${index}` })),
      federated: Object.fromEntries(
        Array.from({ length: count }, (_, index) => [`spiffe://d${index}.org`, home.ca.der])
      )
    })
  const files = {
    x509: x509Response({ svids: [first] }),
    'x509-2': x509Response({ svids: [second] }),
    'x509-3': x509Response({ svids: [third] }),
    'x509-bundles': x509BundlesResponse({ [id]: home.ca.der }),
    jwt: jwtResponse([home.token('/billing', ['spiffe://example.org/shop'], 24 * 3600)]),
    'jwt-bundles': jwtBundlesResponse({ [id]: home.jwks })
  }
  for (const [name, bytes] of Object.entries(files)) fs.writeFileSync(path.join(directory, name), bytes)
  return [1, 100, 1000].map((count) => {
    const large = path.join(directory, `large-${count}`)
    fs.mkdirSync(large)
    for (const [name, bytes] of Object.entries({ ...files, x509: many(count) }))
      fs.writeFileSync(path.join(large, name), bytes)
    return { count, directory: large }
  })
}

/** @param {string} program @param {string} socket @param {string} directory */
async function serve(program, socket, directory) {
  const child = spawn(program, [socket, directory], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  await lines.next()
  return {
    endpoint: `unix:${socket}`,
    /** @param {string} name */
    async push(name) {
      child.stdin.write(`${name}\n`)
      return (await lines.next()).value
    },
    stop: () => child.kill()
  }
}

/** This process has to go on meanwhile: it reads what SPIRE logs, and SPIRE waits for whoever reads that. @param {string} endpoint */
const measure = async (endpoint) =>
  JSON.parse((await promisify(execFile)(process.execPath, [path.join(__dirname, 'measure.cjs'), endpoint])).stdout)

/** @param {{ rust: string }} programs @param {string} endpoint */
async function race({ rust }, endpoint) {
  const rustTimes = (/** @type {number} */ pause) =>
    JSON.parse(execFileSync(rust, [endpoint, '300', String(pause)], { encoding: 'utf8' }))
  const rounds = []
  for (let turn = 0; turn < 5; turn++)
    rounds.push({ node: await measure(endpoint), busy: rustTimes(0), idle: rustTimes(2000) })
  for (const [shape, which] of /** @type {const} */ ([
    ['backToBack', 'busy'],
    ['isolated', 'idle']
  ])) {
    console.log(`\n${shape === 'backToBack' ? 'call after call' : 'one call now and then'}, microseconds`)
    for (const call of /** @type {const} */ (['x509', 'jwt'])) {
      const ours = median(rounds.map(({ node }) => node[shape][call]))
      const grpc = median(rounds.map(({ node }) => node[shape][`${call}Grpc`]))
      const crate = median(rounds.map((one) => one[which][call]))
      const name = call === 'x509' ? 'fetchX509Svid' : 'fetchJwtSvid'
      line(`${name}: ours / grpc-js`, ours / grpc, 0.5, `ours ${round(ours, 0)}, grpc-js ${round(grpc, 0)}`)
      line(`${name}: ours / the crate spiffe, from Rust`, ours / crate, 1.3, `the crate ${round(crate, 0)}`)
    }
  }
}

/** @param {string} endpoint */
function cold(endpoint) {
  const once = (/** @type {string} */ which) =>
    Number(execFileSync(process.execPath, [path.join(__dirname, 'cold.cjs'), which, endpoint], { encoding: 'utf8' }))
  const pairs = Array.from({ length: 15 }, () => [once('ours'), once('grpc')])
  const [ours, grpc] = [0, 1].map((index) => median(pairs.map((pair) => pair[index])))
  console.log('\ncold start to the first SVID')
  line('ours / grpc-js', ours / grpc, 0.25, `ms: ours ${round(ours, 1)}, grpc-js ${round(grpc, 1)}`)
}

/** @param {Awaited<ReturnType<typeof serve>>} stub */
async function sources(stub) {
  const child = spawn(process.execPath, ['--expose-gc', path.join(__dirname, 'sources.cjs'), stub.endpoint, '500'], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  let report
  for await (const text of createInterface({ input: child.stdout })) {
    if (text.startsWith('push ')) child.stdin.write(`${await stub.push(text.slice(5))}\n`)
    else report = JSON.parse(text)
  }
  console.log('\nlive sources')
  line(
    'source.svid() in microseconds',
    report.svid / 1000,
    1,
    `${round(report.svid, 0)} ns; context() ${round(report.context, 0)} ns`,
    'us'
  )
  line('a cached token in microseconds', report.jwt / 1000, 1, `${round(report.jwt, 0)} ns, awaited`, 'us')
  line(
    'from the push to the update, p99',
    report.rotation.p99,
    20,
    `median ${round(report.rotation.median)}, worst ${round(report.rotation.worst)} of 500`,
    'ms'
  )
}

/** What sources add to a service. @param {string} endpoint */
function memory(endpoint) {
  const once = (/** @type {number} */ sources) =>
    Number(
      execFileSync(process.execPath, ['--expose-gc', path.join(__dirname, 'memory.cjs'), endpoint, String(sources)], {
        encoding: 'utf8'
      })
    )
  const rounds = Array.from({ length: 7 }, () => [0, 1, 500].map(once))
  const [none, one, many] = [0, 1, 2].map((index) => median(rounds.map((values) => values[index])))
  console.log('\nmemory of a small http service')
  line(
    'RSS added by the package, one source, one connection',
    one - none,
    6,
    `${round(none, 1)} -> ${round(one, 1)}`,
    'MiB'
  )
  line('the same with 500 sources', many - none, 12, `${round(many, 1)}`, 'MiB')
}

/** @param {string} program @param {{ count: number, directory: string }[]} sizes */
async function large(program, sizes) {
  console.log('\nso many SVIDs and federated bundles in one message: microseconds for each')
  const each = []
  for (const { count, directory } of sizes) {
    const stub = await serve(program, path.join(directory, 's.sock'), directory)
    const { WorkloadApiClient } = require('../..')
    const times = []
    for (let index = 0; index < 15; index++) {
      // Another endpoint in name: what is remembered of the last message must not help.
      const client = new WorkloadApiClient({
        endpoint: index % 2 === 0 ? stub.endpoint : stub.endpoint.replace('unix:', 'unix:///..')
      })
      const start = process.hrtime.bigint()
      await client.fetchX509Context()
      times.push(Number(process.hrtime.bigint() - start) / 1e3)
      client.close()
    }
    each.push(median(times) / count)
    console.log(
      `  ${String(count).padStart(5)}: ${round(median(times), 0)} us in all, ${round(median(times) / count, 1)} us for one`
    )
    stub.stop()
  }
  line('for one of 1000 / for one of 100', each[2] / each[1], 1.5, '')
}

async function spire() {
  const { startSpire } = await import('../../__test__/spire/harness.mjs')
  const running = await startSpire({ federation: false })
  try {
    await running.local.createEntry({
      spiffeId: 'spiffe://example.org/billing',
      selectors: [`unix:uid:${process.getuid?.()}`]
    })
    const report = await measure(running.local.endpoint)
    console.log('\na real SPIRE agent, which attests each call')
    for (const [shape, title] of [
      ['backToBack', 'call after call'],
      ['isolated', 'now and then']
    ]) {
      for (const call of ['x509', 'jwt']) {
        const [ours, grpc] = [report[shape][call], report[shape][`${call}Grpc`]]
        console.log(
          `  ${call}, ${title}: ours ${round(ours, 0)} us, grpc-js ${round(grpc, 0)} us, ${round(ours / grpc)} x`
        )
      }
    }
  } finally {
    await running.stop()
  }
}

async function main() {
  const programs = prepare()
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-bench-'))
  console.log(`Node.js ${process.version}, ${os.cpus().length} shared cores; medians`)
  try {
    const sizes = await write(directory)
    const stub = await serve(programs.stub, path.join(directory, 's.sock'), directory)
    await race(programs, stub.endpoint)
    cold(stub.endpoint)
    await sources(stub)
    memory(stub.endpoint)
    stub.stop()
    await large(programs.stub, sizes)
    if (process.argv.includes('--spire')) await spire()
  } finally {
    fs.rmSync(directory, { recursive: true, force: true })
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
