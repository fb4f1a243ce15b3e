// TLS with the live sources of the Workload API, the way a program would use it: README and examples as they are.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import https from 'node:https'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { entryPoint, root, runScript } from './support/child.mjs'
import { authorize, countersign, face, listening } from './support/tls-scene.mjs'
import { domain, healthy, startStub, x509Response } from './support/workload-stub.mjs'
import { untilWithin } from './support/until.mjs'

const until = untilWithin(8)

const { JwtSource, X509Source } = countersign
const { createAgent, createFetch, peerOf, requireBearer, bearer, secureServer, serverOptions } = face

const home = domain('example.org')
const stub = await startStub(healthy(home))
after(() => stub.kill())

test('an X509Source serves, is followed when it rotates, and closes the door when it is withdrawn', async (t) => {
  const own = await startStub(healthy(home))
  const source = await X509Source.open({ endpoint: own.endpoint })
  t.after(() => {
    source.close()
    return own.kill()
  })
  const billing = authorize.id('spiffe://example.org/billing')
  /** @type {any[]} */
  const rejections = []
  const server = https.createServer(serverOptions(source, billing), (request, response) =>
    response.end(`${peerOf(request)}`)
  )
  secureServer(server, source, billing, {
    closeOnWithdraw: true,
    onReject: (/** @type {any} */ one) => rejections.push(one)
  })
  const port = await listening(server)
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const spiffeFetch = createFetch(source, authorize.any())
  const ask = async () => (await spiffeFetch(`https://localhost:${port}/`)).text()
  assert.equal(await ask(), 'spiffe://example.org/billing')

  const before = source.context()
  const next = home.svid('/billing')
  own.push('FetchX509SVID', x509Response({ svids: [next] }))
  await until(() => source.context() !== before, 'the new SVID')
  const agent = createAgent(source, billing, { agent: { keepAlive: false } })
  const serial = await new Promise((resolve, reject) =>
    https
      .get({ port, host: '127.0.0.1', agent }, (response) =>
        resolve(/** @type {any} */ (response.resume().socket).getPeerCertificate().raw)
      )
      .on('error', reject)
  )
  assert.ok(serial.equals(next.chain))
  assert.equal(await ask(), 'spiffe://example.org/billing')

  const kept = createAgent(source, billing)
  const socket = await new Promise((resolve, reject) =>
    https
      .get({ port, host: '127.0.0.1', agent: kept }, (response) => resolve(response.resume().socket))
      .on('error', reject)
  )
  own.answer((call) => call.end(7, 'no identity issued'))
  own.end('FetchX509SVID', 7, 'no identity issued')
  await until(() => source.state === 'withdrawn', 'the withdrawal')
  if (!socket.closed) await once(socket, 'close')
  await assert.rejects(createFetch(source, billing)(`https://localhost:${port}/`))
  await until(() => rejections.some((one) => one.code === 'ERR_IDENTITY_WITHDRAWN'), 'the rejection')
  await spiffeFetch.close()
})

test('a source that is not ready yet', async (t) => {
  const own = await startStub(() => {})
  const source = new X509Source({ endpoint: own.endpoint })
  t.after(() => {
    source.close()
    return own.kill()
  })
  const server = https.createServer(serverOptions(source, authorize.any()), (_request, response) => response.end('in'))
  secureServer(server, source, authorize.any())
  const port = await listening(server)
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const spiffeFetch = createFetch(source, authorize.any())
  await assert.rejects(spiffeFetch(`https://localhost:${port}/`))
  await until(() => own.open.size === 1, 'the stream')
  own.push('FetchX509SVID', x509Response({ svids: [home.svid('/billing')] }))
  await source.ready()
  assert.equal(await (await spiffeFetch(`https://localhost:${port}/`)).text(), 'in')
  await spiffeFetch.close()
})

