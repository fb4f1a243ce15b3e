'use strict'
// What must not get through, on whichever runtime this is: a plain script, because not every runtime has node's test
// runner. tls-attacks.cjs DIRECTORY, with the certificates of `writeIdentities` and `writeAttacks`. Prints one line and
// ends by itself.
const assert = require('node:assert')
const http = require('node:http')
const tls = require('node:tls')
const { BundleSet, X509Bundle, X509Svid } = require('countersign')
const { authorize, clientOptions, createFrontServer, peerOf, secureServer, serverOptions } = require('countersign/tls')
const { runtime } = require('./support/runtime.cjs')
const { identities, listening, raw } = require('./support/tls-script.cjs')

const [directory] = process.argv.slice(2)
/** On Node.js a server hears of everybody whom node:tls is about to refuse, and tells. Elsewhere of some. */
const ALL_TOLD = !process.versions.bun && !process.versions.deno
const VERSIONS = /** @type {const} */ (['TLSv1.2', 'TLSv1.3'])

const { read, shown, bundles } = identities(directory)
/** @type {{ what: string, side: 'server' | 'client' | 'both', key: string, cert: string, rule: string }[]} */
const ATTACKS = JSON.parse(read('attacks.json'))
const wait = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** @param {string} name */
function sourceOf(name) {
  let context = Object.freeze({ svid: X509Svid.fromPem(read(`${name}.pem`)), bundles })
  return {
    context: () => context,
    subscribe: () => () => {},
    trust(/** @type {any} */ bundles) {
      context = Object.freeze({ ...context, bundles })
    }
  }
}

/**
 * What a client of ours gets: an answer, or what it was refused with.
 * @param {number} port
 * @param {tls.ConnectionOptions} options
 * @returns {Promise<string>}
 */
const ours = (port, options) =>
  new Promise((resolve) => {
    const socket = tls.connect({ port, host: '127.0.0.1', ...options })
    socket.on('data', (chunk) => {
      resolve(`heard ${chunk}`)
      socket.destroy()
    })
    socket.on('error', (/** @type {any} */ error) => resolve(error.rule ?? error.code))
    socket.on('close', () => resolve('closed'))
    socket.write('secret')
  })

/**
 * A server of ours that answers with the name of who is asking.
 * @param {any} source
 * @param {any} welcome
 * @param {any} limits
 */
async function secured(source, welcome, limits) {
  const seen = { heard: 0, rules: /** @type {(string | undefined)[]} */ ([]) }
  const options = { ...limits, onReject: (/** @type {any} */ one) => seen.rules.push(one.rule ?? one.code) }
  const server = tls.createServer(serverOptions(source, welcome, options), (socket) => {
    socket
      .on('error', () => {})
      .once('data', () => {
        seen.heard++
        socket.end(`${peerOf(socket)}`)
      })
  })
  server.on('tlsClientError', () => {})
  secureServer(server, source, welcome, options)
  return { server, seen, port: await listening(server) }
}

/** An impostor, which speaks as early as it can. @param {any} options */
async function impostor(options) {
  const seen = { heard: '' }
  const server = tls.createServer(options, (socket) => {
    socket
      .on('error', () => {})
      .on('data', (chunk) => {
        seen.heard += chunk
      })
    socket.write('evil')
  })
  server.on('tlsClientError', () => {})
  return { server, seen, port: await listening(server) }
}

const counted = { told: 0, byNode: 0 }
/** @param {string} what @param {string} rule @param {readonly (string | undefined)[]} rules */
function reason(what, rule, rules) {
  if (rules.length === 0 && !ALL_TOLD) return counted.byNode++
  assert.deepStrictEqual(rules, [rule], what)
  return counted.told++
}

