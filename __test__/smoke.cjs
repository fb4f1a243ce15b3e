'use strict'
// Does the package work on this runtime? A plain script, because not every runtime has node's test runner:
// smoke.cjs ECHO SILENT, two sockets: a daemon that gives back what is said to it, and one that says nothing. Prints
// one line and ends by itself.
const assert = require('node:assert')
const net = require('node:net')
const countersign = require('countersign')
const { runtime } = require('./support/runtime.cjs')
const { getIdentity, getIdentitySync, getPeerCredentials, getPeerProcess, connectVerified } = countersign

const [socketPath, silent] = process.argv.slice(2)

/** @type {(promise: Promise<unknown>, code: string) => Promise<void>} */
const fails = async (promise, code) => {
  const error = await promise.then(
    () => assert.fail('it did not fail'),
    (/** @type {any} */ error) => error
  )
  assert.strictEqual(error.code, code, error.stack)
  assert.ok(countersign.CountersignError.is(error))
}

/** What a peer function gives, or the code it fails with. @param {() => any} call */
const outcome = (call) => {
  try {
    return call().pid
  } catch (/** @type {any} */ error) {
    assert.ok(countersign.CountersignError.is(error), error.stack)
    return error.code
  }
}

async function main() {
  for (let round = 0; round < 100; round++) {
    const me = await getIdentity({ socketPath, runner: { instanceId: round, extra: { zone: 'bü' } } })
    assert.strictEqual(me.runner.instanceId, round)
    assert.strictEqual(me.runner.extra.zone, 'bü')
  }
  const sync = getIdentitySync({ socketPath, runner: { instanceId: 2n ** 64n - 1n } })
  assert.strictEqual(sync.runner.instanceId, 2n ** 64n - 1n)
  assert.strictEqual(JSON.parse(sync.runner.toWire()).identity, sync.identity)
  const all = await Promise.all(
    Array.from({ length: 64 }, (_, index) => getIdentity({ socketPath, runner: { instanceId: index } }))
  )
  for (const [index, me] of all.entries()) assert.strictEqual(me.runner.instanceId, index)
  await getIdentity({ socketPath, expectServer: (peer) => typeof peer.pid === 'number' })

  await fails(getIdentity({ socketPath: '/missing.sock' }), 'ERR_SOCKET_NOT_FOUND')
  await fails(getIdentity({ socketPath: __filename }), 'ERR_CONNECTION_FAILED')
  await fails(getIdentity({ socketPath, expectServer: { uid: 4000000 } }), 'ERR_UNTRUSTED_SERVER')
  await fails(getIdentity({ socketPath, timeout: -1 }), 'ERR_INVALID_ARGUMENT')
  await fails(getIdentity({ socketPath: silent, timeout: 5 }), 'ERR_TIMEOUT')
  const controller = new AbortController()
  const taken = getIdentity({ socketPath: silent, signal: controller.signal })
  controller.abort('enough')
  assert.strictEqual(await taken.catch((reason) => reason), 'enough')

  const { Issuer, Principal, TenantId, WorkloadPrincipal } = require('countersign/principal')
  const principal = new WorkloadPrincipal({
    trustDomain: 'td',
    issuer: Issuer.oauth,
    tenantId: TenantId.random(),
    tenantSlug: 'b',
    serviceName: 'a',
    attributes: { n: 2n ** 63n }
  })
  assert.ok(Principal.parse(principal.toWire()).equals(principal))

  assert.strictEqual(
    outcome(() => getPeerCredentials(9999)),
    'ERR_CLOSED'
  )
  assert.strictEqual(
    outcome(() => getPeerCredentials(-1)),
    'ERR_INVALID_ARGUMENT'
  )
  const socket = net.connect(socketPath)
  await new Promise((resolve, reject) => socket.once('connect', () => resolve(undefined)).once('error', reject))
  const seen = {
    credentials: outcome(() => getPeerCredentials(socket)),
    process: outcome(() => getPeerProcess(socket))
  }
  socket.destroy()
  const verified = await connectVerified(socketPath, (peer) => typeof peer.pid === 'number').then(
    (socket) => {
      socket.destroy()
      return 'works'
    },
    (/** @type {any} */ error) => {
      assert.ok(countersign.CountersignError.is(error), error.stack)
      return /** @type {any} */ (error.cause)?.code ?? error.code
    }
  )
  await fails(connectVerified('/missing.sock', { uid: 0 }), 'ERR_SOCKET_NOT_FOUND')
  await fails(connectVerified(socketPath, { uid: 4000000 }), 'ERR_UNTRUSTED_SERVER')

  const told = (/** @type {unknown} */ value) => (typeof value === 'number' ? 'works' : value)
  process.stdout.write(
    `${runtime}: getIdentity works, peer of a net.Socket ${told(seen.credentials)}, ` +
      `its process ${told(seen.process)}, connectVerified ${verified}\n`
  )
}

main().catch((error) => {
  process.stderr.write(`${runtime}: ${error.stack}\n`)
  process.exit(1)
})
