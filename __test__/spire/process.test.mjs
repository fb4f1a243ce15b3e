// What a process costs a real agent, and what one process may have that another may not: connections counted by the
// kernel, threads, users.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  accessSync,
  constants,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync
} from 'node:fs'
import path from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { countersign } from '../support/spiffe-scene.mjs'
import { until } from '../support/until.mjs'
import { root, startSpire } from './harness.mjs'
import { run } from '../support/program.mjs'

const { JwtSource, WorkloadApiClient, X509Source } = countersign
const checkout = fileURLToPath(new URL('../..', import.meta.url))

/** @type {import('./harness.mjs').Spire} */
let spire
const BILLING = 'spiffe://example.org/billing'

before(
  async () => {
    spire = await startSpire({ federation: false })
  },
  { timeout: 120_000 }
)
beforeEach(async () => {
  await Promise.all([...spire.local.entries.keys()].map((id) => spire.local.deleteEntry(id)))
})
after(() => spire?.stop())

/** The sockets of a process, by inode. @param {number | 'self'} pid */
function sockets(pid) {
  const directory = `/proc/${pid}/fd`
  return new Set(
    readdirSync(directory).map((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(path.join(directory, fd)))?.[1]
      } catch {
        return undefined
      }
    })
  )
}

/** What the kernel says of the agent's end: connected sockets at its path, in the hands of the agent. */
function acceptedByAgent() {
  const held = sockets(spire.local.agent.pid)
  return readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .map((line) => line.split(/\s+/))
    .filter(([, , , , , state, inode, name]) => name === spire.local.socketPath && state === '03' && held.has(inode))
    .length
}

/** What the kernel says of ours: sockets of this process whose peer is at that path (sock_diag, read by ss). */
function connectedByUs() {
  const lines = execFileSync('ss', ['-xnp', 'state', 'connected'], { encoding: 'utf8' }).split('\n')
  const at = new Set(
    lines.filter((line) => line.includes(spire.local.socketPath)).map((line) => /\s(\d+)\s+\*\s+\d+/.exec(line)?.[1])
  )
  return lines.filter((line) => line.includes(`pid=${process.pid},`) && at.has(/\*\s+\d+\s+\*\s+(\d+)/.exec(line)?.[1]))
    .length
}

/** Both ends, agreeing. */
async function connections() {
  let counted = NaN
  await until(() => (counted = acceptedByAgent()) === connectedByUs(), 'both ends agree', { seconds: 5 })
  return counted
}

