// Short lives: the watchdog, the expiry, and a loop that was busy; against the agent that does what it is told.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { X509Source } from 'countersign'
import { startTestAgent } from 'countersign/testing'

const ID = 'spiffe://example.org/billing'

test('the watchdog barks, the expiry is told, and nothing expired is handed out', async (t) => {
  const agent = await startTestAgent({ identities: [ID], ttl: 4000 })
  t.after(() => agent.close())
  const source = await X509Source.open({ endpoint: agent.endpoint })
  t.after(() => source.close())
  /** @type {any[]} */
  const events = []
  source.subscribe((/** @type {any} */ event) => events.push(event))
  agent.faults.freeze()
  const { expiresAt, notBefore } = source.svid()
  while (!events.some(({ type }) => type === 'expire')) {
    await sleep(20)
    if (Date.now() < expiresAt.getTime()) assert.equal(String(source.svid()), ID)
    assert.ok(Date.now() < expiresAt.getTime() + 8000, 'it was told')
  }
  assert.throws(() => source.svid(), { code: 'ERR_SVID_EXPIRED' })
  assert.equal(source.isHealthy(), false)
  const [overdue] = events.filter(({ type }) => type === 'overdue')
  assert.ok(overdue, 'the watchdog came first')
  assert.equal(overdue.expiresAt.getTime(), expiresAt.getTime())
  assert.ok(notBefore < expiresAt)
  assert.deepEqual(
    events.filter(({ type }) => type === 'overdue' || type === 'expire').map(({ type }) => type),
    ['overdue', 'expire']
  )
  agent.faults.thaw()
  await source.ready({ timeout: 15_000 })
  assert.ok(source.svid().expiresAt > expiresAt)
})

test('what arrived while the loop was busy is heard before time is called', async (t) => {
  const agent = await startTestAgent({ identities: [ID] })
  t.after(() => agent.close())
  for (let round = 0; round < 5; round++) {
    const source = new X509Source({ endpoint: agent.endpoint })
    const ready = source.ready({ timeout: 30 })
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150)
    await ready
    source.close()
  }
})