/** @param {typeof VERSIONS[number]} version */
async function attackServer(version) {
  const limits = { minVersion: version, maxVersion: version }
  const source = sourceOf('server')
  let verdict = () => /** @type {any} */ (true)
  const { server, seen, port } = await secured(source, () => verdict(), limits)
  assert.strictEqual(await raw(port, { ...shown('client'), ...limits }, 'hello'), 'spiffe://a.test/client')
  assert.strictEqual(await raw(port, { ...shown('below'), ...limits }, 'hello'), 'spiffe://a.test/below')
  assert.deepStrictEqual(seen.rules, [])
  seen.heard = 0
  for (const { what, side, key, cert, rule } of ATTACKS) {
    if (side === 'client') continue
    assert.strictEqual(await raw(port, { key, cert, ...limits }, 'hello'), 'refused', what)
    reason(`${version}, server: ${what}`, rule, seen.rules.splice(0))
  }
  assert.strictEqual(await raw(port, limits, 'hello'), 'refused')
  reason(`${version}, server: no certificate`, 'no_certificate', seen.rules.splice(0))

  const slow = (/** @type {boolean} */ answer) => () => {
    for (const until = Date.now() + 30; Date.now() < until; );
    return answer
  }
  for (const [answer, rule] of /** @type {[() => any, string][]} */ ([
    [
      () => {
        throw new Error('bug')
      },
      'authorizer_failed'
    ],
    [async () => true, 'authorizer_failed'],
    [() => 1, 'authorizer_failed'],
    [() => false, 'not_authorized'],
    [slow(false), 'not_authorized']
  ])) {
    verdict = answer
    assert.strictEqual(await raw(port, { ...shown('client'), ...limits }, 'hello'), 'refused')
    assert.deepStrictEqual(seen.rules.splice(0), [rule])
  }

  // A session from before, with and without a certificate, after the authorizer and the bundles changed.
  verdict = slow(true)
  /** @type {Buffer | undefined} */
  let session
  const first = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...shown('client'), ...limits })
  first.on('session', (one) => {
    session = one
  })
  await new Promise((resolve) =>
    first
      .on('error', resolve)
      .on('secureConnect', () => first.write('hello'))
      .on('data', resolve)
  )
  session ??= first.getSession?.()
  first.destroy()
  seen.heard = 0
  const back = { ...limits, ...(session && { session }) }
  assert.strictEqual(await raw(port, back, 'hello'), 'refused')
  reason(`${version}, server: a session without a certificate`, 'no_certificate', seen.rules.splice(0))
  verdict = () => false
  assert.strictEqual(await raw(port, { ...shown('client'), ...back }, 'hello'), 'refused')
  assert.deepStrictEqual(seen.rules.splice(0), ['not_authorized'])
  verdict = () => true
  source.trust(new BundleSet([X509Bundle.fromPem('a.test', read('rootB.pem'))]))
  assert.strictEqual(await raw(port, { ...shown('client'), ...back }, 'hello'), 'refused')
  reason(`${version}, server: a session from before the bundle changed`, 'unknown_issuer', seen.rules.splice(0))
  assert.strictEqual(seen.heard, 0)
  server.close()

  let requests = 0
  /** @type {string[]} */
  const rules = []
  const app = http.createServer((_request, response) => {
    requests++
    response.end()
  })
  const front = createFrontServer(
    app,
    sourceOf('server'),
    async (id) => {
      await wait(30)
      return id.path === '/nobody'
    },
    { ...limits, onReject: (one) => rules.push(String(one.rule)) }
  )
  front.on('tlsClientError', () => {})
  assert.strictEqual(await raw(await listening(front), { ...shown('client'), ...limits }, 'hello'), 'refused')
  assert.deepStrictEqual([requests, rules], [0, ['not_authorized']])
  front.close()
}

/** What node:tls says of a chain it does not take. */
const OF_NODE = new RegExp(
  '^(UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|CERT_|INVALID_|PATH_LENGTH|UNSPECIFIED|UNSUPPORTED_CERT|ERR_TLS_CERT|' +
    'ERR_SSL|ERR_BORINGSSL|UNKNOWN_)'
)

/** @param {typeof VERSIONS[number]} version */
async function attackClient(version) {
  const limits = { minVersion: version, maxVersion: version }
  for (const { what, side, key, cert, rule } of ATTACKS) {
    if (side === 'server') continue
    const { server, seen, port } = await impostor({ key, cert, ...limits })
    /** @type {(string | undefined)[]} */
    const rules = []
    const said = await ours(
      port,
      clientOptions(sourceOf('client'), authorize.any(), { onReject: (one) => rules.push(one.rule) })
    )
    assert.ok(rules.length > 0 ? said === rule : OF_NODE.test(said), `${version}, client: ${what}: ${said}`)
    if (rules.length > 0) assert.deepStrictEqual(rules, [rule], what)
    counted[rules.length > 0 ? 'told' : 'byNode']++
    assert.strictEqual(seen.heard, '', what)
    server.close()
  }
  const honest = await impostor({ ...shown('server'), ...limits })
  const source = sourceOf('client')
  let verdict = () => /** @type {any} */ (true)
  const options = clientOptions(source, () => verdict())
  assert.strictEqual(await ours(honest.port, options), 'heard evil')
  honest.seen.heard = ''
  for (const [answer, rule] of /** @type {[() => any, string][]} */ ([
    [
      () => {
        throw new Error('bug')
      },
      'authorizer_failed'
    ],
    [async () => true, 'authorizer_failed'],
    [() => false, 'not_authorized'],
    [
      () => {
        for (const until = Date.now() + 30; Date.now() < until; );
        return false
      },
      'not_authorized'
    ]
  ])) {
    verdict = answer
    assert.strictEqual(await ours(honest.port, options), rule)
  }
  verdict = () => true
  source.trust(new BundleSet([X509Bundle.fromPem('a.test', read('rootB.pem'))]))
  assert.match(await ours(honest.port, options), OF_NODE)
  assert.strictEqual(honest.seen.heard, '')
  honest.server.close()
}

async function main() {
  for (const version of VERSIONS) {
    await attackServer(version)
    await attackClient(version)
  }
  const mood = process.env.NODE_TLS_REJECT_UNAUTHORIZED === undefined ? '' : ', with NODE_TLS_REJECT_UNAUTHORIZED=0'
  process.stdout.write(
    `${runtime}: ${counted.told + counted.byNode} attacks failed${mood}; we said why of ${counted.told}, ` +
      `node:tls refused ${counted.byNode} before\n`
  )
  process.exit(0)
}

main().catch((error) => {
  process.stderr.write(`${runtime}: ${error.stack}\n`)
  process.exit(1)
})
