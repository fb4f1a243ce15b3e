'use strict'
/**
 * npm run bench:control [-- --built] - the control plane: a round trip beside a bare NDJSON echo, an alert told to a
 * thousand subscribers some of whom do not listen, and what the audit log costs who asks who it is. All sides of a
 * comparison run in turns, in one run. `--built`: take what is built already.
 */
const { execFileSync, spawn } = require('node:child_process')
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')

const root = path.join(__dirname, '..', '..')
const release = path.join(root, 'target', 'release')
const ROUNDS = 11
const CALLS = 2000
const SUBSCRIBERS = 1000
const DEAF = 100
const LOAD_ROUNDS = 9
const LOAD_MS = 1000

const median = (/** @type {number[]} */ values) => values.toSorted((a, b) => a - b)[values.length >> 1]
const round = (/** @type {number} */ number, digits = 2) => Number(number.toFixed(digits))
const sleep = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** @param {string} what @param {number} value @param {number | undefined} limit @param {boolean} below @param {string} unit @param {string} detail */
function line(what, value, limit, below, unit, detail) {
  const ok = limit === undefined || (below ? value <= limit : value >= limit)
  const verdict = limit === undefined ? '' : ok ? 'ok' : `MISSED (${below ? '<=' : '>='} ${limit})`
  console.log(
    `  ${what.padEnd(52)} ${String(round(value, 3)).padStart(8)} ${unit.padEnd(3)} ${verdict.padEnd(18)} ${detail}`
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
      'ndjson_echo',
      '--example',
      'whoami_load'
    ],
    { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] }
  )
}

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-bench-'))
const at = (/** @type {string} */ name) => path.join(directory, name)
/** @type {import('node:child_process').ChildProcess[]} */
const children = []

/** @param {string} program @param {string[]} args @param {string} socket */
async function start(program, args, socket) {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  children.push(child)
  while (!fs.existsSync(socket)) await sleep(5)
  return child
}

/** @param {string} name @param {string[]} [more] */
async function agent(name, more = []) {
  const [whoami, control] = [at(`${name}-whoami.sock`), at(`${name}-control.sock`)]
  await start(
    path.join(release, 'countersign-agent'),
    [
      '--rules',
      at('rules.toml'),
      '--socket',
      whoami,
      '--log-level',
      'off',
      ...more.map((text) => text.replace('CONTROL', control).replace('LOG', at(`${name}.jsonl`)))
    ],
    more.includes('CONTROL') ? control : whoami
  )
  return { whoami, control }
}

/** The least a client can be: one line out, one line in. @param {string} socketPath */
async function bareClient(socketPath) {
  const socket = net.connect(socketPath)
  await new Promise((resolve) => socket.once('connect', resolve))
  /** @type {(value: any) => void} */
  let settle = () => {}
  let rest = ''
  let id = 0
  socket.setEncoding('utf8').on('data', (piece) => {
    rest += piece
    if (!rest.endsWith('\n')) return
    const reply = JSON.parse(rest)
    rest = ''
    settle(reply)
  })
  return {
    call: () =>
      new Promise((resolve) => {
        settle = resolve
        socket.write(`${JSON.stringify({ type: 'ping', id: ++id })}\n`)
      }),
    close: () => socket.destroy()
  }
}

async function roundTrips() {
  console.log('a round trip on a kept connection')
  await start(path.join(release, 'examples', 'ndjson_echo'), [at('echo.sock')], at('echo.sock'))
  const { control } = await agent('trips', ['--control-socket', 'CONTROL'])
  const { ControlClient } = require('../../control')
  const client = new ControlClient({ socketPath: control })
  const bare = await bareClient(at('echo.sock'))
  const mixed = await bareClient(control)
  /** @type {Record<string, () => Promise<any>>} */
  const sides = { bare: bare.call, server: mixed.call, ours: () => client.ping() }
  /** @type {Record<string, number[]>} */
  const times = { bare: [], server: [], ours: [] }
  for (const call of Object.values(sides)) for (let calls = 0; calls < CALLS; calls++) await call()
  for (let turn = 0; turn < ROUNDS; turn++) {
    for (const [name, call] of Object.entries(sides)) {
      const begin = performance.now()
      for (let calls = 0; calls < CALLS; calls++) await call()
      times[name].push(((performance.now() - begin) * 1000) / CALLS)
    }
  }
  const of = (/** @type {string} */ name) => median(times[name])
  line(
    'ControlClient and agent : bare client and echo',
    of('ours') / of('bare'),
    1.2,
    true,
    'x',
    `${round(of('ours'))} against ${round(of('bare'))} us a ping`
  )
  line('bare client, agent : echo', of('server') / of('bare'), undefined, true, 'x', `${round(of('server'))} us`)
  bare.close()
  mixed.close()
  client.close()
}

