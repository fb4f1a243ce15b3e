// Principals of this machine: what the whoami daemon says of us, who is at the other end of a local socket, and
// sessions.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readlinkSync, rmSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { IdentityClient } from 'countersign'
import {
  getPrincipal,
  PeerResolver,
  requirePrincipal,
  SessionId,
  SessionResolver,
  WhoamiResolver
} from 'countersign/principal'
import { OK, startDaemon } from './support/daemon.mjs'
import { failing, OTHER_TENANT, outcome, TENANT } from './support/principal-scene.mjs'
import { socketPair } from './support/socket-pair.mjs'

const uid = /** @type {() => number} */ (process.geteuid)()
const gid = /** @type {() => number} */ (process.getegid)()
const exe = readlinkSync('/proc/self/exe')

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon
/** @type {string} */
let directory
before(async () => {
  daemon = await startDaemon()
  directory = mkdtempSync(path.join(os.tmpdir(), 'countersign-principal-'))
})
after(async () => {
  await daemon.stop()
  rmSync(directory, { recursive: true })
})

/** @param {any} script @param {any} [changes] */
const whoami = async (script, changes) =>
  new WhoamiResolver({
    client: new IdentityClient({ socketPath: await daemon.serve(script), timeout: 2000 }),
    trustDomain: 'acme.example',
    tenantId: TENANT,
    tenantSlug: 'blue',
    ...changes
  })

test("whoami: the daemon's word, without the token", async () => {
  const principal = await (
    await whoami({ body: JSON.stringify({ ...OK, runner: { ...OK.runner, zone: 'said by the caller' } }) })
  ).resolve()
  assert.equal(principal.workloadId, 'spiffe://acme.example/BILLING_PROD/blue')
  assert.equal(String(principal.issuer), 'whoami')
  assert.deepEqual(
    { ...principal.attributes },
    { config_url: OK.config_url, gid: 1002, hostname: 'worker-01', idm_url: OK.idm_url, pid: 1234, uid: 1001 }
  )
  assert.ok(!principal.toWire().includes(OK.token) && !principal.toWire().includes('said by'))
  const bare = await (
    await whoami({ body: JSON.stringify({ ...OK, idm_url: '', config_url: '', runner: {} }) })
  ).resolve()
  assert.deepEqual({ ...bare.attributes }, {})
})

test('whoami: a mapper, and a tenant that is looked up', async () => {
  const map = async (/** @type {any} */ { identity, runner }) => ({
    serviceName: identity.split('_')[0].toLowerCase(),
    tenantSlug: 'green',
    attributes: { uid: runner.uid }
  })
  const principal = await (
    await whoami(
      { body: JSON.stringify(OK) },
      {
        tenantId: undefined,
        tenantSlug: undefined,
        tenantOf: (/** @type {string} */ slug) => (slug === 'green' ? OTHER_TENANT : undefined),
        map
      }
    )
  ).resolve()
  assert.deepEqual(
    [principal.workloadId, principal.tenantId, { ...principal.attributes }],
    ['spiffe://acme.example/billing/green', OTHER_TENANT, { uid: 1001 }]
  )
})

test('whoami: refusals and daemons that cannot be reached', async () => {
  /** @param {any} script @param {any} [changes] */
  const of = async (script, changes) => outcome((await whoami(script, changes)).resolve())
  assert.equal(
    await of({ body: JSON.stringify({ status: 'error', error_code: 'E_NO_MATCH', message: 'no' }) }),
    'NOT_AUTHENTICATED refused ERR_DAEMON'
  )
  assert.equal(await of({ body: '{' }), 'NOT_AUTHENTICATED refused ERR_INVALID_JSON')
  assert.equal(await of({ body: JSON.stringify({ ...OK, identity: '' }) }), 'NOT_AUTHENTICATED refused')
  assert.equal(
    await of({ body: JSON.stringify({ ...OK, identity: 'A B' }) }),
    'COMPONENT service bad_path_segment_char'
  )
  assert.equal(
    await of(
      { silent: true },
      { client: new IdentityClient({ socketPath: await daemon.serve({ silent: true }), timeout: 20 }) }
    ),
    'NOT_AUTHENTICATED unavailable ERR_TIMEOUT'
  )
  assert.equal(
    await of({}, { client: new IdentityClient({ socketPath: path.join(directory, 'missing.sock') }) }),
    'NOT_AUTHENTICATED unavailable ERR_SOCKET_NOT_FOUND'
  )
  const policed = new IdentityClient({
    socketPath: await daemon.serve({ body: JSON.stringify(OK) }),
    expectServer: { uid: 4000000 }
  })
  assert.equal(await of({}, { client: policed }), 'NOT_AUTHENTICATED refused ERR_UNTRUSTED_SERVER')
  await assert.rejects((await whoami({ silent: true })).resolve({ signal: AbortSignal.timeout(20) }), {
    name: 'TimeoutError'
  })
  for (const changes of [
    { tenantSlug: undefined },
    { map: () => ({}) },
    { tenantSlug: undefined, map: 'x' },
    { client: {} },
    { tenantId: undefined },
    { slug: 'x' }
  ]) {
    await assert.rejects(whoami({ body: '' }, changes), { code: 'ERR_INVALID_ARGUMENT' }, JSON.stringify(changes))
  }
})

const peer = {
  policy: { uid, exe },
  trustDomain: 'acme.example',
  tenantId: TENANT,
  tenantSlug: 'blue',
  serviceName: 'billing'
}

