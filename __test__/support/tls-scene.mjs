// Workloads that talk TLS: identities minted by openssl, sources that rotate, servers and clients on the loopback.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import path from 'node:path'
import tls from 'node:tls'
import { authority, CA, countersign, file, leaf, leafExtensions, mint, newKey } from './spiffe-scene.mjs'

export { refusal } from './outcome.mjs'
export { CA, countersign, face, leaf, mint }
import * as face from 'countersign/tls'
import { countersignError } from './countersign-error.mjs'
export const { authorize, BundleSet, X509Bundle, X509Svid } = countersign
const { serverOptions, secureServer, clientOptions } = face

export const VERSIONS = /** @type {const} */ (['TLSv1.2', 'TLSv1.3'])

export const rootA = authority('a.test')
export const rootB = authority('b.test')
export const intermediateA = mint({
  issuer: rootA,
  subject: '/O=intermediate',
  extensions: [...CA, 'subjectAltName=URI:spiffe://a.test']
})
export const bundleA = X509Bundle.fromPem('a.test', rootA.pem)
export const bundleB = X509Bundle.fromPem('b.test', rootB.pem)
export const both = new BundleSet([bundleA, bundleB])

/** @param {import('./spiffe-scene.mjs').Minted} minted @param {...import('./spiffe-scene.mjs').Minted} issuers */
export const svidOf = (minted, ...issuers) =>
  X509Svid.fromPem(minted.pem + issuers.map((one) => one.pem).join('') + minted.keyPem)

const serverA = leaf(rootA, 'spiffe://a.test/server')
const clientA = leaf(rootA, 'spiffe://a.test/client')
export const server = svidOf(serverA)
export const client = svidOf(clientA)
export const clientMinted = clientA
export const serverMinted = serverA

/**
 * A source that says what the test wants.
 * @param {any} svid @param {any} [bundles]
 */
export function sourceOf(svid, bundles = both) {
  let context = Object.freeze({ svid, bundles })
  /** @type {Error | undefined} */
  let failure
  const listeners = new Set()
  const tell = (/** @type {string} */ type) => {
    for (const listener of listeners) listener({ type })
  }
  return {
    context() {
      if (failure) throw failure
      return context
    },
    subscribe(/** @type {any} */ listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    get listeners() {
      return listeners.size
    },
    /** @param {any} next @param {any} [bundles] */
    rotate(next, bundles = context.bundles, { silently = false } = {}) {
      failure = undefined
      context = Object.freeze({ svid: next ?? context.svid, bundles })
      if (!silently) tell('update')
    },
    withdraw(
      error = countersignError('ERR_IDENTITY_WITHDRAWN', 'the identity was withdrawn'),
      { silently = false } = {}
    ) {
      failure = error
      if (!silently) tell('withdraw')
    }
  }
}

/** @param {any} server */
export async function listening(server) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return /** @type {import('node:net').AddressInfo} */ (server.address()).port
}

/**
 * An HTTPS server that says who is asking; what it refused, and how many requests reached the handler.
 * @param {import('node:test').TestContext} t
 * @param {any} source @param {any} welcome
 * @param {Record<string, any>} [options]
 */
export async function serve(t, source, welcome, options = {}) {
  /** @type {any[]} */
  const rejections = []
  const all = { onReject: (/** @type {any} */ one) => rejections.push(one), ...options }
  const seen = { requests: 0 }
  const server = https.createServer(serverOptions(source, welcome, all), (request, response) => {
    seen.requests++
    response.end(String(face.peerOf(request)?.spiffeId))
  })
  const secured = secureServer(server, source, welcome, all)
  const port = await listening(server)
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return { server, secured, port, rejections, seen, rules: () => rejections.map((one) => one.rule ?? one.code) }
}

/**
 * One request by plain node:tls, as an attacker would make it: what came back, or what it failed with.
 * @param {number} port
 * @param {tls.ConnectionOptions} options
 */
export function raw(port, options = {}) {
  return new Promise((resolve) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
    let text = ''
    // In the same flight as the end of the handshake: as early as a client can.
    socket.once('secureConnect', () => socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'))
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('error', (error) => resolve(/** @type {any} */ (error).code))
    socket.on('close', () =>
      resolve(text ? text.split('\r\n\r\n')[1].replace(/^[0-9a-f]+\r\n|\r\n0$/g, '') || text : 'closed')
    )
  })
}

/**
 * One request with an identity.
 * @param {number} port @param {any} source @param {any} welcome @param {Record<string, any>} [options]
 */