async function fanOut() {
  console.log(`an alert to ${SUBSCRIBERS} subscribers, ${DEAF} of whom never read`)
  const { control, whoami } = await agent('fan', ['--control-socket', 'CONTROL'])
  const { ControlClient } = require('../../control')
  const { IdentityClient } = require('../..')
  const client = new ControlClient({ socketPath: control, timeout: 60_000 })
  let heard = 0
  /** @type {net.Socket[]} */
  const sockets = []
  for (let number = 0; number < SUBSCRIBERS; number++) {
    const socket = net.connect(control)
    sockets.push(socket)
    await new Promise((resolve) => {
      socket.once('connect', () => socket.write('{"type":"subscribe"}\n'))
      socket.once('data', resolve)
    })
    if (number < DEAF) {
      socket.pause()
      continue
    }
    socket.on('data', (piece) => {
      if (piece.includes('the-mark')) heard += 1
    })
  }
  const identity = new IdentityClient({ socketPath: whoami })
  const latency = async (/** @type {number} */ calls) => {
    const times = []
    for (let call = 0; call < calls; call++) {
      const begin = performance.now()
      identity.getIdentitySync()
      times.push((performance.now() - begin) * 1000)
      if (call % 50 === 0) await sleep(0)
    }
    return times
  }
  await latency(500)
  const quiet = median(await latency(1000))
  const told = []
  for (let turn = 0; turn < 11; turn++) {
    heard = 0
    const begin = performance.now()
    await client.kill({ reason: `the-mark ${turn}` })
    while (heard < SUBSCRIBERS - DEAF) await sleep(1)
    told.push(performance.now() - begin)
    await client.resume()
    await sleep(1100)
  }
  line(
    'told to the last of those who listen',
    median(told),
    undefined,
    true,
    'ms',
    'from the request: it is gathered for 10 ms first'
  )
  // While alerts are told to all of them all the time.
  let talking = true
  const talk = (async () => {
    for (let turn = 0; talking; turn++) await client.alerts({ limit: 0 }).then(() => client.reloadPolicy())
  })()
  const busy = median(await latency(1000))
  talking = false
  await talk
  line(
    'who asks who it is, meanwhile : before',
    busy / quiet,
    undefined,
    true,
    'x',
    `${round(busy)} against ${round(quiet)} us; both share the machine with a thousand readers`
  )
  sockets.forEach((socket) => socket.destroy())
  client.close()
}

async function auditLog() {
  console.log('what the audit log costs who asks who it is')
  const sides = {
    without: await agent('without'),
    log: await agent('log', ['--audit-log', 'LOG']),
    both: await agent('both', ['--audit-log', 'LOG', '--control-socket', 'CONTROL']),
    sync: await agent('sync', ['--audit-log', 'LOG', '--log-sync'])
  }
  /** @type {Record<string, number[]>} */
  const rates = { without: [], log: [], both: [], sync: [] }
  const load = (/** @type {string} */ socket) =>
    (Number(
      execFileSync(path.join(release, 'examples', 'whoami_load'), [socket, '4', String(LOAD_MS)], { encoding: 'utf8' })
    ) *
      1000) /
    LOAD_MS
  for (const { whoami } of Object.values(sides)) load(whoami)
  for (let turn = 0; turn < LOAD_ROUNDS; turn++) {
    // Forth and back, so that nobody always comes behind the same.
    const order = Object.entries(sides)
    for (const [name, { whoami }] of turn % 2 === 0 ? order : order.reverse()) rates[name].push(load(whoami))
  }
  const of = (/** @type {string} */ name) => median(rates[name])
  const ratio = (/** @type {string} */ name) => median(rates[name].map((rate, turn) => rate / rates.without[turn]))
  line(
    'answers a second with the log : without',
    ratio('log'),
    0.9,
    false,
    'x',
    `${round(of('log'), 0)} against ${round(of('without'), 0)}`
  )
  line('the same, and a control socket', ratio('both'), 0.9, false, 'x', `${round(of('both'), 0)}`)
  line(
    'the same with --log-sync',
    ratio('sync'),
    undefined,
    false,
    'x',
    `${round(of('sync'), 0)}: every line on the disk before its answer`
  )
}

async function main() {
  prepare()
  fs.writeFileSync(at('rules.toml'), `[[rule]]\nidentity = "BENCH"\nmatch = { uid = ${process.getuid?.()} }\n`, {
    mode: 0o600
  })
  console.log(`${os.cpus()[0].model}, ${os.cpus().length} cores, Node.js ${process.version}`)
  try {
    await roundTrips()
    await fanOut()
    await auditLog()
  } finally {
    for (const child of children) child.kill()
    fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

main()
