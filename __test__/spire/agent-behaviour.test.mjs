// What a real agent does that a client has to be ready for, message by message; docs/testing-against-spire.md tells it
// in words. A newer SPIRE that behaves otherwise shows here.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { GoWorkload } from './go-workload.mjs'
import { root, startSpire } from './harness.mjs'
import { setTimeout as pause } from 'node:timers/promises'

/** @type {import('./harness.mjs').Spire} */
let spire
/** @type {GoWorkload} */
let workload
const SOMEBODY = root ? 1001 : /** @type {number} */ (process.getuid?.())
const as = root ? { uid: SOMEBODY } : {}
const selectors = [`unix:uid:${SOMEBODY}`]
const STREAMS = ['FetchX509SVID', 'FetchX509Bundles', 'FetchJWTBundles']
const MINE = { spiffeId: 'spiffe://example.org/mine', selectors }
/** Twice the time that a change takes to reach the agent. */
const SETTLED = 1000

before(
  async () => {
    spire = await startSpire()
    workload = new GoWorkload(spire.directory, spire.local.endpoint)
  },
  { timeout: 120_000 }
)
beforeEach(async () => {
  await Promise.all([...spire.local.entries.keys()].map((id) => spire.local.deleteEntry(id)))
})
after(() => spire?.stop())

/** The streams, each with its first message. */
async function streams() {
  const open = STREAMS.map((call) => workload.start('raw', ['-call', call], as))
  await Promise.all(open.map((stream) => stream.says('a message', ({ bytes }) => bytes > 0)))
  return open
}

/** @param {import('../support/program.mjs').Program} stream */
const ended = async (stream) => {
  const { code, text } = await stream.says('the end', ({ code }) => code !== undefined)
  return `${code}: ${text}`
}

test('X.509 is sent again when nothing is new in it, bundles only when something is', async () => {
  await spire.local.createEntry({ ...MINE, hint: 'one', entryId: 'a' })
  const [svids, ...bundles] = await streams()
  // Its hint is taken: the agent keeps the older entry (in the same second: the one whose id comes first), and tells
  // what it told before.
  await spire.local.createEntry({ ...MINE, spiffeId: 'spiffe://example.org/late', hint: 'one', entryId: 'b' })
  await pause(SETTLED)
  assert.ok(svids.lines.length > 1)
  for (const { message } of svids.lines)
    assert.deepEqual(
      message.svids.map((/** @type {any} */ svid) => svid.spiffe_id),
      [MINE.spiffeId]
    )
  assert.deepEqual(
    bundles.map(({ lines }) => lines.length),
    [1, 1]
  )
})
test('entries that are renewed together come in a message each', async () => {
  const ids = await spire.local.createEntries([
    { ...MINE, spiffeId: 'spiffe://example.org/a' },
    { ...MINE, spiffeId: 'spiffe://example.org/b' }
  ])
  const [svids] = await streams()
  await Promise.all(ids.map((id) => spire.local.updateEntry(id)))
  await pause(SETTLED)
  assert.ok(svids.lines.length >= 3, `${svids.lines.length} messages`)
})
test('the last entry goes: every stream ends at once, with PermissionDenied', async () => {
  const id = await spire.local.createEntry(MINE)
  const open = await streams()
  await spire.local.deleteEntry(id)
  assert.deepEqual(
    await Promise.all(open.map(ended)),
    STREAMS.map(() => 'PermissionDenied: no identity issued')
  )
})
test('the agent goes, by either signal: every stream ends with the connection', async () => {
  await spire.local.createEntry(MINE)
  for (const signal of /** @type {const} */ (['SIGKILL', 'SIGTERM'])) {
    const open = await streams()
    await spire.local.killAgent(signal)
    for (const end of await Promise.all(open.map(ended)))
      assert.match(end, /^Unavailable: error reading from server: (EOF|.*reset)/)
    await spire.local.restartAgent()
  }
})
test('the order of the audiences makes no other token', async () => {
  await spire.local.createEntry(MINE)
  const [[first], [second]] = [
    await workload.jwt({ audience: ['b', 'a'], ...as }),
    await workload.jwt({ audience: ['a', 'b'], ...as })
  ]
  assert.equal(first.token, second.token)
  assert.deepEqual(second.audience, ['b', 'a'])
})
test('cut off from its server, the agent hands out SVIDs that have expired, but no such tokens', async () => {
  await spire.local.createEntry({ ...MINE, x509SvidTtl: 15, jwtSvidTtl: 6 })
  const {
    svids: [
      {
        chain: [leaf]
      }
    ]
  } = await spire.local.ask.fetchX509(as)
  await workload.jwt({ audience: 'shop', ...as })
  await spire.local.stopServer()
  assert.ok(Date.parse(leaf.validTo) - Date.now() < 16_000)
  await pause(16_500)
  const {
    svids: [
      {
        chain: [late]
      }
    ]
  } = await spire.local.ask.fetchX509(as)
  assert.ok(Date.parse(late.validTo) < Date.now())
  await assert.rejects(
    workload.jwt({ audience: 'shop', ...as }),
    /code = Unavailable desc = could not fetch JWT-SVID: unable to renew JWT/
  )
  await spire.local.startServer()
})
