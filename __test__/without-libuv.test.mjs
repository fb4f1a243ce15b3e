// On a host without a usable libuv a thread watches the sockets. Everything must be as it is with libuv, so the
// client's own tests run once more, on that thread.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { runScript } from './support/child.mjs'
import { OK, startDaemon } from './support/daemon.mjs'

const preload = path.join(import.meta.dirname, 'support', 'without-libuv.cjs')

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon
before(async () => {
  daemon = await startDaemon()
})
after(() => daemon.stop())

test('the thread is there without libuv, and only then', async () => {
  const socketPath = await daemon.serve({ body: JSON.stringify(OK) })
  const script = `
    const fs = require('node:fs')
    const nameOf = (task) => fs.readFileSync('/proc/self/task/' + task + '/comm', 'utf8')
    const threads = () => fs.readdirSync('/proc/self/task').filter((task) => nameOf(task) === 'countersign\\n').length
    const before = threads()
    const ask = () => countersign.getIdentity({ socketPath })
    Promise.all([ask(), ask()]).then(() => console.log(before, threads()))`
  assert.equal((await runScript(script, { socketPath })).stdout, '0 0\n')
  assert.equal((await runScript(script, { socketPath, flags: ['--require', preload] })).stdout, '0 1\n')
})

for (const suite of ['whoami-connection', 'whoami-server', 'whoami-abort', 'whoami-lifetime', 'whoami-worker']) {
  test(suite, () => {
    const { NODE_TEST_CONTEXT, ...env } = process.env
    const file = path.join(import.meta.dirname, `${suite}.test.mjs`)
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--require', preload, '--test', '--test-reporter=tap', file],
      { env, encoding: 'utf8', maxBuffer: 1 << 26 }
    )
    assert.equal(
      status,
      0,
      stdout
        .split('\n')
        .filter((line) => !/^\s*(ok|# Subtest)/.test(line))
        .join('\n') + stderr
    )
    assert.match(stdout, /# pass [1-9]/)
  })
}
