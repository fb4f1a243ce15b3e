// The authorities of a trust domain change under a running source: on schedule, and in an emergency.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { countersign } from '../support/spiffe-scene.mjs'
import { until } from '../support/until.mjs'
import { startSpire } from './harness.mjs'
import { watched } from './watched.mjs'

const { X509Source, verifyX509Svid } = countersign

/** @type {import('./harness.mjs').Spire} */
let spire
const BILLING = 'spiffe://example.org/billing'

// A SPIRE of its own: an agent whose own authority is revoked cannot be started again.
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

/** @param {import('node:test').TestContext} t @param {Record<string, unknown>} [options] */
async function opened(t, options) {
  const source = await X509Source.open({ endpoint: spire.local.endpoint, ...options })
  t.after(() => source.close())
  return source
}

test('the authority itself is rotated: every SVID leads to the bundle it came with', {
  timeout: 120_000
}, async (t) => {
  const id = await spire.local.createEntry({ spiffeId: BILLING })
  const source = await opened(t)
  const look = watched(source)
  const first = source.svid().serialNumber
  const {
    active: { authority_id: old }
  } = await spire.local.serverJson(['localauthority', 'x509', 'show'])
  const {
    prepared_authority: { authority_id: next }
  } = await spire.local.serverJson(['localauthority', 'x509', 'prepare'])
  await until(() => source.bundle('example.org').size === 2, 'both authorities')
  assert.equal(source.svid().serialNumber, first, 'a new bundle, and the same SVID')
  await spire.local.serverJson(['localauthority', 'x509', 'activate', '-authorityID', next])
  await spire.local.updateEntry(id)
  await until(() => source.svid().serialNumber !== first, 'an SVID of the new authority')
  look.stop()
  // The old one is of no use to anybody any more.
  await spire.local.serverJson(['localauthority', 'x509', 'taint', '-authorityID', old])
  await spire.local.serverJson(['localauthority', 'x509', 'revoke', '-authorityID', old])
  await until(() => source.bundle('example.org').size === 1, 'only the new authority')
  assert.equal(verifyX509Svid(source.svid().certificates, source.context().bundles).spiffeId.uri, BILLING)
})
test('an authority is tainted in an emergency: whoever has a grace does not notice', {
  timeout: 120_000
}, async (t) => {
  await spire.local.createEntry({ spiffeId: BILLING })
  const source = await opened(t)
  const graceful = await opened(t, { withdrawGrace: 10_000 })
  const look = watched(graceful)
  const first = source.svid().serialNumber
  const {
    active: { authority_id: old }
  } = await spire.local.serverJson(['localauthority', 'x509', 'show'])
  const {
    prepared_authority: { authority_id: next }
  } = await spire.local.serverJson(['localauthority', 'x509', 'prepare'])
  await spire.local.serverJson(['localauthority', 'x509', 'activate', '-authorityID', next])
  await spire.local.serverJson(['localauthority', 'x509', 'taint', '-authorityID', old])
  // The agent throws the SVID away before it has another: for a few milliseconds it says that there is no identity, and
  // then so do we.
  await until(() => source.svid().serialNumber !== first, 'another one')
  await until(() => graceful.svid().serialNumber !== first, 'for everybody')
  look.stop()
  t.diagnostic(`withdrawn ${source.counters.withdrawals} times meanwhile`)
  await spire.local.serverJson(['localauthority', 'x509', 'revoke', '-authorityID', old])
  await until(() => source.bundle('example.org').size === 1, 'only the new authority')
})
