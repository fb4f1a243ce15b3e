// The commands against real SPIRE, beside what spire-agent's own command line says at the same socket.
import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { run, watch } from '../support/command-line.mjs'
import { startSpire } from './harness.mjs'
import { run as plain } from '../support/program.mjs'

/** @type {import('./harness.mjs').Spire} */
let spire
/** @type {Record<string, string>} */
let env
let count = 0
const BILLING = 'spiffe://example.org/billing'
const SHOP = 'spiffe://example.org/shop'
const FOREIGN = 'example-federated.org'

before(
  async () => {
    spire = await startSpire()
    env = { SPIFFE_ENDPOINT_SOCKET: spire.local.endpoint }
  },
  { timeout: 120_000 }
)
beforeEach(async () => {
  await Promise.all([...spire.local.entries.keys()].map((id) => spire.local.deleteEntry(id)))
})
after(() => spire?.stop())

const newDirectory = () => fs.mkdtempSync(path.join(spire.directory, `files-${++count}-`))
/** @param {string[]} args @param {string} [input] */
const json = async (args, input) => {
  const { status, stdout, stderr } = await run([...args, '--json'], { env, input })
  assert.equal(status, 0, stdout + stderr)
  return JSON.parse(stdout)
}
const both = () =>
  spire.local.createEntries([
    { spiffeId: BILLING, hint: 'internal', entryId: 'a', federatesWith: [FOREIGN] },
    { spiffeId: SHOP, hint: 'external', entryId: 'b' }
  ])
/** Files and their content; links are followed. @param {string} directory @returns {Record<string, string>} */
const content = (directory) =>
  Object.fromEntries(
    fs
      .readdirSync(directory)
      .filter((name) => !name.startsWith('.'))
      .sort()
      .map((name) => [name, fs.readFileSync(path.join(directory, name), 'utf8')])
  )
/** @param {string} pem */
const serial = (pem) => new X509Certificate(pem).serialNumber

test('x509 fetch: what spire-agent fetches, in the same files', async () => {
  await both()
  const [ours, theirs] = [newDirectory(), newDirectory()]
  const { svids, trustDomains } = await json(['x509', 'fetch', '--write', ours])
  const { code, stderr } = await plain(path.join(spire.directory, 'bin', 'spire-agent'), [
    'api',
    'fetch',
    'x509',
    '-socketPath',
    spire.local.socketPath,
    '-write',
    theirs
  ])
  assert.equal(code, 0, stderr)
  assert.deepEqual(
    svids.map((/** @type {any} */ svid) => [svid.spiffeId, svid.hint]),
    [
      [BILLING, 'internal'],
      [SHOP, 'external']
    ]
  )
  assert.deepEqual(trustDomains, [FOREIGN, 'example.org'])
  const squeezed = (/** @type {Record<string, string>} */ files) =>
    Object.fromEntries(Object.entries(files).map(([name, text]) => [name, text.trim()]))
  assert.deepEqual(squeezed(content(ours)), squeezed(content(theirs)))
  assert.equal(Object.keys(content(ours)).length, 8)
  for (const name of Object.keys(content(ours)))
    assert.equal(
      fs.statSync(path.join(ours, name)).mode & 0o777,
      fs.statSync(path.join(theirs, name)).mode & 0o777,
      name
    )
  const { svids: seen } = await spire.local.ask.fetchX509()
  assert.deepEqual(
    svids.map((/** @type {any} */ svid) => BigInt(`0x${svid.serialNumber}`)),
    seen.map((/** @type {any} */ { chain: [leaf] }) => BigInt(`0x${leaf.serialNumber}`))
  )
})

