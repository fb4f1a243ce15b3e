// The ground the other tests of this directory stand on: SPIRE as it is, seen through its own command line. When these
// fail, it is not countersign that broke.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { root, startSpire } from './harness.mjs'
import { setTimeout as pause } from 'node:timers/promises'

/** @type {import('./harness.mjs').Spire} */
let spire
/** Two users; only root can be somebody else. */
const SOMEBODY = root ? 1001 : /** @type {number} */ (process.getuid?.())
const STRANGER = 1002
const NO_IDENTITY = /code = PermissionDenied desc = no identity issued/
const BILLING = 'spiffe://example.org/billing'
const FEDERATED = 'spiffe://example-federated.org'
const as = root ? { uid: SOMEBODY } : {}
const selectors = [`unix:uid:${SOMEBODY}`]

before(
  async () => {
    spire = await startSpire()
  },
  { timeout: 120_000 }
)
after(() => spire?.stop())

/**
 * An entry for the time of one test, and what was measured in it.
 * @param {import('node:test').TestContext} t
 * @param {Partial<import('./trust-domain.mjs').Wanted>} [wanted]
 */
async function registered(t, wanted = {}) {
  const id = await spire.local.createEntry({ spiffeId: BILLING, selectors, ...wanted })
  t.after(async () => {
    if (!t.passed) t.diagnostic(spire.describe())
    if (spire.local.entries.has(id)) await spire.local.deleteEntry(id)
  })
  return id
}

/** @param {import('node:test').TestContext} t @param {string} what @param {() => Promise<any>} work */
async function timed(t, what, work) {
  const start = performance.now()
  const result = await work()
  t.diagnostic(`${what}: ${Math.round(performance.now() - start)} ms`)
  return result
}

