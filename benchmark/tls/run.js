'use strict'
/**
 * npm run bench:tls [-- --built] [-- --only handshakes|requests|rotation|day] - mutual TLS with us beside plain node:tls, which
 * pools all authorities and compares the SAN as text: what people write today. Both in one process, interleaved round by
 * round. Prints medians and ratios. `--built`: take the addon that is there.
 */
const { execFileSync } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const https = require('node:https')
const os = require('node:os')
const path = require('node:path')
const { monitorEventLoopDelay } = require('node:perf_hooks')
const tls = require('node:tls')
const { setTimeout: sleep } = require('node:timers/promises')

const root = path.join(__dirname, '..', '..')
const round = (number, digits = 2) => Number(number.toFixed(digits))
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]
const verdict = (value, limit, below) =>
  (below ? value <= limit : value >= limit) ? 'ok' : `MISSED (${below ? '<=' : '>='} ${limit})`

function line(what, value, limit, detail, { below = true, unit = 'x' } = {}) {
  console.log(
    `  ${what.padEnd(56)} ${String(round(value)).padStart(7)} ${unit.padEnd(2)} ${verdict(value, limit, below).padEnd(18)} ${detail}`
  )
}

/** Certificates by openssl: two authorities, an intermediate, leaves. */
function certificates(directory) {
  const at = (name) => path.join(directory, name)
  const CA = 'basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign'
  const LEAF = 'basicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature'
  const make = (name, extensions, issuer) => {
    fs.writeFileSync(
      at(`${name}.cnf`),
      `[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[ext]\n${extensions}\n`
    )
    const by = issuer ? ['-CA', at(`${issuer.name}.pem`), '-CAkey', at(`${issuer.name}.key`)] : []
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-keyout',
        at(`${name}.key`),
        '-out',
        at(`${name}.pem`),
        '-subj',
        `/O=${name}`,
        '-config',
        at(`${name}.cnf`),
        '-days',
        '30',
        ...by
      ],
      { stdio: 'pipe' }
    )
    return { name, cert: fs.readFileSync(at(`${name}.pem`), 'utf8'), key: fs.readFileSync(at(`${name}.key`), 'utf8') }
  }
  const leaf = (name, issuer) =>
    make(name.replace('/', '-'), `${LEAF}\nsubjectAltName=URI:spiffe://a.test/${name}`, issuer)
  const rootA = make('rootA', `${CA}\nsubjectAltName=URI:spiffe://a.test`)
  const rootB = make('rootB', `${CA}\nsubjectAltName=URI:spiffe://b.test`)
  const between = make('between', `${CA}\nsubjectAltName=URI:spiffe://a.test`, rootA)
  const below = leaf('below', between)
  return {
    rootA,
    rootB,
    leaf: (name) => leaf(name, rootA),
    server: leaf('server', rootA),
    client: leaf('client', rootA),
    below: { ...below, cert: below.cert + between.cert }
  }
}

function sourceOf({ X509Svid }, minted, bundles) {
  const listeners = new Set()
  let context = Object.freeze({ svid: X509Svid.fromPem(minted.cert, minted.key), bundles })
  return {
    context: () => context,
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    rotate(next, newBundles = context.bundles) {
      context = Object.freeze({ svid: X509Svid.fromPem(next.cert, next.key), bundles: newBundles })
      for (const listener of listeners) listener({ type: 'update' })
    }
  }
}

async function listening(server) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server.address().port
}

/** One connection, from the first packet to a byte that came back: by then both sides have judged. */
function handshake(options) {
  return new Promise((resolve, reject) => {
    const socket = tls.connect(options)
    socket.on('secureConnect', () => socket.write('x'))
    socket.on('data', () => {
      socket.destroy()
      resolve()
    })
    socket.on('error', reject)
  })
}

/** What people write today. */
const naive = (expected) => (host, certificate) =>
  certificate.subjectaltname === `URI:${expected}` ? undefined : new Error('not the server')

