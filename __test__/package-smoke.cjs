'use strict'
// What somebody writes who has just installed the package: an identity, an SVID, a token and a connection in which both
// ends prove who they are, on the agent in this very process. A plain script, copied beside an installed package and
// run by every runtime: package-smoke.cjs [WHOAMI_SOCKET ENDPOINT], with an agent that runs elsewhere. Prints one line.
const assert = require('node:assert')
const https = require('node:https')
const net = require('node:net')
const tls = require('node:tls')
const { authorizePeer, getIdentity, getPeerCredentials, JwtSource, X509Source } = require('countersign')
const { startAgent } = require('countersign/agent')
const { authorize, clientOptions, createFetch, peerOf, secureServer, serverOptions } = require('countersign/tls')

const { bun, deno, node } = process.versions
const runtime = bun ? `bun ${bun}` : deno ? `deno ${deno}` : `node ${node}`
const BILLING = 'spiffe://example.org/billing'
const uid = /** @type {() => number} */ (process.getuid)()

/** @param {net.Server} server @returns {Promise<number>} */
const listening = (server) =>
  new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve(/** @type {net.AddressInfo} */ (server.address()).port))
  )

/** @param {net.Server} server @returns {Promise<void>} */
const closed = (server) =>
  new Promise((resolve) => {
    server.close(() => resolve())
    if (server instanceof https.Server) server.closeAllConnections()
  })

/** A request over HTTPS, where both ends are judged. @param {any} source */
async function overHttps(source) {
  const server = https.createServer(serverOptions(source, authorize.id(BILLING)), (request, response) =>
    response.end(`hello ${peerOf(request)?.spiffeId}`)
  )
  try {
    secureServer(server, source, authorize.id(BILLING))
    const port = await listening(server)
    const fetch = createFetch(source, authorize.id(BILLING))
    assert.strictEqual(await (await fetch(`https://127.0.0.1:${port}/`)).text(), `hello ${BILLING}`)
    await assert.rejects(createFetch(source, authorize.id('spiffe://example.org/shop'))(`https://127.0.0.1:${port}/`))
  } finally {
    await closed(server)
  }
  return 'https'
}

/** The same where node:https has no sockets to judge. @param {any} source */
async function overTls(source) {
  const server = tls.createServer(serverOptions(source, authorize.id(BILLING)), (socket) =>
    socket.on('error', () => {}).end(`hello ${peerOf(socket)?.spiffeId}`)
  )
  secureServer(server, source, authorize.id(BILLING))
  const port = await listening(server)
  const text = await new Promise((resolve, reject) => {
    let all = ''
    const socket = tls.connect({ host: '127.0.0.1', port, ...clientOptions(source, authorize.id(BILLING)) })
    socket
      .on('data', (chunk) => {
        all += chunk
      })
      .on('end', () => resolve(all))
      .on('error', reject)
  })
  assert.strictEqual(text, `hello ${BILLING}`)
  await closed(server)
  return 'tls'
}

async function main() {
  const [socketPath, endpoint] = process.argv.slice(2)
  const agent = socketPath
    ? { socketPath, endpoint, close: async () => {} }
    : await startAgent({
        rules: [{ match: { uid }, identity: 'BILLING', spiffeId: BILLING }],
        workloadApi: { trustDomain: 'example.org' }
      })
  const me = await getIdentity({ socketPath: agent.socketPath })
  assert.strictEqual(me.identity, 'BILLING')
  assert.strictEqual(me.runner.uid, uid)

  // The kernel's word about who listens, where this runtime lets sockets be looked at.
  const socket = net.connect(agent.socketPath)
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  let peer = 'peer credentials'
  try {
    const seen = getPeerCredentials(socket)
    assert.strictEqual(seen.uid, uid)
    if (!socketPath) assert.strictEqual(seen.pid, process.pid)
    assert.throws(() => authorizePeer(socket, { uid: uid + 1 }), { code: 'ERR_PEER_DENIED' })
  } catch (/** @type {any} */ error) {
    if ((!bun && !deno) || (error.code !== 'ERR_INVALID_ARGUMENT' && error.code !== 'ERR_UNSUPPORTED_PLATFORM'))
      throw error
    peer = 'no peer credentials here'
  }
  socket.destroy()

  const source = await X509Source.open({ endpoint: agent.endpoint })
  assert.strictEqual(String(source.svid().spiffeId), BILLING)
  const tokens = await JwtSource.open({ endpoint: agent.endpoint })
  const { token } = await tokens.fetch({ audience: 'spiffe://example.org/shop' })
  assert.strictEqual(
    String((await tokens.validate(token, { audience: 'spiffe://example.org/shop' })).spiffeId),
    BILLING
  )

  const mtls = await overHttps(source).catch((error) => {
    if (error.code !== 'ERR_UNSUPPORTED_PLATFORM') throw error
    return overTls(source)
  })
  tokens.close()
  source.close()
  await agent.close()
  process.stdout.write(
    `${process.platform} ${process.arch}, ${runtime}: an identity, ${peer}, an SVID, a token, mutual ${mtls}\n`
  )
}

main().catch((error) => {
  process.stderr.write(`${runtime}: ${error.stack}\n`)
  process.exit(1)
})