test('a workload is told who it is by its user', async (t) => {
  await timed(t, 'entry created and at the agent', () =>
    registered(t, { dnsNames: ['billing.example.org'], x509SvidTtl: 120 })
  )
  const {
    svids: [svid],
    federatedBundles
  } = await timed(t, 'fetched by spire-agent', () => spire.local.ask.fetchX509(as))
  const [leaf] = svid.chain
  assert.equal(svid.spiffeId, BILLING)
  assert.equal(leaf.subjectAltName, `DNS:billing.example.org, URI:${BILLING}`)
  assert.ok(leaf.checkPrivateKey(svid.privateKey))
  assert.ok(leaf.verify(svid.bundle[0].publicKey))
  assert.equal(Date.parse(leaf.validTo) - Date.parse(leaf.validFrom), 130_000)
  assert.deepEqual(federatedBundles, {})
})
test('a workload of another user is refused', { skip: !root && 'SKIPPED: another user: needs root' }, async (t) => {
  await registered(t)
  for (const ask of [
    () => spire.local.ask.fetchX509({ uid: STRANGER }),
    () => spire.local.ask.fetchJwt({ audience: 'shop', uid: STRANGER })
  ]) {
    await assert.rejects(ask, NO_IDENTITY)
  }
  // The socket itself is open to everybody: it is the agent that refuses.
  assert.equal(statSync(spire.local.socketPath).mode & 0o777, 0o777)
})
test('two entries are two SVIDs in the order of the ids of the entries, each with its hint', async (t) => {
  await registered(t, { spiffeId: 'spiffe://example.org/second', hint: 'external', entryId: 'b' })
  await registered(t, { spiffeId: 'spiffe://example.org/first', hint: 'internal', entryId: 'a' })
  const { svids } = await spire.local.ask.fetchX509(as)
  assert.deepEqual(
    svids.map((/** @type {any} */ { spiffeId, hint }) => [spiffeId, hint]),
    [
      ['spiffe://example.org/first', 'internal'],
      ['spiffe://example.org/second', 'external']
    ]
  )
  const { svids: tokens } = await spire.local.ask.fetchJwt({ audience: 'shop', ...as })
  assert.deepEqual(tokens.map((/** @type {any} */ { hint }) => hint).sort(), ['external', 'internal'])
})
test('tokens are valid for their audience, and for no other', async (t) => {
  await registered(t)
  const {
    svids: [{ token }],
    bundles
  } = await spire.local.ask.fetchJwt({ audience: ['shop', 'bank'], ...as })
  assert.deepEqual(Object.keys(bundles), ['spiffe://example.org'])
  const { spiffeId, claims } = await spire.local.ask.validateJwt({ audience: 'bank', token, ...as })
  assert.equal(spiffeId, BILLING)
  assert.deepEqual(claims.aud, ['shop', 'bank'])
  assert.equal(claims.exp - claims.iat, 60)
  await assert.rejects(
    spire.local.ask.validateJwt({ audience: 'mint', token, ...as }),
    /SVID is not valid: expected audience in \["mint"\]/
  )
})
test('the bundle of the federated trust domain is there, goes and comes back', async (t) => {
  await registered(t, { federatesWith: ['example-federated.org'] })
  const first = await spire.local.ask.fetchX509(as)
  assert.deepEqual(Object.keys(first.federatedBundles), [FEDERATED])
  await timed(t, 'federation removed', () => spire.removeFederation())
  assert.deepEqual((await spire.local.ask.fetchX509(as)).federatedBundles, {})
  await timed(t, 'federation added', () => spire.addFederation())
  const { federatedBundles } = await spire.local.ask.fetchX509(as)
  assert.equal(federatedBundles[FEDERATED][0].fingerprint256, first.federatedBundles[FEDERATED][0].fingerprint256)
})
test('a renewal at will', async (t) => {
  const id = await registered(t)
  const serial = async () => (await spire.local.ask.fetchX509(as)).svids[0].chain[0].serialNumber
  const seen = new Set([await serial()])
  for (let round = 1; round <= 3; round++) {
    await timed(t, 'entry updated and the new SVID at the agent', () =>
      spire.local.updateEntry(id, { dnsNames: [`round-${round}.example.org`] })
    )
    seen.add(await serial())
  }
  assert.equal(seen.size, 4)
})
test('a renewal by itself: an SVID of 20 s lives to the next one', async (t) => {
  const id = await registered(t, { x509SvidTtl: 20 })
  const { length } = spire.local.agent.lines
  const {
    svids: [
      {
        chain: [before]
      }
    ]
  } = await spire.local.ask.fetchX509(as)
  await timed(t, 'until the agent renewed', () =>
    spire.local.agent.says('a renewal', ({ msg, entry }) => msg === 'SVID updated' && entry === id, { since: length })
  )
  const {
    svids: [
      {
        chain: [next]
      }
    ]
  } = await spire.local.ask.fetchX509(as)
  assert.notEqual(next.serialNumber, before.serialNumber)
  assert.ok(Date.now() < Date.parse(before.validTo))
})
test('a deleted entry takes its identity with it, and a new one brings it back', async (t) => {
  const id = await registered(t)
  await timed(t, 'entry deleted and the agent knows', () => spire.local.deleteEntry(id))
  await assert.rejects(spire.local.ask.fetchX509(as), NO_IDENTITY)
  await registered(t)
  assert.equal((await spire.local.ask.fetchX509(as)).svids.length, 1)
})
test('an agent that is killed leaves its socket, and one that is started again has a new one', async (t) => {
  await registered(t)
  const { birthtimeNs } = statSync(spire.local.socketPath, { bigint: true })
  await spire.local.killAgent('SIGKILL')
  assert.ok(existsSync(spire.local.socketPath))
  await assert.rejects(spire.local.ask.fetchX509({ ...as, timeout: 1000 }), /connection refused/)
  await timed(t, 'agent started again', () => spire.local.restartAgent())
  assert.equal((await spire.local.ask.fetchX509(as)).svids[0].spiffeId, BILLING)
  // Not the inode's number: a file system may well give the same one again.
  assert.notEqual(statSync(spire.local.socketPath, { bigint: true }).birthtimeNs, birthtimeNs)
})
test('with its server down an agent serves what it has, and nothing new', async (t) => {
  await registered(t)
  const {
    svids: [{ token }]
  } = await spire.local.ask.fetchJwt({ audience: 'shop', ...as })
  const {
    svids: [
      {
        chain: [{ serialNumber }]
      }
    ]
  } = await spire.local.ask.fetchX509(as)
  await timed(t, 'server stopped', () => spire.local.stopServer())
  assert.equal((await spire.local.ask.fetchX509(as)).svids[0].chain[0].serialNumber, serialNumber)
  assert.equal((await spire.local.ask.fetchJwt({ audience: 'shop', ...as })).svids[0].token, token)
  await timed(t, 'a token that would have to be made', () =>
    assert.rejects(spire.local.ask.fetchJwt({ audience: 'unheard-of', ...as }), /code = (Unavailable|DeadlineExceeded)/)
  )
  const { length } = spire.local.agent.lines
  await timed(t, 'server started', () => spire.local.startServer())
  await registered(t, { spiffeId: 'spiffe://example.org/new', entryId: 'after-the-outage' })
  assert.ok(spire.local.agent.lines.slice(length).some(({ msg }) => msg === 'SVID updated'))
})
test('nothing is left over: not of a harness that was stopped, nor of one whose process was killed', async () => {
  for (const end of ['stop', 'SIGINT', 'SIGKILL', 'crash']) {
    const { pids, directory } = await strange(end)
    assert.equal(pids.length, 2)
    const gone = () => !existsSync(directory) && !pids.some(alive)
    for (const limit = Date.now() + 10_000; !gone() && Date.now() < limit; ) await pause(20)
    assert.ok(gone(), `${end}: ${directory} or one of ${pids} is left over`)
  }
})

/**
 * A harness in a process of its own that ends in the given way.
 * @param {string} end
 * @returns {Promise<{ pids: number[], directory: string }>}
 */
function strange(end) {
  const script = `
    import { startSpire } from ${JSON.stringify(fileURLToPath(new URL('harness.mjs', import.meta.url)))}
    const spire = await startSpire({ federation: false })
    console.log(JSON.stringify({ pids: [spire.local.server.pid, spire.local.agent.pid], directory: spire.directory }))
    if (process.argv[1] === 'stop') await spire.stop()
    else if (process.argv[1] === 'crash') setImmediate(() => { throw new Error('on purpose') })
    else process.kill(process.pid, process.argv[1])`
  const { NODE_TEST_CONTEXT, ...env } = process.env
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script, end], {
    env,
    stdio: ['ignore', 'pipe', end === 'crash' ? 'ignore' : 'inherit']
  })
  let out = ''
  child.stdout.on('data', (chunk) => {
    out += chunk
  })
  return new Promise((resolve, reject) =>
    child.on('close', () => {
      try {
        resolve(JSON.parse(out))
      } catch (error) {
        reject(error)
      }
    })
  )
}

/** @param {number} pid */
function alive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
