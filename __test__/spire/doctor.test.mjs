// countersign doctor against real SPIRE: above all, what it advises must help.
import assert from 'node:assert/strict'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { installFor, run } from '../support/command-line.mjs'
import { root, startSpire } from './harness.mjs'

/** @type {import('./harness.mjs').Spire} */
let spire
/** @type {ReturnType<typeof installFor> | undefined} */
let installed
const MINE = 'spiffe://example.org/mine'
/** Somebody in several groups; only root can be somebody else. */
const somebody = () =>
  installed ? { uid: 1001, gid: 1002, groups: [2002, 0], command: installed.command, cwd: '/' } : {}

before(
  async () => {
    spire = await startSpire({ workloadPath: true })
    if (root) installed = installFor(1001)
  },
  { timeout: 120_000 }
)
after(async () => {
  installed?.remove()
  await spire?.stop()
})

/** @param {string} [endpoint] */
async function doctor(endpoint = spire.local.endpoint) {
  const { stdout, status } = await run(['doctor', '--json', '--endpoint', endpoint], somebody())
  const { findings } = JSON.parse(stdout)
  assert.doesNotMatch(stdout, /eyJ|PRIVATE KEY/)
  const failed = findings.filter((/** @type {any} */ one) => one.status === 'fail')
  return {
    status,
    failed,
    the: (/** @type {string} */ check) => findings.find((/** @type {any} */ one) => one.check === check)
  }
}

test('not registered: every selector it names is one the agent sees, and its command registers us', async () => {
  const { status, failed } = await doctor()
  assert.equal(status, 4)
  const [{ check, selectors, registration, grpcMessage }] = failed
  assert.deepEqual([check, grpcMessage], ['x509', 'no identity issued'])
  for (const kind of ['uid', 'gid', 'path', 'sha256', ...(root ? ['supplementary_gid', 'supplementary_group'] : [])]) {
    assert.ok(
      selectors.some((/** @type {string} */ selector) => selector.startsWith(`unix:${kind}:`)),
      `${kind} in ${selectors}`
    )
  }
  // All of them must hold.
  const id = await spire.local.createEntry({ spiffeId: MINE, selectors })
  const known = await doctor()
  assert.equal(known.status, 0, JSON.stringify(known.failed))
  assert.equal(known.the('svid').spiffeId, MINE)
  await spire.local.deleteEntry(id)
  // As it is printed, but for the names that only its reader knows.
  const [command, ...args] = registration
    .replace('spiffe://TRUST_DOMAIN/AGENT', spire.local.node)
    .replaceAll('TRUST_DOMAIN', 'example.org')
    .replace('/WORKLOAD', '/mine')
    .split(' ')
  assert.equal(command, 'spire-server')
  await spire.local.serverCommand(args)
  for (const end = Date.now() + 20_000; ; ) {
    const { status, the } = await doctor()
    if (status === 0) {
      assert.equal(the('svid').spiffeId, MINE)
      break
    }
    assert.ok(Date.now() < end, 'registered in vain')
  }
})

test('everything is told of an agent that is well, and who it is', async () => {
  const { status, the, failed } = await doctor()
  assert.equal(status, 0, JSON.stringify(failed))
  assert.equal(the('listener').pid, spire.local.agent.pid)
  assert.deepEqual([the('jwt').status, the('clock').status, the('wit').supported], ['ok', 'ok', false])
  assert.equal(the('bundles').trustDomain, 'example.org')
  if (!root) return
  // An agent of another user cannot be looked at; who it is the kernel says all the same.
  const { stdout } = await run(['doctor', '--json', '--endpoint', spire.local.endpoint])
  assert.equal(
    JSON.parse(stdout).findings.find((/** @type {any} */ { check }) => check === 'listener').exe,
    path.join(spire.directory, 'bin', 'spire-agent')
  )
})

test('the agent is cut off from its server: SVIDs, but no new tokens', async () => {
  await spire.local.createEntry({
    spiffeId: 'spiffe://example.org/other',
    selectors: [`unix:uid:${root ? 1001 : process.getuid?.()}`]
  })
  await spire.local.stopServer()
  const { status, failed, the } = await doctor()
  assert.equal(status, 1)
  assert.deepEqual(
    failed.map((/** @type {any} */ { check, grpcCode }) => [check, grpcCode]),
    [['jwt', 'UNAVAILABLE']]
  )
  assert.match(failed[0].advice[0], /cannot reach its server/)
  assert.equal(the('x509').status, 'ok')
  await spire.local.startServer()
})

test('the agent was killed: its socket is left over', async () => {
  await spire.local.killAgent('SIGKILL')
  const { status, failed } = await doctor()
  assert.deepEqual([status, failed.length, failed[0].check, failed[0].code], [3, 1, 'connect', 'ECONNREFUSED'])
  await spire.local.restartAgent()
})

test('the socket of the server is not that of the agent', {
  skip: !root && 'SKIPPED: the socket of spire-server as another user: not root'
}, async () => {
  const { stdout, status } = await run(['doctor', '--json', '--endpoint', `unix:${spire.directory}/local/server.sock`])
  const { findings } = JSON.parse(stdout)
  assert.equal(status, 1)
  const { check, grpcCode, advice } = findings.at(-1)
  assert.deepEqual([check, grpcCode], ['x509', 'UNIMPLEMENTED'])
  assert.match(advice[0], /the socket of spire-server/)
})
