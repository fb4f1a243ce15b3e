'use strict'
/**
 * npm run bench:identity [-- node24 node26 ...] - our client beside a hand-written net client and the original Rust
 * client, against one daemon, in one process each; then what requiring the package costs, and the agent under load.
 * Further Node binaries are taken from the command line. Prints ratios.
 */
const { execFileSync, spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const root = path.join(__dirname, '..', '..')
const native = path.join(root, 'benchmark', 'native')
const quiet = { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] }

function prepare() {
  if (!fs.existsSync(path.join(root, 'node_modules'))) execFileSync('npm', ['ci', '--no-audit', '--no-fund'], quiet)
  require('../../scripts/build').build()
  execFileSync('cargo', ['build', '--release', '-q', '-p', 'countersign', '--bin', 'countersign-agent'], quiet)
  execFileSync(
    'cargo',
    [
      'build',
      '--release',
      '-q',
      '--manifest-path',
      path.join(native, 'Cargo.toml'),
      '--target-dir',
      path.join(root, 'target', 'benchmark')
    ],
    quiet
  )
  const built = path.join(root, 'target', 'benchmark', 'release')
  fs.copyFileSync(path.join(built, 'libcountersign_benchmark.so'), path.join(native, 'countersign-benchmark.node'))
  return {
    agent: path.join(root, 'target', 'release', 'countersign-agent'),
    connections: path.join(built, 'connections')
  }
}

