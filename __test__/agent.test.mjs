// An agent in this process: a typed configuration, events, and everything the daemon does.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import { createServer } from 'node:https'
import os from 'node:os'
import path from 'node:path'
import { after, describe, test } from 'node:test'
import { entryPoint, root } from './support/child.mjs'
import { until } from './support/until.mjs'
import { BundleSet, getIdentity, SpiffeBundle, verifyX509Svid, WorkloadApiClient, X509Source } from 'countersign'
import { startAgent } from 'countersign/agent'
import { TestCa } from 'countersign/testing'

const bin = path.join(root, 'bin', 'countersign.js')
const uid = /** @type {() => number} */ (process.getuid)()
const ID = 'spiffe://example.org/billing'
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-agent-test-'))
after(() => fs.rmSync(directory, { recursive: true }))

const mine = Object.freeze({ match: { uid, exe: fs.realpathSync(process.execPath) } })
const workloadApi = Object.freeze({ trustDomain: 'example.org' })

/** @param {any} agent @param {any} [options] */
const fetchIds = async (agent, options) => {
  const client = new WorkloadApiClient({ endpoint: agent.endpoint })
  try {
    return (await client.fetchX509Svids(options)).map((svid) => svid.spiffeId.uri)
  } finally {
    client.close()
  }
}

/** @param {string[]} args @param {string} [input] */
function run(args, input) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], { encoding: 'utf8', input })
  return { status, stdout, stderr }
}

