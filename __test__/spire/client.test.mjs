// The client against a real agent: every method, and what spire-agent itself and go-spiffe say to the same.
import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import { inspect } from 'node:util'
import { countersign } from '../support/spiffe-scene.mjs'
import { GoWorkload } from './go-workload.mjs'
import { startSpire } from './harness.mjs'
import { failure } from '../support/outcome.mjs'

const { JwtSvid, WorkloadApiClient, verifyJwtSvid, verifyX509Svid } = countersign

/** @type {import('./harness.mjs').Spire} */
let spire
/** @type {InstanceType<typeof WorkloadApiClient>} */
let client
/** @type {GoWorkload} */
let go
const BILLING = 'spiffe://example.org/billing'
const SHOP = 'spiffe://example.org/shop'

before(
  async () => {
    spire = await startSpire()
    client = new WorkloadApiClient({ endpoint: spire.local.endpoint })
    go = new GoWorkload(spire.directory, spire.local.endpoint)
  },
  { timeout: 120_000 }
)
beforeEach(async () => {
  await Promise.all([...spire.local.entries.keys()].map((id) => spire.local.deleteEntry(id)))
})
after(() => spire?.stop())

/** Two identities, in the order of the ids of their entries. */
const twoIdentities = () =>
  spire.local.createEntries([
    { spiffeId: BILLING, hint: 'internal', entryId: 'a', federatesWith: ['example-federated.org'] },
    { spiffeId: SHOP, hint: 'external', entryId: 'b' }
  ])