test('five hundred sources share one connection', async (t) => {
  await spire.local.createEntry({ spiffeId: BILLING })
  assert.equal(await connections(), 0)
  const before = sockets('self').size
  const sources = Array.from({ length: 500 }, (_, index) =>
    index % 5 === 0
      ? new JwtSource({ endpoint: spire.local.endpoint })
      : new X509Source({ endpoint: spire.local.endpoint })
  )
  t.after(() => {
    for (const source of sources) source.close()
  })
  await Promise.all(sources.map((source) => source.ready()))
  const clients = Array.from({ length: 20 }, () => new WorkloadApiClient({ endpoint: spire.local.endpoint }))
  await Promise.all(clients.flatMap((client) => [client.fetchX509Context(), client.fetchJwtSvid({ audience: 'shop' })]))
  // The same path in another spelling is the same place.
  await new WorkloadApiClient({ endpoint: `unix:${spire.local.socketPath}` }).fetchX509Bundles()
  assert.equal(await connections(), 1)
  t.diagnostic(`${sockets('self').size - before} sockets more than before`)
  const id = [...spire.local.entries.keys()][0]
  const first = sources.filter((source) => source instanceof X509Source).map((source) => source.svid())
  assert.equal(new Set(first).size, 1, 'one object')
  await spire.local.updateEntry(id)
  await until(
    () => sources.every((source) => !(source instanceof X509Source) || source.svid() !== first[0]),
    'all of them are told'
  )
  // A new agent: one connection again.
  await spire.local.restartAgent()
  await until(
    () => sources.every((source) => source.lastError === undefined && source.state === 'ready'),
    'all of them are back',
    { seconds: 20 }
  )
  await until(async () => (await connections()) === 1, 'one connection')
})
test('eight threads share it as well, each with a view of its own', async (t) => {
  const id = await spire.local.createEntry({ spiffeId: BILLING })
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    const { X509Source, JwtSource, WorkloadApiClient } = require(${JSON.stringify(checkout)})
    const source = new X509Source({ endpoint: workerData })
    const tokens = new JwtSource({ endpoint: workerData })
    const work = async () => {
      await Promise.all([source.ready(), tokens.ready()])
      const { token } = await tokens.fetch({ audience: 'shop' })
      await new WorkloadApiClient({ endpoint: workerData }).fetchX509Svids()
      tokens.validate(token, { audience: 'shop' })
      for await (const { svid } of source.updates({ ref: true })) parentPort.postMessage([String(svid),
        svid.serialNumber])
    }
    work()`
  const workers = Array.from({ length: 8 }, () => new Worker(code, { eval: true, workerData: spire.local.endpoint }))
  t.after(() => Promise.all(workers.map((worker) => worker.terminate())))
  /** @type {string[][]} */
  const heard = workers.map(() => [])
  workers.forEach((worker, index) => {
    worker.on('message', ([id, serial]) => {
      assert.equal(id, BILLING)
      heard[index].push(serial)
    })
    worker.on('error', (error) => {
      throw error
    })
  })
  await until(() => heard.every((serials) => serials.length === 1), 'all of them are ready')
  assert.equal(await connections(), 1)
  await spire.local.updateEntry(id)
  await until(() => heard.every((serials) => serials.length === 2), 'all of them are told')
  assert.equal(new Set(heard.flat()).size, 2, 'the same to all')
  // Threads that end leave the others alone.
  await Promise.all(workers.slice(0, 7).map((worker) => worker.terminate()))
  await spire.local.updateEntry(id)
  await until(() => heard[7].length === 3, 'the one that is left')
  assert.equal(await connections(), 1)
})
test('a process of another user is refused, one of the right user is served', {
  skip: !root && 'SKIPPED: another user: needs root'
}, async () => {
  await spire.local.createEntry({ spiffeId: BILLING, selectors: ['unix:uid:1001'] })
  const { node, script } = installed()
  const as = async (/** @type {number} */ uid) => {
    const { stdout, stderr } = await run(node, [script], { uid, env: { SPIFFE_ENDPOINT_SOCKET: spire.local.endpoint } })
    assert.equal(stderr, '')
    return JSON.parse(stdout)
  }
  assert.deepEqual(await as(1001), {
    client: BILLING,
    token: BILLING,
    source: BILLING,
    tokens: BILLING,
    states: ['ready', 'ready']
  })
  const nobody = 'ERR_NO_IDENTITY no identity issued'
  assert.deepEqual(await as(1002), {
    client: nobody,
    token: nobody,
    source: nobody,
    tokens: nobody,
    states: ['noIdentity', 'noIdentity']
  })
  // We ourselves are another user as well.
  await assert.rejects(new WorkloadApiClient({ endpoint: spire.local.endpoint }).fetchX509Svid(), {
    code: 'ERR_NO_IDENTITY'
  })
})

/** The package, a program on it and a Node where users can get at them who cannot look into this checkout. */
function installed() {
  const directory = path.join(spire.directory, 'package')
  mkdirSync(directory)
  for (const name of readdirSync(checkout)) {
    if (['package.json', 'index.js', 'lib'].includes(name) || name.endsWith('.node'))
      cpSync(path.join(checkout, name), path.join(directory, name), { recursive: true })
  }
  const script = path.join(spire.directory, 'workload.cjs')
  cpSync(fileURLToPath(new URL('workload.cjs', import.meta.url)), script)
  let node = process.execPath
  try {
    for (let at = path.dirname(node); at !== '/'; at = path.dirname(at)) {
      accessSync(at, constants.X_OK)
      execFileSync('setpriv', ['--reuid', '1001', '--clear-groups', 'test', '-x', at])
    }
  } catch {
    node = path.join(spire.directory, 'node')
    copyFileSync(process.execPath, node)
  }
  return { node, script }
}