describe('startAgent', () => {
  test('serves both protocols out of one configuration', async () => {
    const agent = await startAgent({
      rules: [
        {
          ...mine,
          identity: 'BILLING',
          idmUrl: 'https://idm',
          configUrl: 'https://config',
          token: 't0ken',
          spiffeId: ID,
          hint: 'internal',
          x509SvidTtl: 60_000,
          jwtSvidTtl: 30_000,
          dnsNames: ['billing.example.org']
        },
        { ...mine, spiffeId: 'spiffe://example.org/second' }
      ],
      workloadApi: { ...workloadApi, caTtl: 3_600_000 }
    })
    try {
      const me = await getIdentity({ socketPath: agent.socketPath })
      assert.deepEqual([me.identity, me.token], ['BILLING', 't0ken'])
      assert.deepEqual(await fetchIds(agent), [ID, 'spiffe://example.org/second'])
      const client = new WorkloadApiClient({ endpoint: agent.endpoint })
      const svid = await client.fetchX509Svid({ hint: 'internal' })
      assert.ok(svid.expiresAt.getTime() - Date.now() <= 60_000)
      verifyX509Svid(svid.certificates, new BundleSet([agent.bundle()]))
      assert.equal(new X509Certificate(svid.chainPem()).subject, 'O=countersign\nCN=billing.example.org')
      client.close()
      assert.equal(agent.trustDomain?.name, 'example.org')
      assert.deepEqual(agent.env, { WHOAMI_SOCKET: agent.socketPath, SPIFFE_ENDPOINT_SOCKET: agent.endpoint })
      assert.equal(agent.stats.answered.ok, 1)
      assert.equal(fs.statSync(path.dirname(agent.socketPath)).mode & 0o777, 0o700)
      assert.throws(() => agent.bundle('nobody.org'), { code: 'ERR_BUNDLE_NOT_FOUND' })
    } finally {
      await agent.close()
    }
    assert.equal(fs.existsSync(path.dirname(agent.socketPath)), false)
    await agent.close()
  })

  test('tells what it does', async () => {
    const agent = await startAgent({ rules: [{ ...mine, spiffeId: ID }], workloadApi })
    /** @type {any[]} */
    const told = []
    for (const type of ['issued', 'refused', 'reload', 'reloaderror', 'keys', 'close'])
      agent.addEventListener(type, (/** @type {any} */ event) => told.push([type, event.detail]))
    try {
      await fetchIds(agent)
      agent.setRules([{ match: { uid: uid + 1 }, spiffeId: ID }])
      await assert.rejects(fetchIds(agent), { code: 'ERR_NO_IDENTITY' })
      assert.equal(agent.rotateAuthority('prepare'), true)
      assert.equal(agent.rotateAuthority('prepare'), false)
      // An agent keeps no process alive: it is for the test to wait.
      await until(() => told.some(([type]) => type === 'keys'), 'the keys are told', { seconds: 5 })
      assert.throws(() => agent.setRules([{ match: {}, spiffeId: ID }]), {
        code: 'ERR_INVALID_RULES',
        path: 'rules[0].match'
      })
      await new Promise((resolve) => setTimeout(resolve, 50))
    } finally {
      await agent.close()
    }
    // The stream of the first fetch may not have ended yet: then it is refused, too.
    assert.deepEqual(
      told.map(([type]) => type).filter((type, index, all) => type !== all[index - 1]),
      ['issued', 'reload', 'refused', 'keys', 'reloaderror', 'close']
    )
    assert.deepEqual(told[0][1], { pid: process.pid, uid, method: 'FetchX509SVID', spiffeId: ID })
    assert.deepEqual(told[2][1], { pid: process.pid, uid, method: 'FetchX509SVID', status: 'PERMISSION_DENIED' })
  })

  test('refuses what it cannot read, and says where', async () => {
    const before = fs.readdirSync(os.tmpdir())
    for (const [config, expected] of /** @type {[any, object][]} */ ([
      [{}, { code: 'ERR_INVALID_ARGUMENT', message: /one of rules, rulesFile and dev/ }],
      [{ dev: true, rules: [] }, { code: 'ERR_INVALID_ARGUMENT' }],
      [
        { rules: [{ ...mine, identiti: 'A' }] },
        { code: 'ERR_INVALID_ARGUMENT', message: /rules\[0\]: unknown key "identiti"/ }
      ],
      [
        { rules: [{ match: { uidd: 1 }, identity: 'A' }] },
        { code: 'ERR_INVALID_ARGUMENT', message: /rules\[0\]\.match: unknown key "uidd"/ }
      ],
      [{ rules: [{ ...mine }] }, { code: 'ERR_INVALID_RULES', path: 'rules[0]', message: /gives nothing/ }],
      [
        { rules: [{ ...mine, spiffeId: 'x' }], workloadApi },
        { code: 'ERR_INVALID_RULES', path: 'rules[0].spiffeId' }
      ],
      [
        { rules: [{ ...mine, spiffeId: ID, x509SvidTtl: 5 }], workloadApi },
        { code: 'ERR_INVALID_ARGUMENT', message: /rules\[0\]\.x509SvidTtl: expected milliseconds/ }
      ],
      [
        { rules: [{ ...mine, spiffeId: ID, federatesWith: ['x'] }], workloadApi },
        { code: 'ERR_INVALID_RULES', path: 'rules[0].federatesWith' }
      ],
      [
        {
          rules: [{ ...mine, spiffeId: ID }],
          workloadApi: { ...workloadApi, federatesWith: { x: { bundleFile: 'relative' } } }
        },
        { code: 'ERR_INVALID_RULES', path: 'workloadApi.federatesWith["x"].bundleFile' }
      ],
      [{ rules: [{ ...mine, identity: 'A\u0007' }] }, { code: 'ERR_INVALID_RULES', path: 'rules[0].identity' }],
      [{ rules: [{ ...mine, identity: 'A"\n[[rule]]\n' }] }, { code: 'ERR_INVALID_RULES', path: 'rules[0].identity' }],
      [
        { rules: [{ ...mine, identity: 'A', token: '\ud800' }] },
        { code: 'ERR_INVALID_ARGUMENT', message: /rules\[0\]\.token/ }
      ],
      [{ rules: [{ match: { uid: 1.5 }, identity: 'A' }] }, { code: 'ERR_INVALID_ARGUMENT' }],
      [{ rulesFile: path.join(directory, 'none.toml') }, { code: 'ERR_INVALID_RULES' }],
      [
        { rules: [{ ...mine, identity: 'A' }], socketPath: `${directory}/${'x'.repeat(200)}` },
        { code: 'ERR_INVALID_ARGUMENT' }
      ],
      [{ rules: [{ ...mine, identity: 'A' }], socketPath: '/proc/nope/whoami.sock' }, { code: 'ERR_AGENT' }]
    ]))
      await assert.rejects(startAgent(config), expected, JSON.stringify(config))
    assert.deepEqual(
      fs.readdirSync(os.tmpdir()).filter((name) => /^countersign-.{6}$/.test(name) && !before.includes(name)),
      [],
      'nothing is left behind'
    )
  })

  test('a rules file and a state directory', async () => {
    const rulesFile = path.join(directory, 'rules.toml')
    const stateDir = path.join(directory, 'state')
    fs.writeFileSync(
      rulesFile,
      `[workload_api]\ntrust_domain = "example.org"\nstate_dir = "${stateDir}"\n` +
        `socket = "${directory}/w.sock"\n[[rule]]\nmatch = { uid = ${uid} }\nspiffe_id = "${ID}"\n`,
      { mode: 0o600 }
    )
    const config = { rulesFile, socketPath: path.join(directory, 'whoami.sock') }
    const first = await startAgent(config)
    const bundle = first.bundle()
    assert.equal(first.endpoint, `unix:${directory}/w.sock`)
    await assert.rejects(startAgent(config), { code: 'ERR_AGENT', message: /listening on it/ })
    fs.writeFileSync(rulesFile, fs.readFileSync(rulesFile, 'utf8').replace(ID, `${ID}2`))
    assert.equal(first.reload().rules, 1)
    assert.deepEqual(await fetchIds(first), [`${ID}2`])
    await first.close()
    const second = await startAgent(config)
    assert.equal(second.bundle().equals(bundle), true, 'the keys outlive the agent')
    await second.close()
    assert.equal(fs.statSync(path.join(stateDir, 'authority.json')).mode & 0o777, 0o600)
  })

  test('development needs nothing', async () => {
    const agent = await startAgent({ dev: true })
    try {
      assert.deepEqual(await fetchIds(agent), ['spiffe://example.org/dev'])
      assert.equal((await getIdentity({ socketPath: agent.socketPath })).identity, 'DEV')
    } finally {
      await agent.close()
    }
  })

  test('keeps no process alive', () => {
    const script =
      `const { startAgent } = require(${JSON.stringify(entryPoint('countersign/agent'))}); ` +
      `startAgent({ dev: true }).then(() => console.log('up'))`
    const { status, stdout } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 20_000 })
    assert.deepEqual([status, stdout], [0, 'up\n'])
  })
})

