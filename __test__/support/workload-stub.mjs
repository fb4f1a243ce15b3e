// A Workload API that does what it is told: for faults the real ones will not produce. The wire is written out by hand,
// over node:http2, so that nothing of the package is on both sides.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http2'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { authority, claims, leaf, newKey, token } from './spiffe-scene.mjs'

// Protocol buffers
// -----------------------------------------------------------------------------------------------------

/** @param {number} value */
function varint(value) {
  const bytes = []
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128)
  return Buffer.from([...bytes, value])
}

/** A length-delimited field. @param {number} number @param {string | Uint8Array} value */
export function field(number, value) {
  const bytes = Buffer.from(value)
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes])
}

/** @param {number} number @param {Record<string, string | Uint8Array>} entries */
const map = (number, entries) =>
  Object.entries(entries).map(([key, value]) => field(number, Buffer.concat([field(1, key), field(2, value)])))
const optional = (/** @type {number} */ number, /** @type {any} */ value) =>
  value === undefined || value.length === 0 ? [] : [field(number, value)]

/**
 * @param {{ svids: { id?: string, chain?: Uint8Array, key?: Uint8Array, bundle?: Uint8Array, hint?: string }[], crl?:
 * Uint8Array[], federated?: Record<string, Uint8Array> }} told
 */
export function x509Response({ svids, crl = [], federated = {} }) {
  const one = (/** @type {any} */ { id, chain, key, bundle, hint }) =>
    Buffer.concat([
      ...optional(1, id),
      ...optional(2, chain),
      ...optional(3, key),
      ...optional(4, bundle),
      ...optional(5, hint)
    ])
  return Buffer.concat([
    ...svids.map((svid) => field(1, one(svid))),
    ...crl.map((der) => field(2, der)),
    ...map(3, federated)
  ])
}

/** @param {Record<string, Uint8Array>} bundles @param {Uint8Array[]} [crl] */
export const x509BundlesResponse = (bundles, crl = []) =>
  Buffer.concat([...crl.map((der) => field(1, der)), ...map(2, bundles)])
/** @param {Record<string, string | Uint8Array>} bundles */
export const jwtBundlesResponse = (bundles) => Buffer.concat(map(1, bundles))
/** @param {{ id?: string, token?: string, hint?: string }[]} svids */
export const jwtResponse = (svids) =>
  Buffer.concat(
    svids.map(({ id, token, hint }) =>
      field(1, Buffer.concat([...optional(1, id), ...optional(2, token), ...optional(3, hint)]))
    )
  )
/** @param {{ id?: string, token?: string, key?: string, hint?: string }[]} svids */
export const witResponse = (svids) =>
  Buffer.concat(
    svids.map(({ id, token, key, hint }) =>
      field(1, Buffer.concat([...optional(1, id), ...optional(2, token), ...optional(3, key), ...optional(4, hint)]))
    )
  )

/** The strings of a request, by field. @param {Buffer} message */
export function strings(message) {
  /** @type {Record<number, string[]>} */
  const found = {}
  const number = () => {
    let value = 0
    for (let shift = 1; ; shift *= 128) {
      const byte = message[at++]
      value += (byte & 127) * shift
      if (byte < 128) return value
    }
  }
  let at = 0
  while (at < message.length) {
    const tag = number() >> 3
    const length = number()
    ;(found[tag] ??= []).push(message.toString('utf8', at, (at += length)))
  }
  return found
}

// Material
// -------------------------------------------------------------------------------------------------------------

/** One trust domain with a signer for certificates and one for tokens. */
export function domain(name = 'example.org') {
  const ca = authority(name)
  const key = newKey()
  const jwk = { .../** @type {any} */ (key.export({ format: 'jwk' })), kid: 'one' }
  delete jwk.d
  return {
    name,
    ca,
    jwks: JSON.stringify({ keys: [jwk] }),
    /**
     * Valid for some days, or from and until so many seconds from now.
     * @param {string} path
     * @param {{ hint?: string, other?: Record<string, string>, from?: number, until?: number }} [options]
     */
    svid(path, { hint, other, from, until } = {}) {
      const at = (/** @type {number | undefined} */ seconds) =>
        seconds === undefined ? undefined : new Date(Date.now() + seconds * 1000)
      const { der, key } = leaf(ca, `spiffe://${name}${path}`, other, undefined, { from: at(from), to: at(until) })
      return {
        id: `spiffe://${name}${path}`,
        chain: der,
        key: key.export({ format: 'der', type: 'pkcs8' }),
        bundle: ca.der,
        hint
      }
    },
    /** @param {string} path @param {string[]} audience @param {number} [seconds] */
    token(path, audience, seconds = 600) {
      const now = Math.floor(Date.now() / 1000)
      const sub = `spiffe://${name}${path}`
      return {
        id: sub,
        token: token(
          { alg: 'ES256', kid: 'one', typ: 'JWT' },
          claims({ sub, aud: audience, iat: now, exp: now + seconds }),
          key
        )
      }
    }
  }
}

