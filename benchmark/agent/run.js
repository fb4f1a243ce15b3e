'use strict'
/**
 * npm run bench:agent [-- --built] - the agent as an authority: how soon a test agent is there, how fast it issues beside
 * the bare crypto library, and what a thousand workloads cost it. `--built`: take what is built already.
 */
const { execFileSync, spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const readline = require('node:readline')

const root = path.join(__dirname, '..', '..')
const release = path.join(root, 'target', 'release')

/** @param {number} number */
const round = (number, digits = 2) => Number(number.toFixed(digits))
const median = (/** @type {number[]} */ values) => values.toSorted((a, b) => a - b)[values.length >> 1]

/** @param {string} what @param {number} value @param {number} limit @param {boolean} below @param {string} unit @param {string} detail */
function line(what, value, limit, below, unit, detail) {
  const ok = below ? value <= limit : value >= limit
  console.log(
    `  ${what.padEnd(52)} ${String(round(value)).padStart(8)} ${unit.padEnd(3)} ${(ok ? 'ok' : `MISSED (${below ? '<=' : '>='} ${limit})`).padEnd(18)} ${detail}`
  )
  if (!ok) process.exitCode = 1
}

function prepare() {
  if (process.argv.includes('--built')) return
  require('../../scripts/build').build()
  execFileSync(
    'cargo',
    [
      'build',
      '--release',
      '-q',
      '-p',
      'countersign',
      '--bin',
      'countersign-agent',
      '--example',
      'issue_rate',
      '--example',
      'workload_swarm'
    ],
    { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] }
  )
}

/** In a process of its own: how long until a test agent is there, and until its first SVID. */
const READY = `
const t0 = performance.now()
const { startTestAgent } = require(${JSON.stringify(path.join(root, 'lib', 'testing'))})
const { WorkloadApiClient } = require(${JSON.stringify(root)})
const t1 = performance.now()
startTestAgent({ identities: ['spiffe://example.org/billing'] }).then(async (agent) => {
  const t2 = performance.now()
  const svid = await new WorkloadApiClient({ endpoint: agent.endpoint }).fetchX509Svid()
  const t3 = performance.now()
  // A second one in the same process, as the next test of a suite.
  const again = await startTestAgent({ identities: ['spiffe://example.org/billing'] })
  const t4 = performance.now()
  console.log(JSON.stringify({ load: t1 - t0, ready: t2 - t1, first: t3 - t2, again: t4 - t3 }))
  await Promise.all([agent.close(), again.close()])
  process.exit()
})`

function ready() {
  const runs = Array.from({ length: 21 }, () =>
    JSON.parse(spawnSync(process.execPath, ['-e', READY], { encoding: 'utf8' }).stdout)
  )
  const of = (/** @type {string} */ name) => median(runs.map((run) => run[name]))
  line(
    'a test agent is ready',
    of('ready'),
    30,
    true,
    'ms',
    `the first of a process; the next one ${round(of('again'))} ms; require ${round(of('load'))} ms`
  )
  line(
    'its first SVID is issued and delivered',
    of('first'),
    10,
    true,
    'ms',
    'connect, attest, issue, verify; the first call of the process'
  )
}

function rate() {
  const { bare, issue, bareSign, jwt } = JSON.parse(
    execFileSync(path.join(release, 'examples', 'issue_rate'), { encoding: 'utf8' })
  )
  line(
    'X509-SVIDs issued beside bare key + signature',
    issue / bare,
    0.7,
    false,
    'x',
    `${issue} against ${bare} a second, one core`
  )
  line(
    'JWT-SVIDs issued beside a bare signature',
    jwt / bareSign,
    0.7,
    false,
    'x',
    `${jwt} against ${bareSign} a second, one core`
  )
}

/** @param {number} pid */
const memory = (pid) => Number(/^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

async function crowd() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-bench-'))
  const rules = path.join(directory, 'rules.toml')
  fs.writeFileSync(
    rules,
    `[workload_api]\ntrust_domain = "example.org"\nstate_dir = ${JSON.stringify(path.join(directory, 'state'))}\nx509_svid_ttl = 20\n[[rule]]\nmatch = { uid = ${process.getuid?.()}, exe = ${JSON.stringify(path.join(release, 'examples', 'workload_swarm'))} }\nspiffe_id = "spiffe://example.org/billing"\n`,
    { mode: 0o600 }
  )
  const socket = path.join(directory, 'workload.sock')
  const agent = spawn(
    path.join(release, 'countersign-agent'),
    [
      '--rules',
      rules,
      '--socket',
      path.join(directory, 'whoami.sock'),
      '--workload-socket',
      socket,
      '--log-level',
      'warn'
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] }
  )
  try {
    while (!fs.existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 10))
    const before = memory(Number(agent.pid))
    const swarm = spawn(path.join(release, 'examples', 'workload_swarm'), [`unix:${socket}`, '1000', '4'], {
      stdio: ['pipe', 'pipe', 'inherit']
    })
    let peak = before
    const watch = setInterval(() => {
      peak = Math.max(peak, memory(Number(agent.pid)))
    }, 200)
    const told = JSON.parse(
      await new Promise((resolve) => readline.createInterface({ input: swarm.stdout }).once('line', resolve))
    )
    clearInterval(watch)
    peak = Math.max(peak, memory(Number(agent.pid)))
    swarm.stdin.end('\n')
    await new Promise((resolve) => swarm.once('exit', resolve))
    line(
      '1,000 workloads, each a process, connected: memory',
      peak,
      100,
      true,
      'MB',
      `the agent alone ${round(before)} MB`
    )
    line(
      'their SVIDs came after half of a life of 20 s by',
      told.lateMax,
      10,
      true,
      's',
      `p50 ${told.lateP50}, p99 ${told.lateP99}, max ${told.lateMax}; ${told.rotations} rotations, ${told.gaps} too late`
    )
    if (told.gaps > 0) process.exitCode = 1
  } finally {
    agent.kill()
    fs.rmSync(directory, { recursive: true, force: true })
  }
}

async function main() {
  prepare()
  console.log(`agent, Node.js ${process.versions.node}, ${os.cpus().length} cores`)
  ready()
  rate()
  await crowd()
}

main()