/** Start a daemon and wait until it can be reached. */
async function started(command, args, socket) {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  for (let attempt = 0; !fs.existsSync(socket); attempt++) {
    if (attempt > 200) throw new Error(`${command} did not start`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return child
}

/** What the bare server answers; the agent's answers are of this shape. */
const ANSWER = JSON.stringify({
  status: 'ok',
  identity: 'BILLING_PROD',
  idm_url: 'https://auth.example.com/oauth2/billing',
  config_url: 'https://config.example.com/api/billing',
  token: 'tok_billing_xxx',
  runner: { identity: 'BILLING_PROD', hostname: 'worker-01', process: 'node', pid: 1234, uid: 0, gid: 0 }
})

/** The limits are not what is measured. */
const UNLIMITED = ['--max-connections', '65536', '--max-connections-per-uid', '65536', '--log-level', 'error']

const round = (number, digits = 2) => Number(number.toFixed(digits))
const verdict = (value, limit, below = true) =>
  (below ? value <= limit : value >= limit) ? 'ok' : `MISSED (${below ? '<=' : '>='} ${limit})`

function line(what, ratio, limit, detail, below = true) {
  console.log(
    `  ${what.padEnd(52)} ${String(round(ratio)).padStart(6)} x  ${verdict(ratio, limit, below).padEnd(18)} ${detail}`
  )
}

function clients(node, socket) {
  const report = JSON.parse(execFileSync(node, [path.join(__dirname, 'measure.cjs'), socket], { maxBuffer: 1e7 }))
  const { isolated, backToBack, inFlight64, inFlight1000, credentials } = report
  const us = (values, digits = 0) =>
    Object.entries(values)
      .filter(([, value]) => typeof value === 'number')
      .map(([name, value]) => `${name} ${round(value, digits)}`)
      .join(', ')
  console.log(`\n${report.node}`)
  line('isolated: ours / net client', isolated.ours / isolated.net, 0.55, `us: ${us(isolated)}`)
  line('isolated: ours / blocking Rust', isolated.ours / isolated.rust, 1.5, '')
  line('back to back: ours / net client', backToBack.ours / backToBack.net, 0.9, `us: ${us(backToBack)}`)
  line('back to back: sync / blocking Rust', backToBack.sync / backToBack.rust, 1.2, '')
  for (const [width, flight] of [
    [64, inFlight64],
    [1000, inFlight1000]
  ]) {
    line(`${width} in flight: ours / net client, calls a second`, flight.ours / flight.net, 2.8, us(flight), false)
    line(
      `${width} in flight: net client / ours, CPU a call`,
      flight.cpu.net / flight.cpu.ours,
      2.8,
      `us: ${us(flight.cpu, 1)}`,
      false
    )
  }
  line(
    'getPeerCredentials(fd) / bare getsockopt, from JS',
    credentials.ours / credentials.call,
    2.5,
    `ns: ${us(credentials)}`
  )
}

/** What the package adds to a process: milliseconds and RSS, medians of fresh processes. */
function cost(node) {
  const script =
    'const a = process.memoryUsage().rss, t = process.hrtime.bigint(), c = require(process.argv[1]);' +
    'const ms = Number(process.hrtime.bigint() - t) / 1e6; c.getIdentity; const more = Number(process.hrtime.bigint() - t) / 1e6;' +
    'console.log(JSON.stringify([ms, (process.memoryUsage().rss - a) / 1048576, more]))'
  const all = Array.from({ length: 15 }, () => JSON.parse(execFileSync(node, ['-e', script, root])))
  const median = (index) => all.map((pair) => pair[index]).sort((a, b) => a - b)[7]
  const size = fs.statSync(path.join(root, 'countersign.linux-x64-gnu.node')).size / 1048576
  console.log('\nrequire')
  line(
    'milliseconds / 5',
    median(0) / 5,
    1,
    `${round(median(0), 1)} ms; with getIdentity looked up ${round(median(2), 1)} ms`
  )
  line('RSS in MiB / 5', median(1) / 5, 1, `${round(median(1), 1)} MiB`)
  line('stripped .node in MiB / 4', size / 4, 1, `${round(size)} MiB`)
}

async function agentUnderLoad({ agent, connections }, directory, rules) {
  const load = (socket, count) => JSON.parse(execFileSync(connections, ['load', socket, '8', String(count)]))
  const bareSocket = path.join(directory, 'bare.sock')
  const socket = path.join(directory, 'loaded.sock')
  const bare = await started(connections, ['serve', bareSocket, ANSWER], bareSocket)
  const daemon = await started(agent, ['--rules', rules, '--socket', socket, ...UNLIMITED], socket)
  const rss = () => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))[1]) / 1024
  const rounds = []
  for (let index = 0; index < 5; index++) rounds.push([load(bareSocket, 40000), load(socket, 40000)])
  const of = (which, key) => rounds.map((pair) => pair[which][key]).sort((a, b) => a - b)[2]
  console.log('\nagent (rule on uid and exe)')
  line(
    'answers a second / 20,000',
    of(1, 'perSecond') / 20000,
    1,
    `${of(1, 'perSecond')}/s, p99 ${of(1, 'p99')} us; ` +
      `a bare server: ${of(0, 'perSecond')}/s, ${round(of(1, 'perSecond') / of(0, 'perSecond'))} x`,
    false
  )
  const million = Number(process.env.CONNECTIONS ?? 1000000)
  const before = rss()
  const long = load(socket, million)
  line(
    `RSS after / before ${million} connections`,
    rss() / before,
    1.1,
    `${round(before, 1)} -> ${round(rss(), 1)} MiB, ${long.perSecond}/s, p99 ${long.p99} us`
  )
  bare.kill()
  daemon.kill()
}

async function main() {
  const programs = prepare()
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-bench-'))
  const rules = path.join(directory, 'rules.toml')
  const socket = path.join(directory, 'whoami.sock')
  const nodes = [process.execPath, ...process.argv.slice(2)]
  const rule = (exe) =>
    `[[rule]]\nidentity = "BILLING_PROD"\nmatch = { uid = ${process.getuid()}, exe = "${fs.realpathSync(exe)}" }\n` +
    'idm_url = "https://auth.example.com/oauth2/billing"\nconfig_url = "https://config.example.com/api/billing"\ntoken = "tok_billing_xxx"\n'
  fs.writeFileSync(rules, rule(programs.connections), { mode: 0o600 })
  const daemon = await started(programs.connections, ['serve', socket, ANSWER], socket)
  console.log(
    `clients against one bare server (so that the daemon is not what is measured), medians; ${os.cpus().length} shared cores`
  )
  try {
    for (const node of nodes) clients(node, socket)
    cost(process.execPath)
    await agentUnderLoad(programs, directory, rules)
  } finally {
    daemon.kill()
    fs.rmSync(directory, { recursive: true, force: true })
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
