'use strict'
/**
 * npm run bench:control - the control plane: a round trip beside a bare NDJSON echo, an alert to a thousand subscribers
 * of whom some do not read, and what the audit log costs whoami clients. The options are those of benchmark/bench.js.
 */
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { bench } = require('../bench')
const { LESS_IS_BETTER, MORE_IS_BETTER, atLeast, atMost, listed } = require('../report')
const { elapsed, elapsedSync, interleave, median, medians, pairedRatio, perCallAsync, sleep } = require('../rounds')
const { bareClient, subscribers } = require('./connections')

/** @typedef {import('../bench').Bench} Bench */

const PINGS = 2000
const SUBSCRIBERS = 1000
const SILENT = 100
const LOAD_MS = 1000

/**
 * Starts an agent with files of its own.
 * @param {Bench} bench
 * @param {string} name
 * @param {{ control?: boolean, auditLog?: boolean, sync?: boolean }} features
 */
async function startAgent({ checkout, children, directory }, name, { control, auditLog, sync }) {
  const at = (/** @type {string} */ file) => path.join(directory, `${name}-${file}`)
  const [rules, whoami, controlSocket] = ['rules.toml', 'whoami.sock', 'control.sock'].map(at)
  fs.writeFileSync(rules, `[[rule]]\nidentity = "BENCH"\nmatch = { uid = ${process.getuid?.()} }\n`, { mode: 0o600 })
  const args = ['--rules', rules, '--socket', whoami, '--log-level', 'off']
  if (control) args.push('--control-socket', controlSocket)
  if (auditLog) args.push('--audit-log', at('audit.jsonl'))
  if (sync) args.push('--log-sync')
  // The control socket is opened last.
  const child = await children.serve(checkout.agent, args, control ? controlSocket : whoami)
  return { process: child, whoami, control: controlSocket }
}

/** @param {Bench} bench */
async function roundTrips(bench) {
  const { report, checkout, children, directory } = bench
  const echo = path.join(directory, 'echo.sock')
  const server = await children.serve(checkout.example('ndjson_echo'), [echo], echo)
  const agent = await startAgent(bench, 'trips', { control: true })
  const { ControlClient } = checkout.load('control')
  const client = new ControlClient({ socketPath: agent.control })
  const bare = await bareClient(echo)
  const mixed = await bareClient(agent.control)
  const pings = (/** @type {() => Promise<unknown>} */ call) => async () => (await perCallAsync(PINGS, call)) / 1e3
  const times = medians(
    await interleave(
      { bare: pings(bare.ping), server: pings(mixed.ping), ours: pings(() => client.ping()) },
      { rounds: 11, warmUp: 1 }
    )
  )
  report.section('a round trip on a kept connection')
  report.ratio(
    'ControlClient and agent / bare client and echo',
    times.ours / times.bare,
    atMost(1.2),
    `us: ${listed(times, 1)}`
  )
  report.ratio('bare client and agent / bare client and echo', times.server / times.bare, LESS_IS_BETTER)
  bare.close()
  mixed.close()
  client.close()
  await Promise.all([children.stop(server), children.stop(agent.process)])
}

/** Microseconds of whoami calls, one after the other. @param {any} identity @param {number} calls */
async function whoamiTimes(identity, calls) {
  const times = []
  for (let call = 0; call < calls; call++) {
    times.push(elapsedSync(() => identity.getIdentitySync()))
    if (call % 50 === 0) await sleep(0)
  }
  return times
}

/** Milliseconds until an alert has reached every subscriber that reads. @param {any} client @param {any} crowd */
async function deliveryTimes(client, crowd) {
  const times = []
  for (let turn = 0; turn < 11; turn++) {
    const delivered = crowd.allReceived()
    times.push(
      (await elapsed(async () => {
        await client.kill({ reason: `${crowd.MARK} ${turn}` })
        await delivered
      })) / 1e3
    )
    await client.resume()
    // Alerts of one cause are gathered: the next one shall not be held back with these.
    await sleep(1100)
  }
  return times
}

/** @param {Bench} bench */
async function fanOut(bench) {
  const { report, checkout, children } = bench
  const agent = await startAgent(bench, 'fan', { control: true })
  const { ControlClient } = checkout.load('control')
  const { IdentityClient } = checkout.load()
  const client = new ControlClient({ socketPath: agent.control, timeout: 60_000 })
  const identity = new IdentityClient({ socketPath: agent.whoami })
  const crowd = await subscribers(agent.control, { count: SUBSCRIBERS, silent: SILENT })
  await whoamiTimes(identity, 500)
  const quiet = median(await whoamiTimes(identity, 1000))
  const delivery = median(await deliveryTimes(client, crowd))
  let goesOn = true
  const alerts = (async () => {
    while (goesOn) {
      await client.alerts({ limit: 0 })
      await client.reloadPolicy()
    }
  })()
  const busy = median(await whoamiTimes(identity, 1000))
  goesOn = false
  await alerts
  report.section(`an alert to ${SUBSCRIBERS} subscribers, ${SILENT} of whom never read`)
  report.figure(
    'it has reached the last of those who read',
    delivery,
    'ms',
    LESS_IS_BETTER,
    '10 ms of it are waited for more'
  )
  report.ratio(
    'a whoami call meanwhile / before',
    busy / quiet,
    LESS_IS_BETTER,
    `us: ${listed({ busy, quiet })}; the thousand readers share the machine`
  )
  crowd.close()
  client.close()
  await children.stop(agent.process)
}

/** @param {Bench} bench */
async function auditLog(bench) {
  const { report, checkout } = bench
  const program = checkout.example('whoami_load')
  const agents = {
    without: await startAgent(bench, 'without', {}),
    log: await startAgent(bench, 'log', { auditLog: true }),
    both: await startAgent(bench, 'both', { auditLog: true, control: true }),
    sync: await startAgent(bench, 'sync', { auditLog: true, sync: true })
  }
  const load = (/** @type {string} */ socket) => () =>
    (Number(execFileSync(program, [socket, '4', String(LOAD_MS)], { encoding: 'utf8' })) * 1000) / LOAD_MS
  const rates = await interleave(
    Object.fromEntries(Object.entries(agents).map(([name, { whoami }]) => [name, load(whoami)])),
    { rounds: 9, warmUp: 1 }
  )
  const ratio = (/** @type {string} */ name) => pairedRatio(rates[name], rates.without)
  report.section('whoami answers a second with an audit log / without')
  report.ratio('audit log', ratio('log'), atLeast(0.9), listed(medians(rates)))
  report.ratio('audit log and control socket', ratio('both'), atLeast(0.9))
  report.ratio('audit log, each line on the disk before its answer', ratio('sync'), MORE_IS_BETTER)
}

bench('control', { examples: ['ndjson_echo', 'whoami_load'] }, async (context) => {
  await roundTrips(context)
  await fanOut(context)
  await auditLog(context)
})