test('x509 watch: files follow the identity through rotations, a withdrawal and the death of the agent', async () => {
  const [id] = await spire.local.createEntries([{ spiffeId: BILLING, entryId: 'a' }])
  const directory = newDirectory()
  const watching = watch(['x509', 'watch', '--json', '--write', directory], { env })
  const events = () =>
    watching.said.stdout
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  const updates = () => events().filter(({ event }) => event === 'update')
  await watching.until(() => updates().length === 1, 'the first one')
  const seen = new Set([serial(content(directory)['svid.0.pem'])])
  for (let round = 2; round <= 4; round++) {
    await spire.local.updateEntry(id)
    await watching.until(() => updates().length >= round, 'a rotation')
    const { 'svid.0.pem': chain, 'svid.0.key': key } = content(path.join(directory, '..svids'))
    assert.ok(new X509Certificate(chain).checkPrivateKey(createPrivateKey(key)))
    seen.add(serial(chain))
  }
  assert.equal(seen.size, 4)
  await spire.local.killAgent('SIGKILL')
  await watching.until(() => events().at(-1).event === 'error', 'the agent is gone')
  assert.ok(seen.has(serial(content(directory)['svid.0.pem'])), 'what was told stays')
  await spire.local.restartAgent()
  const before = updates().length
  await watching.until(() => updates().length > before, 'the agent is back')
  await spire.local.deleteEntry(id)
  await watching.until(() => events().at(-1).event === 'withdraw', 'the withdrawal')
  assert.deepEqual(fs.readdirSync(directory), [])
  await spire.local.createEntry({ spiffeId: SHOP })
  await watching.until(() => events().at(-1).svids?.[0].spiffeId === SHOP, 'another identity')
  assert.equal(new X509Certificate(content(directory)['svid.0.pem']).subjectAltName, `URI:${SHOP}`)
  assert.deepEqual(await watching.end('SIGINT'), { status: 130, signal: null })
})

test('jwt: our tokens are good by spire-agent, its tokens by us', async () => {
  await both()
  const raw = await run(['jwt', 'fetch', '--audience', 'shop', '--audience', 'bank', '--hint', 'external', '--raw'], {
    env
  })
  assert.equal(raw.status, 0, raw.stderr)
  const ours = raw.stdout.trim()
  const { spiffeId, claims } = await spire.local.ask.validateJwt({ audience: 'bank', token: ours })
  assert.deepEqual([spiffeId, claims.aud], [SHOP, ['shop', 'bank']])
  const { svids } = await spire.local.ask.fetchJwt({ audience: 'mint', spiffeId: BILLING })
  for (const more of [[], ['--offline']]) {
    const judged = await json(['jwt', 'validate', '--audience', 'mint', ...more], svids[0].token)
    assert.deepEqual([judged.spiffeId, judged.claims.sub, judged.claims.aud], [BILLING, BILLING, ['mint']])
    const refused = await run(['jwt', 'validate', '--audience', 'shop', ...more], { env, input: svids[0].token })
    assert.equal(refused.status, 4)
    assert.doesNotMatch(refused.stdout + refused.stderr, /eyJ/)
  }
  const ambiguous = await run(['jwt', 'fetch', '--audience', 'shop', '--raw'], { env })
  assert.deepEqual([ambiguous.status, ambiguous.stdout], [2, ''])
})

test('bundles: those of spire-agent', async () => {
  await both()
  const { federatedBundles, svids } = await spire.local.ask.fetchX509()
  const { bundles } = await json(['bundles'])
  assert.deepEqual(
    bundles.map((/** @type {any} */ { trustDomain, authorities }) => [
      trustDomain,
      authorities.map((/** @type {any} */ { sha256 }) => sha256)
    ]),
    [
      [FOREIGN, federatedBundles[`spiffe://${FOREIGN}`].map(({ fingerprint256 }) => fingerprint256)],
      ['example.org', svids[0].bundle.map((/** @type {any} */ { fingerprint256 }) => fingerprint256)]
    ]
  )
  const { bundles: jwks } = await spire.local.ask.fetchJwt({ audience: 'shop' })
  for (const name of ['example.org', FOREIGN]) {
    const { stdout } = await run(['bundles', name, '--jwks'], { env })
    assert.deepEqual(JSON.parse(stdout), jwks[`spiffe://${name}`])
  }
})

test('nobody is registered: exit code 4; no agent: 3', async () => {
  for (const args of [['x509', 'fetch'], ['jwt', 'fetch', '--audience', 'shop'], ['bundles']]) {
    const { status, stderr } = await run(args, { env })
    assert.equal(status, 4)
    assert.match(stderr, /PERMISSION_DENIED: no identity issued \[ERR_NO_IDENTITY\]/)
  }
  const { status } = await run(['bundles'], { env: { SPIFFE_ENDPOINT_SOCKET: `unix:${spire.directory}/none.sock` } })
  assert.equal(status, 3)
})
