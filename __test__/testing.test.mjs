// The testing kit, as somebody uses it who tests a service: and what our own clients do when the agent misbehaves.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  BundleSet,
  getIdentity,
  JwtSource,
  verifyJwtSvid,
  verifyX509Svid,
  WorkloadApiClient,
  X509Source
} from 'countersign'
import testing from 'countersign/testing'
import { untilWithin } from './support/until.mjs'

const until = untilWithin(10)

const { startTestAgent, TestCa } = testing

const ID = 'spiffe://example.org/billing'
const OTHER = 'spiffe://example.org/other'

/** @typedef {{ agent: import('countersign/testing').TestAgent, client: WorkloadApiClient } & AsyncDisposable} Scene */

/**
 * @param {any} options
 * @returns {Promise<Scene>}
 */
async function scene(options = {}) {
  const agent = await startTestAgent({ identities: [ID], ...options })
  const client = new WorkloadApiClient({ endpoint: agent.endpoint, timeout: 5000 })
  return {
    agent,
    client,
    async [Symbol.asyncDispose]() {
      client.close()
      await agent.close()
    }
  }
}

/** @param {(scene: Scene) => Promise<void>} body @param {any} [options] */
const within = (body, options) => async () => {
  const it = await scene(options)
  try {
    await body(it)
  } finally {
    await it[Symbol.asyncDispose]()
  }
}

/** @param {any} agent @param {(source: any) => Promise<void>} body @param {any} [options] */
async function withSource(agent, body, options) {
  const source = new X509Source({ endpoint: agent.endpoint, ...options })
  try {
    await source.ready({ timeout: 10_000 })
    await body(source)
  } finally {
    source.close()
  }
}

