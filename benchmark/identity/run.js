'use strict'
/**
 * npm run bench:identity [-- node24 node26 ...] - our client beside a hand-written net client and the original Rust
 * client, in one process against one bare server; then what requiring the package costs, and the agent under load. More
 * Node.js binaries are taken from the command line. The options are those of benchmark/bench.js.
 */
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { bench } = require('../bench')
const { residentMemory } = require('../children')
const { buildNative, connections, oneFunction } = require('../native')
const { MORE_IS_BETTER, atLeast, atMost, listed } = require('../report')
const { interleave, median, medians, pairedRatio, round } = require('../rounds')

/** @typedef {import('../bench').Bench} Bench */

/** What the bare server answers; the agent's answers are of this shape. */
const ANSWER = JSON.stringify({
  status: 'ok',
  identity: 'BILLING_PROD',
  idm_url: 'https://auth.example.com/oauth2/billing',
  config_url: 'https://config.example.com/api/billing',
  token: 'tok_billing_xxx',
  runner: { identity: 'BILLING_PROD', hostname: 'worker-01', process: 'node', pid: 1234, uid: 0, gid: 0 }
})

/** The quotas of the agent are not what is measured. */
const UNLIMITED = ['--max-connections', '65536', '--max-connections-per-uid', '65536', '--log-level', 'error']

/** @param {Bench} bench @param {string} node @param {string} socket */
function clients({ report, checkout }, node, socket) {
  const script = path.join(__dirname, 'measure.cjs')
  const measured = JSON.parse(execFileSync(node, [script, checkout.root, socket], { encoding: 'utf8', maxBuffer: 1e7 }))
  const { isolated, backToBack, credentials } = measured
  report.section(`clients, Node.js ${measured.node.slice(1)}`)
  report.ratio('one call now and then: ours / net client', isolated.ours / isolated.net, atMost(0.55))
  report.ratio(
    'one call now and then: ours / blocking Rust',
    isolated.ours / isolated.rust,
    atMost(1.5),
    `us: ${listed(isolated)}`
  )
  report.ratio('call after call: ours / net client', backToBack.ours / backToBack.net, atMost(0.9))
  report.ratio(
    'call after call: sync / blocking Rust',
    backToBack.sync / backToBack.rust,
    atMost(1.2),
    `us: ${listed(backToBack)}`
  )
  for (const { width, cpu, perSecond } of measured.inFlight) {
    const name = `${width} in flight`
    report.ratio(`${name}: CPU of a call, net client / ours`, cpu.net / cpu.ours, atLeast(2.2), `us: ${listed(cpu, 1)}`)
    report.ratio(
      `${name}: calls a second, ours / net client`,
      perSecond.ours / perSecond.net,
      MORE_IS_BETTER,
      listed(perSecond)
    )
  }
  report.ratio(
    'getPeerCredentials(fd) / bare getsockopt, from JavaScript',
    credentials.ours / credentials.call,
    atMost(2.5),
    `ns: ${listed(credentials)}`
  )
}

/** In a fresh process: milliseconds and memory of `require`, and milliseconds until a name was looked up. */
const REQUIRE = `
const memory = process.memoryUsage().rss
const start = process.hrtime.bigint()
const loaded = require(process.argv[1])
const required = Number(process.hrtime.bigint() - start) / 1e6
const added = process.memoryUsage().rss - memory
loaded.getIdentity
const lookedUp = Number(process.hrtime.bigint() - start) / 1e6
console.log(JSON.stringify({ required, lookedUp, memory, added }))`