test('X.509: SVIDs, context and bundles, the same that spire-agent shows', async () => {
  await twoIdentities()
  const context = await client.fetchX509Context()
  assert.deepEqual(
    context.svids.map((svid) => [String(svid), svid.hint]),
    [
      [BILLING, 'internal'],
      [SHOP, 'external']
    ]
  )
  assert.equal(context.svid, context.svids[0])
  assert.deepEqual(context.bundles.trustDomains.map(String), ['example-federated.org', 'example.org'])
  assert.deepEqual([context.crls, context.ignored], [[], []])
  const { svids, federatedBundles } = await spire.local.ask.fetchX509()
  for (const [index, { spiffeId, hint, chain, privateKey, bundle }] of svids.entries()) {
    const ours = context.svids[index]
    assert.deepEqual([String(ours), ours.hint], [spiffeId, hint])
    assert.deepEqual(
      ours.certificates.map((one) => one.fingerprint256),
      chain.map((/** @type {any} */ one) => one.fingerprint256)
    )
    assert.equal(ours.serialNumber, chain[0].serialNumber.toLowerCase())
    assert.ok(ours.privateKey.equals(privateKey))
    assert.ok(createPublicKey(ours.privateKey).equals(chain[0].publicKey))
    assert.deepEqual([ours.notBefore, ours.expiresAt], [new Date(chain[0].validFrom), new Date(chain[0].validTo)])
    assert.ok(bundle.every((/** @type {any} */ one) => context.bundles.x509Bundle('example.org')?.has(one.raw)))
  }
  const federated = federatedBundles['spiffe://example-federated.org']
  assert.equal(context.bundles.x509Bundle('example-federated.org')?.size, federated.length)
  assert.ok(context.bundles.x509Bundle('example-federated.org')?.has(federated[0].raw))
  const bundles = await client.fetchX509Bundles()
  assert.ok(bundles.x509Bundle('example.org')?.equals(context.bundles.x509Bundle('example.org')))
  assert.ok(bundles.x509Bundle('example-federated.org')?.equals(context.bundles.x509Bundle('example-federated.org')))
  assert.deepEqual((await client.fetchX509Svids()).map(String), [BILLING, SHOP])
  for (const svid of context.svids) assert.equal(verifyX509Svid(svid.certificates, bundles).spiffeId.uri, String(svid))
})
test('one of several: by hint, by name, by path, by function; and never another one', async () => {
  await twoIdentities()
  assert.equal(String(await client.fetchX509Svid()), BILLING)
  for (const wish of [
    { hint: 'external' },
    { spiffeId: SHOP },
    { path: '/shop' },
    { pick: (/** @type {readonly any[]} */ svids) => svids.at(-1) }
  ]) {
    assert.equal(String(await client.fetchX509Svid(wish)), SHOP, inspect(wish))
  }
  const error = await failure(client.fetchX509Svid({ hint: 'else' }))
  assert.deepEqual(
    [error.code, error.offered],
    ['ERR_SVID_NOT_FOUND', [`${BILLING} (hint "internal")`, `${SHOP} (hint "external")`]]
  )
})
test('a workload whose entry does not federate knows its own trust domain only', async () => {
  await spire.local.createEntry({ spiffeId: SHOP })
  const { bundles } = await client.fetchX509Context()
  assert.deepEqual(bundles.trustDomains.map(String), ['example.org'])
  assert.deepEqual((await client.fetchJwtBundles()).trustDomains.map(String), ['example.org'])
})
test('tokens: for several audiences, of one identity, by hint, of all', async () => {
  await twoIdentities()
  const both = await client.fetchJwtSvids({ audience: ['shop', 'bank'] })
  assert.deepEqual(both.map((svid) => [String(svid), svid.hint]).sort(), [
    [BILLING, 'internal'],
    [SHOP, 'external']
  ])
  for (const svid of both) {
    assert.deepEqual(svid.audience, ['shop', 'bank'])
    assert.equal(svid.expiresAt.getTime() - Number(svid.issuedAt), 60_000)
    assert.deepEqual([svid.algorithm, svid.needsRotation()], ['ES256', false])
  }
  assert.equal(String(await client.fetchJwtSvid({ audience: 'shop', spiffeId: SHOP })), SHOP)
  assert.equal(String(await client.fetchJwtSvid({ audience: 'shop', hint: 'internal' })), BILLING)
  assert.equal(String(await client.fetchJwtSvid({ audience: 'shop', hint: 'external' })), SHOP)
  assert.equal((await failure(client.fetchJwtSvid({ audience: 'shop', hint: 'else' }))).code, 'ERR_SVID_NOT_FOUND')
  const stranger = await failure(client.fetchJwtSvid({ audience: 'shop', spiffeId: 'spiffe://example.org/other' }))
  assert.deepEqual([stranger.code, stranger.grpcMessage], ['ERR_NO_IDENTITY', 'no identity issued'])
})
test('bundles for tokens: ours verify what the agent signs, and refuse what it did not', async () => {
  await twoIdentities()
  const bundles = await client.fetchJwtBundles()
  assert.deepEqual(bundles.trustDomains.map(String), ['example-federated.org', 'example.org'])
  const { token } = await client.fetchJwtSvid({ audience: ['shop', 'bank'] })
  for (const audience of ['shop', 'bank']) assert.ok(verifyJwtSvid(token, bundles, { audience }))
  assert.throws(() => verifyJwtSvid(token, bundles, { audience: 'mint' }), { rule: 'audience_mismatch' })
  assert.throws(() => verifyJwtSvid(`${token.slice(0, -6)}AAAAAA`, bundles, { audience: 'shop' }), {
    rule: 'invalid_signature'
  })
  const { bundles: theirs } = await spire.local.ask.fetchJwt({ audience: 'shop' })
  for (const [id, { keys }] of Object.entries(theirs)) {
    const ours = JSON.parse(/** @type {any} */ (bundles.jwtBundle(id)).toJwks())
    assert.deepEqual(
      ours.keys.map((/** @type {any} */ key) => key.kid).sort(),
      keys.map((/** @type {any} */ key) => key.kid).sort()
    )
  }
})
test('verdicts of the agent: claims as they are, and every bad token is a bad token', async () => {
  await twoIdentities()
  const { token } = await client.fetchJwtSvid({ audience: ['shop', 'bank'], spiffeId: BILLING })
  const { spiffeId, claims } = await client.validateJwtSvid({ audience: 'bank', token })
  const { exp, iat } = JwtSvid.parseInsecure(token).claims
  assert.equal(spiffeId.uri, BILLING)
  assert.deepEqual(claims, { aud: ['shop', 'bank'], exp, iat, sub: BILLING })
  assert.ok(Number.isInteger(claims.exp) && Object.isFrozen(claims.aud))
  assert.deepEqual(claims, (await spire.local.ask.validateJwt({ audience: 'bank', token })).claims)
  const [head, body, signature] = token.split('.')
  for (const [bad, audience] of [
    [token, 'mint'],
    [`${head}.${body}.${signature.slice(0, -6)}AAAAAA`, 'bank'],
    ['no.token.x', 'bank'],
    ['', 'bank'],
    [`${head}.${body}`, 'bank'],
    ['x'.repeat(100_000), 'bank']
  ]) {
    const error = await failure(client.validateJwtSvid({ audience, token: bad }))
    assert.deepEqual(
      [error.code, error.rule ?? error.grpcMessage],
      ['ERR_INVALID_TOKEN', 'refused_by_workload_api'],
      bad.slice(0, 20)
    )
    assert.ok(!inspect(error, { depth: 9 }).includes(signature), 'the token is in no error')
  }
})
test('WIT-SVIDs: there are none, and that is an answer', async () => {
  await twoIdentities()
  for (const error of await Promise.all(
    [client.fetchWitSvids(), client.fetchWitSvids({ spiffeId: BILLING }), client.fetchWitBundles()].map(failure)
  )) {
    assert.deepEqual([error.code, error.grpcCode], ['ERR_WORKLOAD_API', 'UNIMPLEMENTED'])
  }
})
test('without an identity every method says so, but for the verdict', async () => {
  await twoIdentities()
  const { token } = await client.fetchJwtSvid({ audience: 'shop', spiffeId: BILLING })
  await Promise.all([...spire.local.entries.keys()].map((id) => spire.local.deleteEntry(id)))
  const calls = [
    client.fetchX509Context(),
    client.fetchX509Svid(),
    client.fetchX509Svids(),
    client.fetchX509Bundles(),
    client.fetchJwtBundles(),
    client.fetchJwtSvid({ audience: 'shop' }),
    client.fetchJwtSvids({ audience: 'shop' })
  ]
  for (const error of await Promise.all(calls.map(failure))) {
    assert.deepEqual(
      [error.code, error.grpcCode, error.grpcMessage],
      ['ERR_NO_IDENTITY', 'PERMISSION_DENIED', 'no identity issued']
    )
  }
  for (const watch of [
    client.watchX509Context({ ref: true }),
    client.watchX509Bundles({ ref: true }),
    client.watchJwtBundles({ ref: true })
  ]) {
    assert.equal((await failure(watch.next())).code, 'ERR_NO_IDENTITY')
  }
  assert.equal((await client.validateJwtSvid({ audience: 'shop', token })).spiffeId.uri, BILLING)
})
test('each accepts the tokens that the other was given: spire-agent, go-spiffe, and ours', async () => {
  await twoIdentities()
  const wish = { audience: ['shop', 'bank'], spiffeId: BILLING }
  const tokens = {
    ours: (await client.fetchJwtSvid(wish)).token,
    spire: (await spire.local.ask.fetchJwt(wish)).svids[0].token,
    go: (await go.jwt(wish))[0].token
  }
  const bundles = await client.fetchJwtBundles()
  for (const [whose, token] of Object.entries(tokens)) {
    const audience = 'bank'
    assert.equal((await client.validateJwtSvid({ audience, token })).spiffeId.uri, BILLING, whose)
    assert.equal(verifyJwtSvid(token, bundles, { audience }).spiffeId.uri, BILLING, whose)
    assert.equal((await spire.local.ask.validateJwt({ audience, token })).spiffeId, BILLING, whose)
    assert.equal((await go.validate({ audience, token })).id, BILLING, whose)
    assert.equal((await go.validate({ audience, token, local: true })).id, BILLING, whose)
  }
  const seen = await go.x509()
  const ours = await client.fetchX509Svids()
  assert.deepEqual(
    ours.map((svid) => ({ id: String(svid), hint: svid.hint, serial: svid.serialNumber.replace(/^0/, '') })),
    seen.svids.map((/** @type {any} */ { id, hint, serial }) => ({ id, hint, serial }))
  )
})
test('a token of the other trust domain is judged by its own bundle', async () => {
  await twoIdentities()
  await spire.foreign.createEntry({ spiffeId: 'spiffe://example-federated.org/partner' })
  const foreign = new WorkloadApiClient({ endpoint: spire.foreign.endpoint })
  const { token } = await foreign.fetchJwtSvid({ audience: BILLING })
  assert.equal(
    (await client.validateJwtSvid({ audience: BILLING, token })).spiffeId.uri,
    'spiffe://example-federated.org/partner'
  )
  const bundles = await client.fetchJwtBundles()
  assert.equal(
    verifyJwtSvid(token, bundles, { audience: BILLING }).spiffeId.uri,
    'spiffe://example-federated.org/partner'
  )
  const partner = await foreign.fetchX509Svid()
  const { bundles: authorities } = await client.fetchX509Context()
  assert.equal(verifyX509Svid(partner.certificates, authorities).spiffeId.uri, 'spiffe://example-federated.org/partner')
  // Whoever does not know the other trust domain refuses both: here, the partner itself, whose entry does not federate.
  const [svid, { token: ours }] = [await client.fetchX509Svid(), await client.fetchJwtSvid({ audience: 'partner' })]
  const [theirAuthorities, theirBundles] = [await foreign.fetchX509Bundles(), await foreign.fetchJwtBundles()]
  assert.throws(() => verifyX509Svid(svid.certificates, theirAuthorities), { rule: 'no_bundle' })
  assert.throws(() => verifyJwtSvid(ours, theirBundles, { audience: 'partner' }), { rule: 'no_bundle' })
})
test('a thousand identities come in one message', { timeout: 120_000 }, async (t) => {
  await spire.local.createEntries(
    Array.from({ length: 1000 }, (_, index) => ({ spiffeId: `spiffe://example.org/many/${index}`, hint: `h${index}` }))
  )
  const start = performance.now()
  const svids = await client.fetchX509Svids()
  t.diagnostic(`${Math.round(performance.now() - start)} ms`)
  assert.equal(svids.length, 1000)
  assert.equal(String(await client.fetchX509Svid({ hint: 'h777' })), 'spiffe://example.org/many/777')
})