describe('a test agent', () => {
  test(
    'gives identities to every process of this user',
    within(
      async ({ agent, client }) => {
        const svids = await client.fetchX509Svids()
        assert.deepEqual(
          svids.map((svid) => [svid.spiffeId.uri, svid.hint]),
          [
            [ID, undefined],
            [OTHER, 'external']
          ]
        )
        verifyX509Svid(svids[0].certificates, new BundleSet([agent.bundle]))
        const jwt = await client.fetchJwtSvid({ audience: 'shop', spiffeId: OTHER })
        assert.equal(verifyJwtSvid(jwt.token, new BundleSet([agent.bundle]), { audience: 'shop' }).spiffeId.uri, OTHER)
        assert.equal((await getIdentity({ socketPath: agent.socketPath })).identity, 'BILLING')
        assert.deepEqual(agent.env, { SPIFFE_ENDPOINT_SOCKET: agent.endpoint, WHOAMI_SOCKET: agent.socketPath })
        const [first, second] = agent.calls
        assert.deepEqual(
          [first.method, first.pid, first.uid, first.securityHeader],
          ['FetchX509SVID', process.pid, process.getuid?.(), true]
        )
        assert.deepEqual(
          [second.method, second.audience, second.spiffeId, second.status, second.messages],
          ['FetchJWTSVID', ['shop'], OTHER, 'OK', 1]
        )
        assert.ok(Math.abs(second.at.getTime() - Date.now()) < 60_000)
        assert.equal(agent.stats.workloadApi?.jwtSvids, 1)
      },
      { identities: [ID, { spiffeId: OTHER, hint: 'external' }], whoami: 'BILLING' }
    )
  )

  test('agents do not know each other, and leave nothing behind', async () => {
    const [one, two] = await Promise.all([
      startTestAgent({ identities: [ID] }),
      startTestAgent({ identities: ['spiffe://other.org/x'] })
    ])
    assert.notEqual(one.endpoint, two.endpoint)
    assert.equal(two.trustDomain.name, 'other.org')
    assert.equal(one.bundle.equals(two.bundle), false)
    await Promise.all([one.close(), two.close(), one.close()])
    assert.equal(existsSync(one.endpoint.slice('unix:'.length)), false)
    assert.equal(existsSync(one.socketPath), false)
  })

  test(
    'a child of the test gets an identity too',
    within(async ({ agent }) => {
      const child = fork(new URL('./support/workload.mjs', import.meta.url), { env: { ...process.env, ...agent.env } })
      const [told] = await once(child, 'message')
      assert.equal(told, ID)
      assert.equal((await agent.waitForCall((call) => call.pid === child.pid)).method, 'FetchX509SVID')
    })
  )

  test(
    'identities come and go under open sources',
    within(async ({ agent }) => {
      await withSource(agent, async (source) => {
        assert.equal(source.svid().spiffeId.uri, ID)
        agent.setIdentities([OTHER])
        await until(() => source.state === 'ready' && source.svid().spiffeId.uri === OTHER, 'the other identity')
        agent.setIdentities([])
        await until(() => source.state === 'withdrawn', 'withdrawn')
        assert.throws(() => source.svid(), { code: 'ERR_IDENTITY_WITHDRAWN' })
        agent.setIdentities([ID])
        await until(() => source.state === 'ready', 'ready again')
        assert.equal(source.svid().spiffeId.uri, ID)
      })
    })
  )

  test(
    'SVIDs rotate by themselves, and on command',
    within(
      async ({ agent }) => {
        await withSource(agent, async (source) => {
          const seen = new Set([source.svid().serialNumber])
          for (let round = 0; round < 3; round++) {
            if (round === 2) agent.reissue()
            await until(() => !seen.has(source.svid().serialNumber), `rotation ${round}`)
            seen.add(source.svid().serialNumber)
          }
        })
      },
      { ttl: 2000 }
    )
  )

  test(
    'the keys of the authority change, prepared or not',
    within(async ({ agent, client }) => {
      await withSource(agent, async (source) => {
        const old = source.svid()
        const before = agent.bundle
        agent.rotateAuthority('prepare')
        await until(() => source.bundle('example.org').size === 2, 'two roots')
        agent.rotateAuthority('activate')
        assert.equal(source.svid().serialNumber, old.serialNumber, 'what is good is kept')
        agent.rotateAuthority()
        await until(() => source.svid().serialNumber !== old.serialNumber, 'a new SVID')
        assert.equal(source.bundle('example.org').size, 1)
        assert.throws(() => verifyX509Svid(old.certificates, new BundleSet([agent.bundle])), { rule: 'unknown_issuer' })
        assert.equal(agent.bundle.equals(before), false)
      })
      assert.ok(await client.fetchX509Context())
    })
  )

  test(
    'foreign bundles',
    within(
      async ({ client }) => {
        const context = await client.fetchX509Context()
        assert.deepEqual([...context.bundles.trustDomains].map(String), ['example.org', 'partner.org'])
      },
      { federatesWith: [new TestCa('partner.org').bundle] }
    )
  )

  test('options that cannot be read are refused', async () => {
    for (const [options, says] of /** @type {[any, RegExp][]} */ ([
      [{ identity: [ID] }, /unknown option "identity"/],
      [{ identities: ['nope'] }, /identities\[0\]|scheme/],
      [{ identities: [{ spiffeId: ID, hints: 'x' }] }, /unknown option "hints"/],
      [{ identities: [ID, 'spiffe://other.org/x'] }, /rules\[1\]\.spiffeId: .*example\.org/],
      [{ identities: [ID], ttl: 10 }, /workloadApi\.x509SvidTtl: expected milliseconds/],
      [{ identities: [{ spiffeId: ID, dnsNames: ['-'] }] }, /rules\[0\]\.dnsNames: .*DNS name/]
    ]))
      await assert.rejects(startTestAgent(options), says)
    const agent = await startTestAgent()
    try {
      assert.throws(() => agent.faults.status(/** @type {any} */ ('NOPE')), /expected one of/)
      assert.throws(() => agent.faults.blank(/** @type {any} */ ('keys')), /expected one of/)
      assert.throws(() => agent.faults.reset({ times: 0 }), /times/)
      assert.throws(() => agent.faults.reset({ method: /** @type {any} */ ('Nope') }), /method/)
      assert.throws(() => agent.setIdentities(['x']), { code: 'ERR_INVALID_SPIFFE_ID' })
      await assert.rejects(agent.waitForCall('FetchX509SVID', { timeout: 50 }), { code: 'ERR_TIMEOUT' })
    } finally {
      await agent.close()
    }
  })
})

