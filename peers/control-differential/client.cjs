'use strict'
/** `node client.cjs SOCKET`: our client at a server on the crate secureops-ipc. Says nothing when all is as it should be. */
const assert = require('node:assert/strict')
const { ControlClient } = require('../../lib/control')

async function main() {
  const client = new ControlClient({ socketPath: process.argv[2] })
  const status = await client.status()
  assert.equal(status.running, true)
  assert.equal(status.alerts[0].severity, 'HIGH')
  const report = await client.audit({ deep: true })
  assert.equal(report.findings[0].id, 'SC-TEST-001')
  assert.ok(report.timestamp instanceof Date)
  // What the crate cannot encode arrives as an empty line: errors, and every success that is no object.
  for (const call of [() => client.kill({ reason: 'refused' }), () => client.alerts()])
    await assert.rejects(call(), { code: 'ERR_EMPTY_REPLY' })
  await client.reloadPolicy()
  // A slow answer that is given up does not become the answer to the next question.
  await assert.rejects(client.kill({ reason: 'slow', timeout: 30 }), { code: 'ERR_TIMEOUT' })
  assert.equal((await client.status()).running, true)
  // Side by side, and in order.
  const all = await Promise.all([client.status(), client.audit(), client.status()])
  assert.deepEqual([all[0].running, all[1].findings.length, all[2].running], [true, 1, true])
  client.close()
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
