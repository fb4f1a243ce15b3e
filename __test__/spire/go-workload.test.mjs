// The peers on go-spiffe that we are tested against, against real SPIRE: what they say must be true before we are
// measured by it.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { GoWorkload } from './go-workload.mjs'
import { root, startSpire } from './harness.mjs'
import { setTimeout as pause } from 'node:timers/promises'

/** @type {import('./harness.mjs').Spire} */
let spire
/** @type {GoWorkload} */
let local
/** @type {GoWorkload} */
let foreign
const SOMEBODY = root ? 1001 : /** @type {number} */ (process.getuid?.())
const as = root ? { uid: SOMEBODY } : {}
const STRANGER = { uid: 1002 }
const BILLING = 'spiffe://example.org/billing'
const SHOP = 'spiffe://example-federated.org/shop'
const selectors = [`unix:uid:${SOMEBODY}`]
let entry = ''

before(
  async () => {
    spire = await startSpire()
    entry = await spire.local.createEntry({
      spiffeId: BILLING,
      selectors,
      hint: 'internal',
      federatesWith: ['example-federated.org']
    })
    await spire.foreign.createEntry({ spiffeId: SHOP, selectors, federatesWith: ['example.org'] })
    local = new GoWorkload(spire.directory, spire.local.endpoint)
    foreign = new GoWorkload(spire.directory, spire.foreign.endpoint)
  },
  { timeout: 120_000 }
)
after(() => spire?.stop())

test('x509: what go-spiffe sees is what spire-agent shows', async () => {
  const seen = await local.x509(as)
  const {
    svids: [
      {
        chain: [leaf],
        hint
      }
    ],
    federatedBundles
  } = await spire.local.ask.fetchX509(as)
  assert.deepEqual(
    seen.svids.map((/** @type {any} */ { id, hint, serial }) => ({ id, hint, serial })),
    [{ id: BILLING, hint, serial: leaf.serialNumber.toLowerCase().replace(/^0+/, '') }]
  )
  assert.deepEqual(Object.keys(seen.bundles).sort(), [...Object.keys(federatedBundles), 'spiffe://example.org'].sort())
})
test('x509 -watch: every update as it comes, and the end of the identity', async () => {
  const watcher = local.start('x509', ['-watch', '0'], as)
  const serials = new Set()
  for (let round = 0; round < 3; round++) {
    const {
      svids: [{ serial }]
    } = await watcher.says(`update ${round}`, ({ svids }) => svids && !serials.has(svids[0].serial))
    serials.add(serial)
    await spire.local.updateEntry(entry)
  }
  const { length } = watcher.lines
  await spire.local.deleteEntry(entry)
  await watcher.says('the end', ({ error }) => /no identity issued/.test(error), { since: length })
  entry = await spire.local.createEntry({
    spiffeId: BILLING,
    selectors,
    hint: 'internal',
    federatesWith: ['example-federated.org']
  })
  const { svids } = await watcher.says('the identity again', (line) => line.svids !== undefined, { since: length })
  assert.equal(svids[0].id, BILLING)
  await watcher.kill()
})
test('jwt and validate: by the agent and with its bundles, of this trust domain and of the other', async () => {
  const [{ id, audience, token, hint }] = await local.jwt({ audience: ['shop', 'bank'], spiffeId: BILLING, ...as })
  assert.deepEqual({ id, audience, hint }, { id: BILLING, audience: ['shop', 'bank'], hint: 'internal' })
  for (const judge of [local, foreign]) {
    assert.equal((await judge.validate({ audience: 'shop', token, ...as })).id, BILLING)
    assert.equal((await judge.validate({ audience: 'shop', token, local: true, ...as })).id, BILLING)
    await assert.rejects(
      judge.validate({ audience: 'mint', token, ...as }),
      /code = InvalidArgument desc = expected audience in \["mint"\]/
    )
  }
  await assert.rejects(
    local.jwt({ audience: 'shop', spiffeId: 'spiffe://example.org/other', ...as }),
    /code = PermissionDenied desc = no identity issued/
  )
})
test('raw: the status of a call that is not in order', async () => {
  const status = async (/** @type {string[]} */ ...args) => {
    const { code, text } = (await local.run('raw', args, as)).at(-1)
    return `${code}: ${text}`
  }
  assert.equal(
    await status('-call', 'FetchX509SVID', '-header', 'none'),
    'InvalidArgument: security header missing from request'
  )
  assert.equal(
    await status('-call', 'FetchX509SVID', '-header', 'true', '-header', 'true'),
    'InvalidArgument: security header missing from request'
  )
  assert.equal(await status('-call', 'FetchJWTSVID', '-audience', ''), 'InvalidArgument: audience must be specified')
  assert.equal(await status('-call', 'FetchWITSVID'), 'Unimplemented: fetching WIT-SVIDs is not implemented')
  assert.equal(await status('-call', 'FetchJWTSVID'), 'OK: ')
})
test('mutual TLS between the trust domains, both ways', async () => {
  for (const [serving, calling, server, client] of /** @type {const} */ ([
    [local, foreign, BILLING, SHOP],
    [foreign, local, SHOP, BILLING]
  ])) {
    const { program, address } = await serving.tlsServer(client, as)
    const answer = await calling.tlsClient(address, {
      authorize: new URL('/', server).href.replace(/\/$/, ''),
      line: 'good day',
      ...as
    })
    assert.deepEqual(
      { peer: answer.peer, line: answer.line, protocol: answer.protocol },
      { peer: server, line: 'good day', protocol: 'TLS 1.3' }
    )
    assert.equal((await program.says('the line', ({ line }) => line !== undefined)).peer, client)
    await program.says('the end', ({ closed }) => closed === client)
    await program.kill()
  }
})
test('mutual TLS refused: by the client, by the server, for want of a bundle', async () => {
  const { program, address } = await local.tlsServer('spiffe://example.org/somebody-else', as)
  assert.match(
    (await foreign.tlsClient(address, { authorize: 'spiffe://example.org/other', ...as })).error,
    /unexpected ID "spiffe:\/\/example\.org\/billing"/
  )
  assert.match((await foreign.tlsClient(address, { authorize: 'any', ...as })).error, /bad certificate/)
  await program.says('why', ({ error }) => /unexpected ID "spiffe:\/\/example-federated\.org\/shop"/.test(error))
  await spire.removeFederation()
  // The server's own agent has told it by now; go-spiffe may need a moment to hear.
  for (let tries = 0; ; tries++) {
    const { error } = await foreign.tlsClient(address, { authorize: 'any', ...as })
    if (/no X\.509 bundle (found )?for trust domain:? "example\.org"/.test(error)) break
    assert.ok(tries < 50, error)
    await pause(100)
  }
  await spire.addFederation()
  await program.kill()
})
test('a stranger gets nothing at all', { skip: !root && 'SKIPPED: another user: needs root' }, async () => {
  await assert.rejects(local.x509(STRANGER), /code = PermissionDenied desc = no identity issued/)
  await assert.rejects(local.jwt({ audience: 'shop', ...STRANGER }), /code = PermissionDenied/)
  // Judging a token of the agent's own trust domain takes no identity; seeing its bundle does.
  const [{ token }] = await local.jwt({ audience: 'shop', ...as })
  assert.equal((await local.validate({ audience: 'shop', token, ...STRANGER })).id, BILLING)
  await assert.rejects(
    local.validate({ audience: 'shop', token, local: true, timeout: 2000, ...STRANGER }),
    /deadline exceeded/
  )
})