test('a JwtSource gives tokens, and judges them', async (t) => {
  const source = await JwtSource.open({ endpoint: stub.endpoint })
  t.after(() => source.close())
  const http = await import('node:http')
  const guard = requireBearer(source, { audience: 'shop', authorize: authorize.memberOf('example.org') })
  const server = http.createServer((request, response) =>
    guard(request, response, () => response.end(`${peerOf(request)}`))
  )
  const port = await listening(server)
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const authorization = bearer(source, 'shop')
  const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: await authorization() })
  assert.equal(await answer.text(), 'spiffe://example.org/billing')
  const wrong = await fetch(`http://127.0.0.1:${port}/`, { headers: await bearer(source, 'store')() })
  assert.equal(wrong.status, 401)
})

test('the README does what it says', async () => {
  const readme = readFileSync(path.join(root, 'README.md'), 'utf8')
  const block = /```js\n(const https = require\('node:https'\)\n[^`]*countersign\/tls[\s\S]*?)```/.exec(readme)?.[1]
  assert.ok(block, 'the block about TLS')
  const probe = net.createServer()
  const port = await listening(probe)
  await new Promise((resolve) => probe.close(resolve))
  const script = block
    .replaceAll("require('countersign/tls')", `require(${JSON.stringify(entryPoint('countersign/tls'))})`)
    .replaceAll("require('countersign')", `require(${JSON.stringify(root)})`)
    .replaceAll('8443', String(port))
  const { stdout, stderr } = await runScript(
    `(async () => { ${script}\n; console.log(text); ` +
      'process.exit() })().catch((error) => { console.log(error); process.exit(1) })',
    { env: { SPIFFE_ENDPOINT_SOCKET: stub.endpoint } }
  )
  assert.equal(stdout, 'hello spiffe://example.org/billing\n', stderr)
})

/** @param {string} file @param {...string} args */
function example(file, ...args) {
  const { NODE_TEST_CONTEXT, ...env } = process.env
  const child = spawn(process.execPath, [path.join(root, 'examples', file), ...args], {
    env: { ...env, SPIFFE_ENDPOINT_SOCKET: stub.endpoint },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
  })
  child.stderr.on('data', (chunk) => {
    text += chunk
  })
  return {
    child,
    ended: once(child, 'close').then(() => text),
    until: async (/** @type {string} */ line) => {
      while (!text.includes(line)) {
        assert.equal(child.exitCode, null, `it ended without ${line}: ${text}`)
        await sleep(5)
      }
    }
  }
}

test('example: https and fetch', async () => {
  assert.equal(
    await example('tls/https.js').ended,
    [
      'client: hello spiffe://example.org/billing',
      'client: spiffe://example.org/billing is not authorized: expected spiffe://example.org/somebody-else',
      'server: refused []: no_certificate',
      ''
    ].join('\n')
  )
})

test('example: http2', async () => {
  assert.equal(
    await example('tls/http2.js').ended,
    'client: hello spiffe://example.org/billing\nclient: the server is spiffe://example.org/billing\n' +
      'client: the session has ended\n'
  )
})

test('example: the main process of an Electron application, and its daemon', async (t) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'countersign-electron-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const socket = path.join(directory, 'acmed.sock')
  const daemon = example('electron/daemon.js', socket)
  await daemon.until('listening')
  try {
    assert.equal(
      await example('electron/main.js', socket).ended,
      'main: spiffe://example.org/billing says to spiffe://example.org/billing: all is well\n'
    )
    assert.match(
      await example('electron/main.js', socket, '/usr/lib/acme/acmed').ended,
      /^main: ERR_UNTRUSTED_SERVER: /
    )
  } finally {
    daemon.child.kill()
    await daemon.ended
  }
  const picky = example('electron/daemon.js', `${socket}2`, '/usr/lib/acme/acme')
  await picky.until('listening')
  try {
    assert.match(await example('electron/main.js', `${socket}2`).ended, /^main: (ECONNRESET|EPIPE)/)
    await picky.until('was refused: exe')
  } finally {
    picky.child.kill()
    await picky.ended
  }
})
