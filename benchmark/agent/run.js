'use strict'
/**
 * npm run bench:agent - the agent as an authority: how soon a test agent is ready, how fast it issues SVIDs beside the
 * bare crypto library, and what a thousand workloads cost it. The options are those of benchmark/bench.js.
 */
const { execFileSync } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { bench } = require('../bench')
const { residentMemory } = require('../children')
const { atLeast, atMost, listed } = require('../report')
const { elapsedSync, interleave, median, round } = require('../rounds')

/** @typedef {import('../bench').Bench} Bench */

const WORKLOADS = 1000
const LIFETIME_SECONDS = 20

/** @param {string[]} args */
const node = (...args) => execFileSync(process.execPath, args, { encoding: 'utf8' })

/** @param {Bench} bench */
async function ready({ report, checkout }) {
  const script = path.join(__dirname, 'ready.cjs')
  const samples = await interleave(
    {
      agent: () => JSON.parse(node(script, checkout.root)),
      empty: () => ({ process: elapsedSync(() => node('-e', '0')) / 1e3 })
    },
    { rounds: 21, warmUp: 1 }
  )
  const empty = median(samples.empty.map(({ process }) => process))
  const of = (/** @type {string} */ name) => median(samples.agent.map((sample) => sample[name]))
  report.section('a test agent, beside the run of an empty Node.js program')
  report.ratio(
    'a test agent is ready / an empty program',
    of('ready') / empty,
    atMost(0.5),
    `ms: ${listed({ agent: of('ready'), 'the next of the process': of('again'), require: of('load'), empty }, 1)}`
  )
  report.ratio(
    'its first SVID is delivered / an empty program',
    of('first') / empty,
    atMost(0.25),
    `${round(of('first'), 1)} ms: connect, attest, issue, verify; the first call of the process`
  )
}

/** @param {Bench} bench */
function rate({ report, checkout }) {
  const { bare, issue, bareSign, jwt } = JSON.parse(execFileSync(checkout.example('issue_rate'), { encoding: 'utf8' }))
  report.section('SVIDs issued on one core')
  report.ratio(
    'X509-SVIDs a second / bare key and signature',
    issue / bare,
    atLeast(0.7),
    `${issue} against ${bare} a second`
  )
  report.ratio(
    'JWT-SVIDs a second / bare signature',
    jwt / bareSign,
    atLeast(0.7),
    `${jwt} against ${bareSign} a second`
  )
}

/** Starts an agent that issues SVIDs of a short life to the swarm. @param {Bench} bench */
async function authority({ checkout, children, directory }) {
  const at = (/** @type {string} */ name) => path.join(directory, name)
  const match = `{ uid = ${process.getuid?.()}, exe = ${JSON.stringify(checkout.example('workload_swarm'))} }`
  const api = `trust_domain = "example.org"\nstate_dir = ${JSON.stringify(at('state'))}`
  const rule = `[[rule]]\nmatch = ${match}\nspiffe_id = "spiffe://example.org/billing"\n`
  fs.writeFileSync(at('rules.toml'), `[workload_api]\n${api}\nx509_svid_ttl = ${LIFETIME_SECONDS}\n${rule}`, {
    mode: 0o600
  })
  const socket = at('workload.sock')
  const sockets = ['--socket', at('whoami.sock'), '--workload-socket', socket]
  const agent = await children.serve(
    checkout.agent,
    ['--rules', at('rules.toml'), ...sockets, '--log-level', 'warn'],
    socket
  )
  return { agent, endpoint: `unix:${socket}` }
}

/** @param {Bench} bench */
async function crowd(bench) {
  const { report, checkout, children } = bench
  const { agent, endpoint } = await authority(bench)
  const alone = residentMemory(agent)
  let peak = alone
  const look = () => {
    peak = Math.max(peak, residentMemory(agent))
  }
  const timer = setInterval(look, 200)
  const swarm = children.converse(checkout.example('workload_swarm'), [endpoint, String(WORKLOADS), '4'])
  const result = JSON.parse(await swarm.read())
  clearInterval(timer)
  look()
  swarm.write('')
  await once(swarm.child, 'exit')
  const { lateP50, lateP99, lateMax, rotations, gaps } = result
  report.section(`${WORKLOADS} workloads, each a process, connected`)
  report.figure(
    'resident memory of the agent',
    peak,
    'MiB',
    atMost(100),
    `${round(alone, 1)} MiB before the first of them came`
  )
  report.ratio(
    'the latest renewal after half of a life / the other half',
    lateMax / (LIFETIME_SECONDS / 2),
    atMost(1),
    `s: p50 ${lateP50}, p99 ${lateP99}, max ${lateMax}; ${rotations} rotations`
  )
  report.figure('SVIDs that ended before the next one came', gaps, '', atMost(0))
}

bench('agent', { examples: ['issue_rate', 'workload_swarm'] }, async (context) => {
  await ready(context)
  rate(context)
  await crowd(context)
})