test("a local peer: the kernel's word", async (t) => {
  const { server: socket } = await socketPair(t, path.join(directory, `${Math.random()}.sock`))
  for (const resolver of [
    new PeerResolver(peer).for(socket),
    new PeerResolver({ ...peer, peer: socket }),
    new PeerResolver({ ...peer, peer: async () => /** @type {any} */ (socket)._handle.fd })
  ]) {
    const principal = await resolver.resolve()
    assert.equal(principal.workloadId, 'spiffe://acme.example/billing/blue')
    assert.equal(String(principal.issuer), 'peer_cred')
    assert.deepEqual({ ...principal.attributes }, { exe, gid, pid: process.pid, uid })
  }
  const mapped = await new PeerResolver({
    ...peer,
    serviceName: undefined,
    tenantSlug: undefined,
    map: ({ uid }) => ({ serviceName: `u${uid}`, tenantSlug: 'x', attributes: {} })
  })
    .for(socket)
    .resolve()
  assert.equal(
    mapped.toWire(),
    `{"kind":"workload","workload_id":"spiffe://acme.example/u${uid}/x","trust_domain":"acme.example",` +
      `"issuer":{"kind":"custom","label":"peer_cred"},"tenant_id":"${TENANT}","tenant_slug":"x",` +
      `"service_name":"u${uid}","attributes":{}}`
  )
})

test('a local peer that is somebody else, or nobody', async (t) => {
  const { server: socket } = await socketPair(t, path.join(directory, `${Math.random()}.sock`))
  assert.equal(
    await outcome(new PeerResolver({ ...peer, policy: { uid: 4000000 } }).for(socket).resolve()),
    'NOT_AUTHENTICATED refused ERR_PEER_DENIED'
  )
  assert.equal(
    await outcome(new PeerResolver({ ...peer, policy: () => false }).for(socket).resolve()),
    'NOT_AUTHENTICATED refused ERR_PEER_DENIED'
  )
  assert.equal(await outcome(new PeerResolver(peer).resolve()), 'NOT_AUTHENTICATED no_credential')
  assert.equal(await outcome(new PeerResolver(peer).for(9999).resolve()), 'NOT_AUTHENTICATED unavailable ERR_CLOSED')
  const tcp = net.createServer().listen(0, '127.0.0.1')
  await once(tcp, 'listening')
  const client = net.connect(/** @type {any} */ (tcp.address()).port, '127.0.0.1')
  const [accepted] = await once(tcp, 'connection')
  assert.equal(
    await outcome(new PeerResolver(peer).for(accepted).resolve()),
    'NOT_AUTHENTICATED no_credential ERR_NOT_A_UNIX_SOCKET'
  )
  client.destroy()
  tcp.close()
  const made = (/** @type {any} */ changes) => failing(() => new PeerResolver({ ...peer, ...changes }))
  for (const changes of [
    { policy: undefined },
    { policy: {} },
    { policy: { uids: 0 } },
    { policy: { process: 'x' } },
    { serviceName: undefined },
    { map: () => ({}) },
    { peer: 'x' },
    { tenantId: undefined }
  ])
    assert.equal(made(changes), 'ARGUMENT', JSON.stringify(changes))
})

test('requests over a local socket', async (t) => {
  const guard = requirePrincipal(new PeerResolver(peer))
  const refusing = requirePrincipal(new PeerResolver({ ...peer, policy: { uid: 4000000 } }))
  const server = http
    .createServer(async (req, res) => {
      if (await (req.url === '/no' ? refusing : guard)(req, res)) res.end(String(getPrincipal(req)))
    })
    .listen(path.join(directory, 'api.sock'))
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const ask = (/** @type {string} */ url) =>
    new Promise((resolve, reject) => {
      http
        .get({ socketPath: path.join(directory, 'api.sock'), path: url, agent: false }, async (res) => {
          let text = ''
          for await (const chunk of res.setEncoding('utf8')) text += chunk
          resolve(`${res.statusCode} ${res.headers['www-authenticate'] ?? ''} ${text}`)
        })
        .on('error', reject)
    })
  assert.equal(await ask('/'), '200  spiffe://acme.example/billing/blue')
  assert.equal(await ask('/no'), '401  {"error":"not_authenticated"}')
})

test('sessions', async () => {
  const session = { userId: OTHER_TENANT, tenantId: TENANT, sessionId: SessionId.random() }
  const principal = await new SessionResolver({
    session: async () => ({ ...session, attributes: { amr: ['otp'] } })
  }).resolve()
  assert.deepEqual(
    [principal.kind, principal.userId, principal.sessionId, principal.attributes.amr],
    ['human', OTHER_TENANT, session.sessionId, ['otp']]
  )
  const of = (/** @type {any} */ value) => outcome(new SessionResolver({ session: () => value }).resolve())
  for (const nothing of [undefined, null]) assert.equal(await of(nothing), 'NOT_AUTHENTICATED no_credential')
  assert.equal(await of({ ...session, sessionId: undefined }), 'ARGUMENT')
  assert.equal(await of({ ...session, userId: 'root' }), 'ID not_a_uuid')
  for (const value of [true, 'x', [], {}, { ...session, user: 'x' }])
    assert.equal(await of(value), 'ARGUMENT', JSON.stringify(value))
  const broken = new Error('the store is gone')
  await assert.rejects(
    new SessionResolver({
      session: () => {
        throw broken
      }
    }).resolve(),
    broken
  )
  for (const options of [undefined, {}, { session }])
    assert.equal(
      failing(() => new SessionResolver(/** @type {any} */ (options))),
      'ARGUMENT'
    )
  const seen = await new SessionResolver({ session: (req) => (req.url === '/a' ? session : undefined) })
    .forRequest(/** @type {any} */ ({ url: '/a', headers: {} }))
    .resolve()
  assert.equal(seen.userId, OTHER_TENANT)
})
