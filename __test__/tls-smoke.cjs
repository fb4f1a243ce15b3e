'use strict'
// Does TLS work on this runtime? A plain script, because not every runtime has node's test runner:
// tls-smoke.cjs DIRECTORY, with the certificates that smoke needs. Prints one line and ends by itself.
const assert = require('node:assert')
const http = require('node:http')
const https = require('node:https')
const tls = require('node:tls')
const { X509Svid } = require('countersign')
const {
  authorize,
  clientOptions,
  createAgent,
  createFetch,
  createFrontServer,
  peerOf,
  secureServer,
  serverOptions
} = require('countersign/tls')
const { runtime } = require('./support/runtime.cjs')
const { identities, listening, raw } = require('./support/tls-script.cjs')

const [directory] = process.argv.slice(2)
const { read, shown, bundles } = identities(directory)
const GET = 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'

/** @param {string} name */
function sourceOf(name) {
  let context = Object.freeze({ svid: X509Svid.fromPem(read(`${name}.pem`)), bundles })
  /** @type {Error | undefined} */
  let failure
  /** @type {Set<(event: { type: string }) => void>} */
  const listeners = new Set()
  return {
    context() {
      if (failure) throw failure
      return context
    },
    subscribe(/** @type {(event: { type: string }) => void} */ listener) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    rotate(/** @type {string} */ next) {
      failure = undefined
      context = Object.freeze({ svid: X509Svid.fromPem(read(`${next}.pem`)), bundles })
      for (const listener of listeners) listener({ type: 'update' })
    },
    withdraw() {
      failure = Object.assign(new Error('withdrawn'), { code: 'ERR_IDENTITY_WITHDRAWN' })
      for (const listener of listeners) listener({ type: 'withdraw' })
    }
  }
}

/** What a request ends with. @param {https.RequestOptions} options @returns {Promise<string>} */
const ask = (options) =>
  new Promise((resolve) => {
    const request = https.get({ host: '127.0.0.1', ...options }, (response) => {
      let text = ''
      response
        .on('data', (chunk) => {
          text += chunk
        })
        .on('end', () => resolve(text))
    })
    request.on('error', (/** @type {any} */ error) => resolve(`refused ${error.rule ?? error.code}`))
  })

/**
 * A server that says who is asking; without the help of node:https where that has no sockets to judge.
 * @param {any} source @param {any} options @param {() => void} asked
 */
function secured(source, options, asked) {
  const web = https.createServer(serverOptions(source, authorize.any()), (request, response) => {
    asked()
    response.end(`${peerOf(request)}`)
  })
  web.on('tlsClientError', () => {})
  try {
    secureServer(web, source, authorize.any(), options)
    return web
  } catch (/** @type {any} */ error) {
    assert.strictEqual(error.code, 'ERR_UNSUPPORTED_PLATFORM')
  }
  const bare = tls.createServer(serverOptions(source, authorize.any()), (socket) => {
    socket
      .on('error', () => {})
      .once('data', () => {
        asked()
        const text = `${peerOf(socket)}`
        socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ${text.length}\r\n\r\n${text}`)
      })
  })
  bare.on('tlsClientError', () => {})
  secureServer(bare, source, authorize.any(), options)
  return bare
}

async function main() {
  const source = sourceOf('server')
  const client = sourceOf('client')
  let requests = 0
  /** @type {(string | undefined)[]} */
  const rules = []
  const options = {
    onReject: (/** @type {any} */ one) => {
      rules.push(one.rule ?? one.code)
    }
  }

  const forgotten = https.createServer(serverOptions(source, authorize.any()), () => {
    requests++
  })
  forgotten.on('tlsClientError', () => {})
  assert.match(await raw(await listening(forgotten), shown('client'), GET), /refused/)
  forgotten.close()

  const server = secured(source, options, () => requests++)
  const port = await listening(server)
  const toServer = authorize.id('spiffe://a.test/server')
  const live = clientOptions(client, toServer)
  assert.strictEqual(await ask({ port, agent: false, ...live }), 'spiffe://a.test/client')
  client.rotate('below')
  assert.strictEqual(await ask({ port, agent: false, ...live }), 'spiffe://a.test/below')
  const agent = createAgent(client, toServer)
  for (let round = 0; round < 3; round++) assert.strictEqual(await ask({ port, agent }), 'spiffe://a.test/below')
  assert.strictEqual(
    await ask({ port, agent: createAgent(client, authorize.id('spiffe://a.test/other')) }),
    'refused not_authorized'
  )
  assert.strictEqual(requests, 5)

  assert.match(await raw(port, shown('forged'), GET), /^refused/)
  assert.match(await raw(port, shown('twice'), GET), /^refused/)
  assert.match(await raw(port, {}, GET), /^refused/)
  assert.strictEqual(requests, 5)
  const told = rules.splice(0).join(' ')

  source.rotate('next')
  assert.strictEqual(
    await ask({ port, agent: false, ...clientOptions(client, authorize.id('spiffe://a.test/next')) }),
    'spiffe://a.test/below'
  )
  source.withdraw()
  assert.match(await raw(port, shown('client'), GET), /^refused/)
  source.rotate('server')
  assert.strictEqual(await ask({ port, agent: false, ...live }), 'spiffe://a.test/below')
  client.withdraw()
  assert.match(await ask({ port, agent: false, ...live }), /^refused/)
  client.rotate('client')

  // An impostor, with both bundles at hand.
  const impostor = https.createServer(shown('forgedServer'), (_request, response) => response.end('hello'))
  const other = await listening(impostor)
  for (const welcome of [authorize.any(), toServer])
    assert.match(await ask({ port: other, agent: false, ...clientOptions(client, welcome) }), /^refused/)
  impostor.close()

  const app = http.createServer((request, response) => response.end(`${peerOf(request)}`))
  const front = createFrontServer(app, source, async (id) => id.path === '/client', options)
  const door = await listening(front)
  assert.strictEqual(await ask({ port: door, agent: false, ...live }), 'spiffe://a.test/client')
  assert.match(await raw(door, shown('below'), GET), /^refused/)

  const fetched = await createFetch(
    client,
    toServer
  )(`https://127.0.0.1:${port}/`).then(
    (response) => response.text(),
    (error) => error.code ?? error.cause?.code
  )
  process.stdout.write(
    `${runtime}: TLS works, refusals are told as ${told || 'nothing'}, ` +
      `fetch ${fetched === 'spiffe://a.test/client' ? 'works' : fetched}\n`
  )
  process.exit(0)
}

main().catch((error) => {
  process.stderr.write(`${runtime}: ${error.stack}\n`)
  process.exit(1)
})