async function handshakes(scene, { cs, face, bundles }) {
  const { authorize, clientOptions, secureServer, serverOptions } = face
  const echo = (socket) => {
    socket.on('error', () => {})
    socket.on('data', (chunk) => socket.write(chunk))
  }
  for (const [what, minted, name] of [
    ['leaf signed by the authority', scene.client, 'client'],
    ['with an intermediate', scene.below, 'below']
  ]) {
    for (const version of ['TLSv1.3', 'TLSv1.2']) {
      const ca = [scene.rootA.cert, scene.rootB.cert]
      const limits = { minVersion: version, maxVersion: version }
      const plain = tls.createServer(
        { ...limits, key: scene.server.key, cert: scene.server.cert, ca, requestCert: true, rejectUnauthorized: true },
        (socket) => {
          if (socket.getPeerCertificate().subjectaltname !== `URI:spiffe://a.test/${name}`) return socket.destroy()
          echo(socket)
        }
      )
      const source = sourceOf(cs, scene.server, bundles)
      const welcome = authorize.id(`spiffe://a.test/${name}`)
      const ours = tls.createServer(serverOptions(source, welcome, limits), echo)
      secureServer(ours, source, welcome, limits)
      const ports = { plain: await listening(plain), ours: await listening(ours) }
      const options = {
        // Its context is made once as well, and no session is kept.
        plain: {
          host: '127.0.0.1',
          port: ports.plain,
          secureContext: tls.createSecureContext({ ...limits, key: minted.key, cert: minted.cert, ca }),
          checkServerIdentity: naive('spiffe://a.test/server')
        },
        ours: {
          host: '127.0.0.1',
          port: ports.ours,
          ...clientOptions(sourceOf(cs, minted, bundles), authorize.id('spiffe://a.test/server'), limits)
        }
      }
      const times = { plain: [], ours: [] }
      for (let turn = -4; turn < 40; turn++) {
        for (const kind of turn % 2 ? ['plain', 'ours'] : ['ours', 'plain']) {
          const start = process.hrtime.bigint()
          for (let index = 0; index < 25; index++) await handshake(options[kind])
          if (turn >= 0) times[kind].push(Number(process.hrtime.bigint() - start) / 25e3)
        }
      }
      const [a, b] = [median(times.ours), median(times.plain)]
      line(`${version}, full handshake, ${what}`, a / b, 1.1, `us: ours ${round(a, 0)}, plain ${round(b, 0)}`)
      plain.close()
      ours.close()
    }
  }
}

async function requests(scene, { cs, face, bundles }) {
  const { authorize, createAgent, secureServer, serverOptions, peerOf } = face
  const ca = [scene.rootA.cert, scene.rootB.cert]
  const welcome = authorize.id('spiffe://a.test/client')
  const answer = (name) => (request, response) => response.end(name(request))
  const plain = https.createServer(
    { key: scene.server.key, cert: scene.server.cert, ca, requestCert: true, rejectUnauthorized: true },
    answer((request) => {
      const { subjectaltname } = (request.socket.peer ??= request.socket.getPeerCertificate())
      return subjectaltname
    })
  )
  const source = sourceOf(cs, scene.server, bundles)
  const ours = https.createServer(
    serverOptions(source, welcome),
    answer((request) => peerOf(request).spiffeId.uri)
  )
  secureServer(ours, source, welcome)
  const agents = {
    plain: [
      await listening(plain),
      new https.Agent({
        keepAlive: true,
        maxSockets: 16,
        key: scene.client.key,
        cert: scene.client.cert,
        ca,
        checkServerIdentity: naive('spiffe://a.test/server')
      })
    ],
    ours: [
      await listening(ours),
      createAgent(sourceOf(cs, scene.client, bundles), authorize.id('spiffe://a.test/server'), {
        agent: { maxSockets: 16 }
      })
    ]
  }
  const ask = ([port, agent]) =>
    new Promise((resolve, reject) =>
      https
        .get({ host: '127.0.0.1', port, agent }, (response) => response.resume().on('end', resolve))
        .on('error', reject)
    )
  const rates = { plain: [], ours: [] }
  for (let turn = -3; turn < 25; turn++) {
    for (const kind of turn % 2 ? ['plain', 'ours'] : ['ours', 'plain']) {
      let left = 800
      const start = process.hrtime.bigint()
      await Promise.all(
        Array.from({ length: 16 }, async () => {
          while (left-- > 0) await ask(agents[kind])
        })
      )
      if (turn >= 0) rates[kind].push(800e9 / Number(process.hrtime.bigint() - start))
    }
  }
  const [a, b] = [median(rates.ours), median(rates.plain)]
  line('requests a second over kept connections', a / b, 0.98, `ours ${round(a, 0)}, plain ${round(b, 0)}`, {
    below: false
  })
  for (const [, agent] of Object.values(agents)) agent.destroy()
  plain.close()
  ours.close()
}