// The server
// -----------------------------------------------------------------------------------------------------------

const directory = mkdtempSync(path.join(tmpdir(), 'countersign-stub-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
let count = 0

/** @param {Buffer} message */
export function framed(message) {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

/**
 * @typedef {{ method: string, headers: import('node:http2').IncomingHttpHeaders, request: Buffer, send (message:
 * Buffer): void, raw (bytes: Buffer): void, end (status?: number, message?: string): void, destroy (): void, stream:
 * import('node:http2').ServerHttp2Stream }} Call
 */

/**
 * @param {(call: Call) => void} answer
 * @param {{ socket?: string, http2?: import('node:http2').ServerOptions, remember?: boolean }} [options] remember: keep
 * all calls to look at
 */
export async function startStub(
  answer,
  { socket = path.join(directory, `${++count}.sock`), http2 = {}, remember = true } = {}
) {
  let answering = answer
  /** @type {Set<Call>} */
  const open = new Set()
  /** @type {Call[]} */
  const calls = []
  /** @type {Set<import('node:http2').ServerHttp2Session>} */
  const sessions = new Set()
  let connections = 0
  const server = createServer(http2)
  server.on('session', (session) => {
    connections++
    sessions.add(session)
    session.on('error', () => {})
    session.on('close', () => sessions.delete(session))
  })
  server.on('stream', (/** @type {import('node:http2').ServerHttp2Stream} */ stream, headers) => {
    /** @type {Buffer[]} */
    const pieces = []
    let status = { 'grpc-status': '0' }
    const begin = () =>
      stream.headersSent ||
      stream.destroyed ||
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers(status))
    stream.on('error', () => {})
    stream.on('data', (/** @type {Buffer} */ piece) => pieces.push(piece))
    stream.on('end', () => {
      const request = Buffer.concat(pieces).subarray(5)
      /** @type {Call} */
      const call = {
        method: String(headers[':path']).split('/')[2],
        headers,
        request,
        stream,
        send(message) {
          begin()
          stream.write(framed(message))
        },
        raw(bytes) {
          begin()
          stream.write(bytes)
        },
        end(code = 0, message = '') {
          const said = { 'grpc-status': String(code), 'grpc-message': encodeURIComponent(message) }
          open.delete(call)
          if (stream.destroyed) return
          if (!stream.headersSent)
            return void stream.respond(
              { ':status': 200, 'content-type': 'application/grpc', ...said },
              { endStream: true }
            )
          status = said
          stream.end()
        },
        destroy() {
          open.delete(call)
          stream.close(2)
        }
      }
      if (remember) calls.push(call)
      open.add(call)
      stream.on('close', () => open.delete(call))
      answering(call)
    })
  })
  server.listen(socket)
  await once(server, 'listening')
  return {
    socket,
    endpoint: `unix:${socket}`,
    calls,
    open,
    get connections() {
      return connections
    },
    get sessions() {
      return sessions.size
    },
    /** @param {(call: Call) => void} next */
    answer(next) {
      answering = next
    },
    /** To every open stream of a method. @param {string} method @param {Buffer} message */
    push(method, message) {
      for (const call of open) if (call.method === method) call.send(message)
    },
    /** @param {string} method @param {number} code @param {string} [message] */
    end(method, code, message) {
      for (const call of [...open]) if (call.method === method) call.end(code, message)
    },
    /** Makes room at its path for another one, and breaks its connections when told to. */
    async replace() {
      rmSync(socket, { force: true })
      server.close()
      return {
        leave() {
          for (const session of sessions) session.destroy()
        }
      }
    },
    /** As a process that is killed does. */
    async kill() {
      for (const session of sessions) session.destroy()
      await new Promise((resolve) => server.close(resolve))
      rmSync(socket, { force: true })
    }
  }
}

/**
 * Everything a healthy Workload API says, out of a few facts.
 * @param {ReturnType<typeof domain>} home
 * @param {{ paths?: string[] }} [options]
 */
export function healthy(home, { paths = ['/billing'] } = {}) {
  const svids = paths.map((path) => home.svid(path))
  const id = `spiffe://${home.name}`
  /** @param {Call} call */
  return (call) => {
    switch (call.method) {
      case 'FetchX509SVID':
        return call.send(x509Response({ svids }))
      case 'FetchX509Bundles':
        return call.send(x509BundlesResponse({ [id]: home.ca.der }))
      case 'FetchJWTBundles':
        return call.send(jwtBundlesResponse({ [id]: home.jwks }))
      case 'FetchJWTSVID': {
        const audience = strings(call.request)[1]
        call.send(jwtResponse(paths.map((path) => home.token(path, audience))))
        return call.end()
      }
      case 'ValidateJWTSVID':
        return call.end(3, 'token is bad')
      default:
        return call.end(12, 'not here')
    }
  }
}