describe('what our clients do when the agent', () => {
  test(
    'is not ready: a fetch fails, a source tries again',
    within(async ({ agent, client }) => {
      agent.faults.unavailable({ message: 'starting' })
      await assert.rejects(
        client.fetchX509Svid(),
        (/** @type {any} */ error) => error.code === 'ERR_WORKLOAD_API' && error.grpcCode === 'UNAVAILABLE'
      )
      agent.faults.unavailable({ times: 3 })
      await withSource(agent, async (source) => assert.equal(source.svid().spiffeId.uri, ID))
      assert.equal(agent.calls.filter((call) => call.status === 'UNAVAILABLE').length, 4)
    })
  )

  test(
    'gives no identity: a source waits, and is ready when there is one',
    within(
      async ({ agent, client }) => {
        await assert.rejects(client.fetchX509Svid(), { code: 'ERR_NO_IDENTITY', grpcCode: 'PERMISSION_DENIED' })
        const source = new X509Source({ endpoint: agent.endpoint })
        try {
          await until(() => source.state === 'noIdentity', 'noIdentity')
          assert.throws(() => source.svid(), { code: 'ERR_NO_IDENTITY' })
          agent.setIdentities([ID])
          await source.ready({ timeout: 10_000 })
        } finally {
          source.close()
        }
      },
      { identities: [], trustDomain: 'example.org' }
    )
  )

  test(
    'takes the identity away on a live stream: withdrawn',
    within(async ({ agent }) => {
      await withSource(agent, async (source) => {
        agent.faults.permissionDenied({ times: Infinity })
        agent.faults.dropStreams('PERMISSION_DENIED', 'no identity issued')
        await until(() => source.state === 'withdrawn', 'withdrawn')
        agent.faults.clear()
        await until(() => source.state === 'ready', 'ready')
      })
    })
  )

  test(
    'says that the client is wrong: nobody asks again',
    within(async ({ agent }) => {
      agent.faults.invalidArgument({ times: Infinity })
      const source = new X509Source({ endpoint: agent.endpoint })
      try {
        await assert.rejects(
          source.ready({ timeout: 5000 }),
          (/** @type {any} */ error) => error.cause.grpcCode === 'INVALID_ARGUMENT'
        )
        await sleep(300)
        assert.equal(agent.calls.length, 1)
      } finally {
        source.close()
      }
    })
  )

  test(
    'drops the stream, in every way: the source keeps what it has and comes back',
    within(async ({ agent }) => {
      await withSource(agent, async (source) => {
        const { serialNumber } = source.svid()
        for (const code of [undefined, 'OK', 'UNAVAILABLE', 'INTERNAL']) {
          const calls = agent.calls.length
          agent.faults.dropStreams(/** @type {any} */ (code))
          assert.equal(source.state, 'ready')
          assert.ok(source.svid())
          await until(
            () => agent.calls.length > calls && source.svid().serialNumber !== serialNumber,
            `a new stream after ${code}`
          )
        }
      })
    })
  )

  test(
    'ends or resets every new stream for a while',
    within(async ({ agent }) => {
      agent.faults.reset({ times: 2 })
      agent.faults.end({ times: 2 })
      await withSource(agent, async () => assert.equal(agent.calls.length, 5))
    })
  )

  test(
    'is slow: a deadline is kept, patience is rewarded',
    within(async ({ agent, client }) => {
      agent.faults.slow(700)
      await assert.rejects(client.fetchX509Svid({ timeout: 100 }), { code: 'ERR_TIMEOUT' })
      agent.faults.clear()
      agent.faults.slow(100)
      assert.ok(await client.fetchX509Svid())
    })
  )

  test(
    'freezes: nobody hangs, and everybody goes on afterwards',
    within(async ({ agent, client }) => {
      await withSource(agent, async (source) => {
        const { serialNumber } = source.svid()
        agent.faults.freeze()
        agent.reissue()
        await assert.rejects(client.fetchX509Svid({ timeout: 100 }), { code: 'ERR_TIMEOUT' })
        await assert.rejects(client.fetchJwtSvid({ audience: 'x', timeout: 100 }), { code: 'ERR_TIMEOUT' })
        assert.equal(source.svid().serialNumber, serialNumber)
        agent.faults.thaw()
        await until(() => source.svid().serialNumber !== serialNumber, 'the new SVID')
      })
    })
  )

  for (const [name, plan, says] of /** @type {[string, (faults: any) => void, RegExp][]} */ ([
    ['sends garbage', (faults) => faults.garbage(), /cannot be read/],
    ['sends what is no gRPC', (faults) => faults.badFrame(), /cannot be read/],
    ['sends far too much', (faults) => faults.huge(), /33554432 bytes/],
    ['sends no SVID', (faults) => faults.blank('svids'), /holds no svids/],
    ...['spiffe_id', 'x509_svid', 'x509_svid_key', 'bundle'].map((field) => [
      `leaves ${field} empty`,
      (/** @type {any} */ faults) => faults.blank(field),
      new RegExp(`mandatory field svids\\[0\\]\\.${field}`)
    ]),
    ["sends a stranger's key", (faults) => faults.wrongKey(), /private key does not match/]
  ])) {
    test(
      `${name}: a fetch fails and says so, a source keeps the last good`,
      within(async ({ agent, client }) => {
        plan(agent.faults)
        await assert.rejects(client.fetchX509Svid(), says)
        await withSource(agent, async (source) => {
          const { serialNumber } = source.svid()
          /** @type {any[]} */
          const errors = []
          source.subscribe((/** @type {any} */ event) => {
            if (event.type === 'error') errors.push(event.error)
          })
          plan(agent.faults)
          agent.faults.resend()
          await until(() => errors.length > 0, 'the error is told')
          assert.match(errors[0].message, says)
          assert.equal(source.state, 'ready')
          // On the same stream, or on a new one where this one could not go on.
          agent.reissue()
          await until(() => source.svid().serialNumber !== serialNumber, 'it goes on')
        })
      })
    )
  }

  test(
    'sends two SVIDs with one hint: the first counts',
    within(
      async ({ agent, client }) => {
        agent.faults.duplicateHints({ times: Infinity })
        const context = await client.fetchX509Context()
        assert.deepEqual(
          context.svids.map((svid) => svid.spiffeId.uri),
          [ID]
        )
        const tokens = await client.fetchJwtSvids({ audience: 'x' })
        assert.deepEqual(
          tokens.map((token) => token.spiffeId.uri),
          [ID]
        )
      },
      { identities: [ID, OTHER] }
    )
  )

  test(
    'spoils tokens and bundles',
    within(async ({ agent, client }) => {
      const token = (await client.fetchJwtSvid({ audience: 'shop' })).token
      for (const field of ['svids', 'spiffe_id', 'svid']) {
        agent.faults.blank(/** @type {any} */ (field), { method: 'FetchJWTSVID' })
        await assert.rejects(client.fetchJwtSvid({ audience: 'shop' }), /holds no svids|mandatory field/)
      }
      agent.faults.wrongKey()
      const forged = (await client.fetchJwtSvid({ audience: 'shop' })).token
      await assert.rejects(client.validateJwtSvid({ audience: 'shop', token: forged }), /signature/)
      for (const field of ['spiffe_id', 'claims']) {
        agent.faults.blank(/** @type {any} */ (field), { method: 'ValidateJWTSVID' })
        await assert.rejects(client.validateJwtSvid({ audience: 'shop', token }), /mandatory field/)
      }
      agent.faults.blank('bundles', { times: 2 })
      await assert.rejects(client.fetchX509Bundles(), /holds no bundles/)
      await assert.rejects(client.fetchJwtBundles(), /holds no bundles/)
      agent.faults.blank('bundle', { method: 'FetchX509Bundles' })
      assert.equal((await client.fetchX509Bundles()).size ?? 0, 0, 'an empty bundle trusts nobody')
      const source = new JwtSource({ endpoint: agent.endpoint })
      try {
        agent.faults.unavailable({ method: 'FetchJWTSVID' })
        await assert.rejects(source.fetch({ audience: 'shop' }), { grpcCode: 'UNAVAILABLE' })
        assert.ok(await source.fetch({ audience: 'shop' }))
      } finally {
        source.close()
      }
    })
  )

  test(
    'offers SVIDs that break a rule: each is left out, and said to be',
    within(async ({ agent, client }) => {
      const ca = new TestCa('example.org')
      const good = ca.x509Svid(OTHER)
      for (const flaw of TestCa.x509Flaws) {
        const svid = ca.x509Svid(ID, { flaw })
        agent.faults.respond(
          testing.encodeX509Response({
            svids: [
              { spiffeId: ID, svid, bundle: ca.bundle },
              { spiffeId: OTHER, svid: good, bundle: ca.bundle }
            ]
          })
        )
        const context = await client.fetchX509Context()
        assert.deepEqual(
          context.svids.map((one) => one.spiffeId.uri),
          [OTHER],
          flaw
        )
        assert.equal(context.ignored.length, 1, flaw)
      }
    })
  )
})