export function ask(port, source, welcome, options) {
  return askWith({ port, host: '127.0.0.1', agent: false, ...clientOptions(source, welcome, options) })
}

/** @param {https.RequestOptions} options @returns {Promise<string>} */
export function askWith(options) {
  return new Promise((resolve, reject) => {
    const request = https.get({ host: '127.0.0.1', ...options }, (response) => {
      let text = ''
      response
        .setEncoding('utf8')
        .on('data', (chunk) => {
          text += chunk
        })
        .on('end', () => resolve(text))
        .on('error', reject)
    })
    request.on('error', reject)
  })
}

/** The key pair and chain of an SVID, for plain node:tls. @param {any} minted @param {...any} issuers */
export const shown = (minted, ...issuers) => ({
  key: minted.keyPem,
  cert: minted.pem + issuers.map((one) => one.pem).join('')
})

let signed = 0
/**
 * A leaf that is valid at other times: openssl req does not know about those.
 * @param {import('./spiffe-scene.mjs').Minted} issuer @param {string} uri @param {string} from @param {string} to as
 * YYYYMMDDhhmmssZ
 */
export const leafBetween = (issuer, uri, from, to) => mintBetween({ issuer, from, to, extensions: leafExtensions(uri) })

/**
 * A certificate that is valid at other times.
 * @param {{ issuer: import('./spiffe-scene.mjs').Minted, from: string, to: string, extensions: string[], subject?:
 * string, key?: import('node:crypto').KeyObject }} wish
 */
export function mintBetween({ issuer, from, to, extensions, subject = '/O=leaf', key = newKey() }) {
  const name = `between-${++signed}`
  const keyPem = String(key.export({ format: 'pem', type: 'pkcs8' }))
  const keyFile = file(`${name}.key`, keyPem)
  const extensionsFile = file(`${name}.ext`, `[ext]\n${extensions.join('\n')}\n`)
  const directory = path.dirname(keyFile)
  const request = path.join(directory, `${name}.csr`)
  const out = path.join(directory, `${name}.pem`)
  const config = file(
    `${name}.cnf`,
    `[ca]\ndefault_ca=d\n[d]\ndatabase=${file(`${name}.idx`, '')}\nnew_certs_dir=${directory}\npolicy=p\n` +
      'default_md=sha256\nrand_serial=yes\n[p]\nO=optional\n'
  )
  execFileSync('openssl', ['req', '-new', '-key', keyFile, '-subj', subject, '-out', request], { stdio: 'pipe' })
  execFileSync(
    'openssl',
    [
      'ca',
      '-batch',
      '-notext',
      '-config',
      config,
      '-in',
      request,
      '-cert',
      issuer.file,
      '-keyfile',
      issuer.keyFile,
      '-startdate',
      from,
      '-enddate',
      to,
      '-extfile',
      extensionsFile,
      '-extensions',
      'ext',
      '-out',
      out
    ],
    { stdio: 'pipe' }
  )
  const pem = readFileSync(out, 'utf8')
  return { pem, key, keyPem, file: out, keyFile, der: Buffer.alloc(0) }
}

/** As openssl writes a time. @param {number} ms from now */
export const timeIn = (ms) => `${new Date(Date.now() + ms).toISOString().replace(/[-:T]|\..*/g, '')}Z`

/** What tls-smoke.cjs needs, as files: certificates with their issuers and keys. @param {string} directory */
export function writeIdentities(directory) {
  const write = (/** @type {string} */ name, /** @type {string} */ text) =>
    writeFileSync(path.join(directory, `${name}.pem`), text)
  const identity = (/** @type {string} */ name, /** @type {any} */ minted, /** @type {any[]} */ ...issuers) =>
    write(name, [minted, ...issuers].map((one) => one.pem).join('') + minted.keyPem)
  write('rootA', rootA.pem)
  write('rootB', rootB.pem)
  identity('server', serverMinted)
  identity('client', clientMinted)
  identity('next', leaf(rootA, 'spiffe://a.test/next'))
  identity('below', leaf(intermediateA, 'spiffe://a.test/below'), intermediateA)
  identity('forged', leaf(rootB, 'spiffe://a.test/client'))
  identity('forgedServer', leaf(rootB, 'spiffe://a.test/server'))
  identity('twice', leaf(rootA, 'spiffe://a.test/a', { subjectAltName: 'URI:spiffe://a.test/a,URI:spiffe://a.test/b' }))
}
