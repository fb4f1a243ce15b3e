'use strict'
/** Fetches the bundles of foreign trust domains from their endpoints (SPIFFE Federation 5). */

const https = require('node:https')
const tls = require('node:tls')
const { unwrap } = require('../native/answer')
const { CountersignError, reason } = require('../native/errors')
const { authorize } = require('../spiffe/authorizer')
const { BundleSet } = require('../spiffe/bundle-set')
const { SpiffeBundle } = require('../spiffe/spiffe-bundle')
const { verifyX509Svid } = require('../spiffe/verify')

/** SPIFFE Trust Domain and Bundle 4.1.2: how often to look when the bundle does not say. */
const REFRESH = 5 * 60_000
const LEAST_REFRESH = 10_000
const TIMEOUT = 10_000
const MAX_BYTES = 1024 * 1024
const MAX_REDIRECTS = 3

/** @typedef {{ trustDomain: string, url: string, spiffeId: string | null }} Endpoint */

class BundleFetcher {
  #native
  #tell
  /** @type {Map<string, { url: string, timer: NodeJS.Timeout | undefined }>} */
  #watched = new Map()
  #closed = false

  /**
   * @param {import('../../types/native').NativeAgent} agent
   * @param {(event: { type: string, [detail: string]: any }) => void} tell
   */
  constructor(agent, tell) {
    this.#native = agent
    this.#tell = tell
    this.look()
  }

  /** Follow what the rules say now. */
  look() {
    /** @type {Endpoint[]} */
    const endpoints = JSON.parse(this.#native.bundleEndpoints())
    for (const [name, { url, timer }] of this.#watched) {
      if (endpoints.some((endpoint) => endpoint.trustDomain === name && endpoint.url === url)) continue
      clearTimeout(timer)
      this.#watched.delete(name)
    }
    for (const endpoint of endpoints) {
      if (this.#watched.has(endpoint.trustDomain)) continue
      this.#watched.set(endpoint.trustDomain, { url: endpoint.url, timer: undefined })
      this.#fetch(endpoint)
    }
  }

  /** @param {Endpoint} endpoint */
  async #fetch(endpoint) {
    const { trustDomain, url } = endpoint
    let next = REFRESH
    try {
      const known = this.#native.bundle(trustDomain)
      const document = await get(endpoint, known == null ? undefined : SpiffeBundle.parse(trustDomain, known))
      if (this.#closed) return
      const { changed, refreshHint } = unwrap(this.#native.takeForeignBundle(trustDomain, document))
      if (refreshHint) next = Math.max(refreshHint * 1000, LEAST_REFRESH)
      if (changed) this.#tell({ type: 'bundle', trustDomain })
    } catch (error) {
      // No hammering: the next time is soon enough.
      if (!this.#closed) this.#tell({ type: 'bundleerror', trustDomain, url, message: reason(error) })
    }
    const watched = this.#watched.get(trustDomain)
    if (this.#closed || watched?.url !== url) return
    watched.timer = setTimeout(() => this.#fetch(endpoint), Math.min(next, 0x7fffffff)).unref()
  }

  close() {
    this.#closed = true
    for (const { timer } of this.#watched.values()) clearTimeout(timer)
    this.#watched.clear()
  }
}

/**
 * @param {Endpoint} endpoint
 * @param {InstanceType<typeof SpiffeBundle> | undefined} bundle whom the profile https_spiffe trusts
 */
async function get({ url, spiffeId }, bundle) {
  let at = new URL(url)
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const { status, location, body } = await request(at, spiffeId, bundle)
    if (status === 200) return body
    if (![301, 302, 303, 307, 308].includes(status) || location === undefined)
      throw new Error(`the bundle endpoint answers with HTTP status ${status}`)
    at = new URL(location, at)
    if (at.protocol !== 'https:' || at.username !== '' || at.password !== '')
      throw new Error('the bundle endpoint redirects to what is no bundle endpoint')
  }
  throw new Error('the bundle endpoint redirects too often')
}

/**
 * @param {URL} url
 * @param {string | null} spiffeId
 * @param {InstanceType<typeof SpiffeBundle> | undefined} bundle
 * @returns {Promise<{ status: number, location: string | undefined, body: string }>}
 */
async function request(url, spiffeId, bundle) {
  const socket = spiffeId === null ? undefined : await connect(url, spiffeId, bundle)
  return await new Promise((resolve, reject) => {
    const call = https.request(
      url,
      {
        headers: { accept: 'application/json', connection: 'close' },
        timeout: TIMEOUT,
        // With an agent, even one of its own, the connection would not be asked for.
        ...(socket ? { createConnection: () => socket } : { agent: false })
      },
      (response) => {
        /** @type {Buffer[]} */
        const pieces = []
        let length = 0
        response.on('data', (piece) => {
          pieces.push(piece)
          if ((length += piece.length) > MAX_BYTES)
            call.destroy(new Error(`the bundle is longer than ${MAX_BYTES} bytes`))
        })
        response.on('error', reject)
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            location: response.headers.location,
            body: Buffer.concat(pieces).toString()
          })
        )
      }
    )
    call.on('timeout', () => call.destroy(new Error(`no answer within ${TIMEOUT} ms`)))
    call.on('error', reject)
    call.end()
  })
}

/**
 * A connection to a server that proved its SPIFFE ID. Nothing is sent before that.
 * @param {URL} url
 * @param {string} spiffeId
 * @param {InstanceType<typeof SpiffeBundle> | undefined} bundle
 * @returns {Promise<tls.TLSSocket>}
 */
function connect(url, spiffeId, bundle) {
  if (bundle === undefined)
    throw new CountersignError('ERR_BUNDLE_NOT_FOUND', 'there is no bundle to judge the bundle endpoint with')
  return new Promise((resolve, reject) => {
    // node:tls verifies hosts against public authorities; we verify the SPIFFE ID with this bundle.
    const socket = tls.connect({
      host: url.hostname,
      port: Number(url.port || 443),
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      timeout: TIMEOUT
    })
    socket.once('secureConnect', () => {
      try {
        const chain = []
        const seen = new Set()
        for (
          let certificate = socket.getPeerCertificate(true);
          certificate?.raw && !seen.has(certificate.fingerprint256);
          certificate = certificate.issuerCertificate
        ) {
          seen.add(certificate.fingerprint256)
          chain.push(certificate.raw)
        }
        verifyX509Svid(chain, /** @type {any} */ (new BundleSet([bundle])), {
          authorize: /** @type {any} */ (authorize.id(spiffeId)),
          usage: 'serverAuth'
        })
        resolve(socket)
      } catch (error) {
        socket.destroy()
        reject(error)
      }
    })
    socket.once('timeout', () => socket.destroy(new Error(`no answer within ${TIMEOUT} ms`)))
    socket.once('error', reject)
  })
}

module.exports = { BundleFetcher }