describe('a test authority', () => {
  /** @type {InstanceType<typeof TestCa>} */
  let ca
  /** @type {any} */
  let bundles
  before(() => {
    ca = new TestCa('example.org')
    bundles = new BundleSet([ca.bundle])
  })

  test('mints right ones', () => {
    const svid = ca.x509Svid(ID, { dnsNames: ['billing.example.org'], ttl: 60_000 }).toSvid()
    assert.equal(verifyX509Svid(svid.certificates, bundles).spiffeId.uri, ID)
    assert.ok(Math.abs(svid.expiresAt.getTime() - Date.now() - 60_000) < 3000)
    const token = ca.jwtSvid(ID, { audience: ['shop', 'bank'] })
    assert.equal(verifyJwtSvid(token, bundles, { audience: 'bank' }).spiffeId.uri, ID)
  })

  test('mints wrong ones, each for one reason', () => {
    const rules = new Set()
    for (const flaw of TestCa.x509Flaws) {
      const minted = ca.x509Svid(ID, { flaw })
      assert.throws(
        () => {
          verifyX509Svid(minted.chain, bundles)
          minted.toSvid()
        },
        (/** @type {any} */ error) => {
          rules.add(error.rule)
          return true
        },
        flaw
      )
    }
    assert.equal(rules.size, TestCa.x509Flaws.length)
    for (const flaw of TestCa.jwtFlaws) {
      assert.throws(
        () =>
          verifyJwtSvid(ca.jwtSvid(ID, { audience: 'shop', flaw }), bundles, { audience: 'shop', requireKid: true }),
        (/** @type {any} */ error) => error.code === 'ERR_JWT_SVID_VERIFICATION' || typeof error.rule === 'string',
        flaw
      )
    }
    assert.throws(() => ca.x509Svid(ID, { flaw: /** @type {any} */ ('nope') }), /expected one of expired/)
    assert.throws(() => ca.jwtSvid(ID, /** @type {any} */ ({})), /audience/)
    assert.throws(() => ca.x509Svid('nope'), { code: 'ERR_INVALID_SPIFFE_ID' })
  })

  test('keeps its keys out of sight', () => {
    const minted = ca.x509Svid(ID)
    assert.equal(JSON.stringify(minted).includes('key'), false)
    assert.match(minted.keyPem, /BEGIN PRIVATE KEY/)
  })
})
