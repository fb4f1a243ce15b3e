// Calls from worker threads, and threads that end in the middle of a call.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { root, runScript } from './support/child.mjs'
import { OK, startDaemon } from './support/daemon.mjs'

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon
/** @type {string} */
let silent
/** @type {string} */
let ready
before(async () => {
  daemon = await startDaemon()
  silent = await daemon.serve({ silent: true })
  ready = await daemon.serve({ body: JSON.stringify(OK) })
})
after(() => daemon.stop())

/** @param {string} script @param {string} socketPath */
const start = (script, socketPath) =>
  new Worker(
    `
  const countersign = require(${JSON.stringify(root)})
  const { parentPort } = require('node:worker_threads')
  const socketPath = ${JSON.stringify(socketPath)}
  ${script}`,
    { eval: true }
  )

test('a worker asks, in both flavours, while the others do', async () => {
  const { getIdentity } = await import('countersign')
  const workers = Array.from({ length: 4 }, () =>
    start(
      `
    Promise.all(Array.from({ length: 100 }, () => countersign.getIdentity({ socketPath }))).then((all) => {
      parentPort.postMessage(all.map((me) => me.token).concat(countersign.getIdentitySync({ socketPath }).token))
    })`,
      ready
    )
  )
  const answers = Promise.all(
    workers.map((worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)))
  )
  const exits = Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve))))
  const own = await Promise.all(Array.from({ length: 100 }, () => getIdentity({ socketPath: ready })))
  assert.equal(own.length, 100)
  for (const tokens of await answers) assert.deepEqual(tokens, Array(101).fill(OK.token))
  assert.deepEqual(await exits, [0, 0, 0, 0])
})

/** @param {string} script @param {string} [socketPath] */
async function survives(script, socketPath = silent) {
  const result = await runScript(script, { socketPath })
  assert.deepEqual([result.code, result.signal, result.stdout], [0, null, 'ok\n'], result.stderr)
}

const TERMINATE = `
  const { Worker } = require('node:worker_threads')
  const body = (calls) => [
    'const countersign = require(' + JSON.stringify(${JSON.stringify(root)}) + ')',
    'const socketPath = ' + JSON.stringify(socketPath),
    calls,
    'require("node:worker_threads").parentPort.postMessage(0)'
  ].join(';\\n')
  async function terminate (calls, times) {
    for (let i = 0; i < times; i++) {
      const worker = new Worker(body(calls), { eval: true })
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
      if (i % 3 === 1) await new Promise((resolve) => setTimeout(resolve, 1))
      await worker.terminate()
    }
    console.log('ok')
  }
`
test('a worker terminated in mid-call, 200 times', () =>
  survives(`${TERMINATE}
  terminate('countersign.getIdentity({ socketPath, timeout: null })', 200)`))
test('a worker terminated with many calls in flight', () =>
  survives(`${TERMINATE}
  terminate(\`for (let i = 0; i < 20; i++) {
    const options = { timeout: 1 + i, signal: AbortSignal.timeout(20 - i), expectServer: () => true }
    countersign.getIdentity({ socketPath, ...options }).catch(() => {})
  }\`, 50)`))
test('a worker terminated while answers arrive', () =>
  survives(
    `${TERMINATE}
  terminate(\`const again = () => countersign.getIdentity({ socketPath }).then(again)
    for (let i = 0; i < 8; i++) again()\`, 50)`,
    ready
  ))
test('a worker terminated while it waits for a busy daemon', async () => {
  const frozen = await startDaemon()
  try {
    const socketPath = await frozen.serve({ silent: true, backlog: 1 })
    frozen.kill('SIGSTOP')
    await survives(
      `${TERMINATE}
      terminate(\`for (let i = 0; i < 8; i++)
        countersign.getIdentity({ socketPath, timeout: null, expectServer: { uid: 0 } })\`, 30)`,
      socketPath
    )
  } finally {
    await frozen.stop()
  }
})
test('a worker that ends by process.exit in a reaction', () =>
  survives(
    `${TERMINATE}
  const calls = \`countersign.getIdentity({ socketPath }).then(() => process.exit(7))
    countersign.getIdentity({ socketPath })\`
  const worker = new Worker(body(calls), { eval: true })
  worker.once('exit', (code) => console.log(code === 7 ? 'ok' : code))`,
    ready
  ))
test('the main thread goes on after its workers have gone', () =>
  survives(`${TERMINATE}
  const mine = countersign.getIdentity({ socketPath, timeout: 60000 })
  terminate('countersign.getIdentity({ socketPath, timeout: null })', 10).then(() => process.exit(0))`))
test('many workers at once, all terminated', () =>
  survives(`${TERMINATE}
  Promise.all(Array.from({ length: 12 }, async () => {
    const calls = 'for (let i = 0; i < 10; i++) countersign.getIdentity({ socketPath, timeout: null })'
    const worker = new Worker(body(calls), { eval: true })
    await new Promise((resolve) => worker.once('message', resolve))
    await worker.terminate()
  })).then(() => console.log('ok'))`))