/** What the package adds to a process, beside an addon with one function. @param {Bench} bench */
async function cost({ report, checkout }) {
  const load = (/** @type {string} */ directory) => () =>
    JSON.parse(execFileSync(process.execPath, ['-e', REQUIRE, directory], { encoding: 'utf8' }))
  const samples = await interleave(
    { ours: load(checkout.root), oneFunction: load(oneFunction) },
    { rounds: 25, warmUp: 2 }
  )
  const times = medians(samples, ({ required }) => required)
  const lookedUp = median(samples.ours.map(({ lookedUp }) => lookedUp))
  const memory = medians(samples, ({ added }) => added / 1048576)
  const before = median(samples.ours.map(({ memory }) => memory / 1048576))
  report.section('require')
  report.ratio(
    'time: ours / an addon with one function',
    times.ours / times.oneFunction,
    atMost(2),
    `ms: ${listed(times, 2)}; with getIdentity looked up ${round(lookedUp)}`
  )
  report.ratio(
    'resident memory: added by ours / Node.js alone',
    memory.ours / before,
    atMost(0.12),
    `MiB: ${listed({ ...memory, 'Node.js': before }, 1)}`
  )
  const { bytes } = checkout.build()
  const budget = JSON.parse(fs.readFileSync(path.join(checkout.root, 'npm', 'size-budget.json'), 'utf8'))
  const limit = budget[path.basename(checkout.addonFile)]
  report.ratio('addon: bytes / npm/size-budget.json', bytes / limit, atMost(1), `${bytes} of ${limit} bytes`)
}

/** @param {Bench} bench */
async function agentUnderLoad({ report, checkout, children, directory }) {
  const rules = path.join(directory, 'rules.toml')
  const match = `{ uid = ${process.getuid?.()}, exe = ${JSON.stringify(fs.realpathSync(connections))} }`
  const answer = 'identity = "BILLING_PROD"\nidm_url = "https://auth.example.com/oauth2/billing"\n'
  const more = 'config_url = "https://config.example.com/api/billing"\ntoken = "tok_billing_xxx"\n'
  fs.writeFileSync(rules, `[[rule]]\nmatch = ${match}\n${answer}${more}`, { mode: 0o600 })
  const [bareSocket, socket] = ['bare.sock', 'agent.sock'].map((name) => path.join(directory, name))
  await children.serve(connections, ['serve', bareSocket, ANSWER], bareSocket)
  const agent = await children.serve(checkout.agent, ['--rules', rules, '--socket', socket, ...UNLIMITED], socket)
  const load = (/** @type {string} */ at, /** @type {number} */ count) =>
    JSON.parse(execFileSync(connections, ['load', at, '8', String(count)], { encoding: 'utf8' }))
  const samples = await interleave(
    { bare: () => load(bareSocket, 40_000), agent: () => load(socket, 40_000) },
    { rounds: 7, warmUp: 1 }
  )
  const rates = /** @type {Record<string, number[]>} */ (
    Object.fromEntries(Object.entries(samples).map(([name, all]) => [name, all.map(({ perSecond }) => perSecond)]))
  )
  const p99 = medians(samples, ({ p99 }) => p99)
  report.section('agent (a rule on uid and exe)')
  report.ratio(
    'answers a second: agent / a server that looks at nobody',
    pairedRatio(rates.agent, rates.bare),
    atLeast(0.4),
    `${listed(medians(rates))}; p99 in us: ${listed(p99)}`
  )
  const count = Number(process.env.CONNECTIONS ?? 1_000_000)
  const before = residentMemory(agent)
  const { perSecond, p99: slow } = load(socket, count)
  const after = residentMemory(agent)
  report.ratio(
    `resident memory: after ${count} connections / before`,
    after / before,
    atMost(1.1),
    `${round(before, 1)} -> ${round(after, 1)} MiB, ${perSecond}/s, p99 ${slow} us`
  )
}

bench('identity', { examples: [], prepare: buildNative }, async (context) => {
  const { children, directory, positionals } = context
  const socket = path.join(directory, 'whoami.sock')
  // A bare server, so that the agent is not what is measured.
  const server = await children.serve(connections, ['serve', socket, ANSWER], socket)
  for (const node of [process.execPath, ...positionals]) clients(context, node, socket)
  await children.stop(server)
  await cost(context)
  await agentUnderLoad(context)
})
