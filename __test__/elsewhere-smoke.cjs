'use strict'
// What there is where there is no agent: everything but the kernel's word. A plain script, copied beside an installed
// package: elsewhere-smoke.cjs ENDPOINT, a Workload API over TCP that issues SVIDs of example.org. Prints one line.
const assert = require('node:assert')
const https = require('node:https')
const { inspect } = require('node:util')
const countersign = require('countersign')
const { startAgent } = require('countersign/agent')
const { verifyLog } = require('countersign/control')
const { Issuer, Principal, TenantId, WorkloadPrincipal } = require('countersign/principal')
const testing = require('countersign/testing')
const { authorize, createAgent, peerOf, secureServer, serverOptions } = require('countersign/tls')
const {
  authorizePeer,
  BundleSet,
  CountersignError,
  connectVerified,
  getIdentity,
  getIdentitySync,
  getPeerCredentials,
  getPeerProcess,
  JwtSource,
  SpiffeId,
  verifyJwtSvid,
  verifyX509Svid,
  X509Source
} = countersign

const [endpoint] = process.argv.slice(2)
const BILLING = 'spiffe://example.org/billing'
const SHOP = 'spiffe://example.org/shop'

/** What Linux alone has says so, at once and in words. */
async function onLinuxOnly() {
  /** @type {Record<string, () => unknown>} */
  const calls = {
    getIdentity: () => getIdentity(),
    getIdentitySync: () => getIdentitySync(),
    getPeerCredentials: () => getPeerCredentials(0),
    getPeerProcess: () => getPeerProcess(0),
    authorizePeer: () => authorizePeer(0, { uid: 0 }),
    'authorizePeer with a function': () => authorizePeer(0, () => true),
    connectVerified: () => connectVerified('/run/acme.sock', { uid: 0 }),
    startAgent: () => startAgent({ dev: true }),
    startTestAgent: () => testing.startTestAgent({ identities: [BILLING] }),
    TestCa: () => new testing.TestCa(),
    x509Flaws: () => testing.TestCa.x509Flaws,
    encodeX509Response: () => testing.encodeX509Response({}),
    encodeJwtResponse: () => testing.encodeJwtResponse([]),
    encodeX509BundlesResponse: () => testing.encodeX509BundlesResponse({}),
    encodeJwtBundlesResponse: () => testing.encodeJwtBundlesResponse({})
  }
  // macOS can judge the log of an agent that ran elsewhere.
  if (process.platform === 'win32') calls.verifyLog = () => verifyLog('audit.log')
  for (const [name, call] of Object.entries(calls)) {
    const error = await new Promise((resolve, _reject) => resolve(call())).then(
      () => assert.fail(`${name} did not fail`),
      (/** @type {any} */ error) => error
    )
    assert.ok(CountersignError.is(error), `${name}: ${error.stack}`)
    assert.strictEqual(error.code, 'ERR_UNSUPPORTED_PLATFORM', name)
    assert.ok(error.message.includes(process.platform), `${name}: ${error.message}`)
  }
  return Object.keys(calls).length
}

function names() {
  assert.strictEqual(SpiffeId.parse(BILLING).path, '/billing')
  assert.throws(() => SpiffeId.parse('spiffe://example.org/a/../b'), {
    code: 'ERR_INVALID_SPIFFE_ID',
    reason: 'dot_segment'
  })
  const principal = new WorkloadPrincipal({
    trustDomain: 'td',
    issuer: Issuer.oauth,
    tenantId: TenantId.random(),
    tenantSlug: 'b',
    serviceName: 'a',
    attributes: { n: 2n ** 63n }
  })
  assert.ok(Principal.parse(principal.toWire()).equals(principal))
}

/** @param {import('../index').X509Source} source @param {import('../index').JwtSource} tokens */
async function svids(source, tokens) {
  const svid = source.svid()
  assert.strictEqual(String(svid.spiffeId), BILLING)
  const bundles = new BundleSet([source.bundle('example.org')])
  assert.strictEqual(String(verifyX509Svid(svid.chainPem(), bundles).spiffeId), BILLING)
  assert.throws(() => verifyX509Svid(svid.chainPem(), bundles, { authorize: authorize.id(SHOP) }), {
    code: 'ERR_UNTRUSTED_SVID',
    rule: 'not_authorized'
  })
  assert.throws(() => verifyX509Svid(svid.chainPem(), new BundleSet()), {
    code: 'ERR_UNTRUSTED_SVID',
    rule: 'no_bundle'
  })

  const { token } = await tokens.fetch({ audience: SHOP })
  const keys = new BundleSet([tokens.bundle('example.org')])
  assert.strictEqual(String(verifyJwtSvid(token, keys, { audience: SHOP }).spiffeId), BILLING)
  assert.throws(() => verifyJwtSvid(token, keys, { audience: BILLING }), { code: 'ERR_INVALID_TOKEN' })
  // One letter in the middle of the signature.
  const at = token.lastIndexOf('.') + 20
  const forged = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1)
  assert.throws(() => verifyJwtSvid(forged, keys, { audience: SHOP }), { code: 'ERR_INVALID_TOKEN' })
}

/** @param {number} port @param {https.Agent} agent @returns {Promise<string>} */
const get = (port, agent) =>
  new Promise((resolve, reject) => {
    https
      .get({ host: '127.0.0.1', port, agent }, (response) => {
        let text = ''
        response
          .on('data', (chunk) => {
            text += chunk
          })
          .on('end', () => resolve(text))
      })
      .on('error', reject)
  })

/** A request in which both ends prove who they are. @param {import('../index').X509Source} source */
async function mutualTls(source) {
  const server = https.createServer(serverOptions(source, authorize.id(BILLING)), (request, response) =>
    response.end(`hello ${peerOf(request)?.spiffeId}`)
  )
  secureServer(server, source, authorize.id(BILLING))
  try {
    const port = await new Promise((resolve) =>
      server.listen(0, '127.0.0.1', () => resolve(/** @type {any} */ (server.address()).port))
    )
    assert.strictEqual(await get(port, createAgent(source, authorize.id(BILLING))), `hello ${BILLING}`)
    await assert.rejects(get(port, createAgent(source, authorize.id(SHOP))))
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

async function main() {
  names()
  const refused = await onLinuxOnly()
  const source = await X509Source.open({ endpoint })
  const tokens = await JwtSource.open({ endpoint })
  await svids(source, tokens)
  await mutualTls(source)
  tokens.close()
  source.close()
  process.stdout.write(
    `${process.platform} ${process.arch}, node ${process.versions.node}: names, a principal, ` +
      `an SVID and a token over TCP, mutual https; ${refused} calls say they need Linux\n`
  )
}

main().catch((error) => {
  process.stderr.write(`node ${process.versions.node}: ${inspect(error)}\n`)
  process.exit(1)
})