test('two machines federate: a file, an endpoint with https_spiffe, and the command line', async (t) => {
  const partner = new TestCa('partner.org')
  const served = partner.x509Svid('spiffe://partner.org/endpoint')
  const document = partner.bundle.with({ sequence: 7, refreshHint: 3_600_000 }).toJwks()
  const server = createServer({ cert: served.chainPem, key: served.keyPem }, (_request, response) =>
    response.end(document)
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  const bundleFile = path.join(directory, 'partner.json')
  fs.writeFileSync(bundleFile, partner.bundle.toJwks())
  /** @param {string} endpointSpiffeId */
  const federated = (endpointSpiffeId) =>
    startAgent({
      rules: [{ ...mine, spiffeId: ID, federatesWith: ['partner.org'] }],
      workloadApi: {
        ...workloadApi,
        federatesWith: {
          'partner.org': {
            bundleFile,
            bundleEndpointUrl: `https://127.0.0.1:${port}/`,
            bundleEndpointProfile: 'https_spiffe',
            endpointSpiffeId
          }
        }
      }
    })
  const agent = await federated('spiffe://partner.org/endpoint')
  try {
    const [event] = await once(agent, 'bundle', { signal: AbortSignal.timeout(5000) })
    assert.deepEqual(event.detail, { trustDomain: 'partner.org' })
    assert.equal(agent.bundle('partner.org').sequence, 7)
    const source = await X509Source.open({ endpoint: agent.endpoint })
    assert.equal(
      verifyX509Svid(partner.x509Svid('spiffe://partner.org/x').chain, source.context().bundles).spiffeId.uri,
      'spiffe://partner.org/x'
    )
    source.close()
  } finally {
    await agent.close()
  }
  // Somebody else at the endpoint: what is in the file stays in force.
  const deceived = await federated('spiffe://partner.org/other')
  try {
    const [event] = await once(deceived, 'bundleerror', { signal: AbortSignal.timeout(5000) })
    assert.match(event.detail.message, /other|not one of|welcome|authorized/)
    assert.equal(deceived.bundle('partner.org').sequence, undefined)
  } finally {
    await deceived.close()
  }
})

test('countersign bundle shows and sets', async () => {
  const bundleFile = path.join(directory, 'foreign.json')
  const rulesFile = path.join(directory, 'federated.toml')
  const rules =
    '[workload_api]\ntrust_domain = "example.org"\n[workload_api.federates_with."partner.org"]\n' +
    `bundle_file = "${bundleFile}"\n[[rule]]\nmatch = { uid = ${uid} }\nspiffe_id = "${ID}"\n` +
    'federates_with = ["partner.org"]\n'
  fs.writeFileSync(rulesFile, rules, { mode: 0o600 })
  const partner = new TestCa('partner.org')
  // From standard input, then from a file as PEM: no keys for tokens.
  const set = run(
    ['bundle', 'set', '--id', 'spiffe://partner.org', '--rules', rulesFile, '--json'],
    partner.bundle.toJwks()
  )
  assert.equal(set.status, 0, set.stderr)
  assert.deepEqual(JSON.parse(set.stdout), {
    trustDomain: 'partner.org',
    file: bundleFile,
    x509: 1,
    jwt: 1,
    skipped: 0
  })
  assert.equal(SpiffeBundle.parse('partner.org', fs.readFileSync(bundleFile)).equals(partner.bundle), true)
  const agent = await startAgent({
    rulesFile,
    socketPath: path.join(directory, 'f.sock'),
    // @ts-expect-error: a member is missing
    workloadApi: { socketPath: path.join(directory, 'fw.sock'), stateDir: path.join(directory, 'fstate') }
  })
  try {
    const own = run(['bundle', 'show', '--socket', String(agent.endpoint)])
    assert.equal(own.status, 0, own.stderr)
    assert.equal(SpiffeBundle.parse('example.org', own.stdout).x509Bundle.equals(agent.bundle().x509Bundle), true)
    const pem = run([
      'bundle',
      'show',
      '--socket',
      path.join(directory, 'fw.sock'),
      '--id',
      'spiffe://partner.org',
      '--format',
      'pem'
    ])
    assert.equal(pem.stdout, partner.bundle.x509Bundle.toPem())
    const file = path.join(directory, 'new.pem')
    fs.writeFileSync(file, new TestCa('partner.org').bundle.x509Bundle.toPem())
    assert.match(
      run(['bundle', 'set', '--id', 'partner.org', '--rules', rulesFile, file]).stdout,
      /1 X\.509 and 0 JWT authorities/
    )
    await until(
      () =>
        run(['bundle', 'show', '--socket', String(agent.endpoint), '--id', 'partner.org', '--format', 'pem']).stdout ===
        fs.readFileSync(file, 'utf8'),
      'the agent serves the new bundle',
      { seconds: 10 }
    )
  } finally {
    await agent.close()
  }
  for (const [args, status] of /** @type {[string[], number][]} */ ([
    [['bundle'], 2],
    [['bundle', 'show', '--format', 'x'], 2],
    [['bundle', 'set', '--id', 'x'], 2],
    [['bundle', 'set', '--id', 'nobody.org', '--rules', rulesFile], 2],
    [['bundle', 'show', '--socket', '/nonexistent/x'], 3]
  ]))
    assert.equal(run(args, '').status, status, args.join(' '))
  assert.equal(run(['bundle', 'set', '--id', 'partner.org', '--rules', rulesFile], '{').status, 1)
})