async function rotation(scene, { cs, face, bundles }) {
  const { authorize, secureServer, serverOptions } = face
  const source = sourceOf(cs, scene.server, bundles)
  const servers = []
  for (let index = 0; index < 100; index++) {
    const server = https.createServer(serverOptions(source, authorize.memberOf('a.test')))
    secureServer(server, source, authorize.memberOf('a.test'))
    await listening(server)
    servers.push(server)
  }
  const leaves = Array.from({ length: 11 }, (_, index) => scene.leaf(`next${index}`))
  const [totals, blocks] = [[], []]
  for (const leaf of leaves) {
    await sleep(50)
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    await sleep(20)
    delay.reset()
    const start = process.hrtime.bigint()
    source.rotate(leaf)
    totals.push(Number(process.hrtime.bigint() - start) / 1e6)
    await sleep(30)
    delay.disable()
    blocks.push(Math.max(totals.at(-1), delay.max / 1e6 - 1))
  }
  line('rotation of 100 servers, all of it', median(totals), 50, `the most ${round(Math.max(...totals))}`, {
    unit: 'ms'
  })
  line('rotation of 100 servers, the longest block', median(blocks), 10, `the most ${round(Math.max(...blocks))}`, {
    unit: 'ms'
  })
  for (const server of servers) server.close()
}

/** A day of rotations in a minute: SVIDs live an hour and are renewed after half of it, authorities change every six hours. */
async function day(scene, { cs, face }, seconds = 60) {
  const { authorize, createAgent, secureServer, serverOptions } = face
  const { X509Bundle, BundleSet } = cs
  const bundleOf = (...roots) => new BundleSet([X509Bundle.fromPem('a.test', roots.map((one) => one.cert).join(''))])
  const source = sourceOf(cs, scene.server, bundleOf(scene.rootA))
  const client = sourceOf(cs, scene.client, bundleOf(scene.rootA))
  const options = {
    maxConnectionAge: (seconds * 1000) / 48,
    closeOnBundleRemoval: true,
    onReject: ({ rule, error }) => {
      failures.push(rule ?? error.message)
    }
  }
  const failures = []
  let done = 0
  const server = https.createServer(serverOptions(source, authorize.any(), options), (request, response) =>
    response.end('x'.repeat(500))
  )
  secureServer(server, source, authorize.any(), options)
  const port = await listening(server)
  const until = Date.now() + seconds * 1000
  const clients = Array.from({ length: 50 }, async () => {
    const agent = createAgent(client, authorize.memberOf('a.test'), {
      maxConnectionAge: (seconds * 1000) / 48,
      agent: { maxSockets: 1 }
    })
    while (Date.now() < until) {
      await new Promise((resolve) =>
        https
          .get({ host: '127.0.0.1', port, agent }, (response) =>
            response
              .resume()
              .on('end', resolve)
              .on('error', (error) => {
                failures.push(error.code)
                resolve()
              })
          )
          .on('error', (error) => {
            failures.push(error.code)
            resolve()
          })
      )
      done++
      await sleep(5)
    }
    agent.destroy()
  })
  const leaves = Array.from({ length: 8 }, (_, index) => scene.leaf(`day${index}`))
  const memory = []
  for (let turn = 0; turn < 48; turn++) {
    await sleep((seconds * 1000) / 48)
    // An authority is announced before it is used, and removed after.
    const bundles = turn % 12 < 6 ? bundleOf(scene.rootA) : bundleOf(scene.rootA, scene.rootB)
    source.rotate(leaves[turn % 4], bundles)
    client.rotate(leaves[4 + (turn % 4)], bundles)
    if (turn >= 12) {
      global.gc?.()
      memory.push(process.memoryUsage().rss / 1048576)
    }
  }
  await Promise.all(clients)
  server.close()
  server.closeAllConnections()
  const third = (memory.length / 3) | 0
  const growth = median(memory.slice(-third)) / median(memory.slice(0, third))
  line(
    'a day of rotations under 50 clients, failed requests',
    failures.length,
    0,
    `${done} requests, 48 rotations ${failures.slice(0, 3).join(' ')}`,
    { unit: '' }
  )
  line(
    'a day of rotations, memory at its end to that before',
    growth,
    1.1,
    `MiB: ${round(memory[0], 0)} to ${round(memory.at(-1), 0)}`
  )
}

async function main() {
  if (!process.argv.includes('--built')) require('../../scripts/build').build()
  const only = process.argv[process.argv.indexOf('--only') + 1]
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-bench-'))
  try {
    const scene = certificates(directory)
    const cs = require(root)
    const face = require('../../tls')
    const bundles = new cs.BundleSet([
      cs.X509Bundle.fromPem('a.test', scene.rootA.cert),
      cs.X509Bundle.fromPem('b.test', scene.rootB.cert)
    ])
    console.log(`Node.js ${process.version}, OpenSSL ${process.versions.openssl}`)
    for (const [name, run] of Object.entries({ handshakes, requests, rotation, day })) {
      if (!process.argv.includes('--only') || only === name) await run(scene, { cs, face, bundles })
    }
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error)
    process.exit(1)
  }
)
