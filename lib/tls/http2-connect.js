'use strict'
/** HTTP/2 sessions with an identity. */

const http2 = require('node:http2')
const { isIP } = require('node:net')
const { invalidArgument, shown } = require('../native/errors')
const { Client } = require('./client')
const { LIFETIMES } = require('./lifetimes')
const { setPeer } = require('./peer')

/**
 * @param {string | URL} authority
 * @param {unknown} source
 * @param {unknown} authorize
 * @param {import('../../types/tls').Http2ConnectOptions} [options]
 */
function http2Connect(authority, source, authorize, options) {
  const { protocol, hostname, port } = urlOf(authority)
  if (protocol !== 'https:') throw invalidArgument(`authority: expected an https: URL, got ${protocol}`)
  const client = new Client(source, authorize, options, ['http2', ...LIFETIMES])
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const names = isIP(host) ? {} : { servername: host }
  /** @type {http2.ClientHttp2Session} */
  const session = http2.connect(authority, {
    ...options?.http2,
    createConnection: () =>
      client.connect({ host, port: Number(port) || 443, ALPNProtocols: ['h2'], ...names }, client.options(), {
        proven: (peer) => setPeer(session, peer),
        opened: (connection) => {
          connection.retire = () => session.close()
        }
      })
  })
  session.once('close', () => client.close())
  return session
}

/** @param {unknown} authority */
function urlOf(authority) {
  if (authority instanceof URL) return authority
  if (typeof authority === 'string' && URL.canParse(authority)) return new URL(authority)
  throw invalidArgument(`authority: expected a URL such as https://billing.internal:8443, got ${shown(authority)}`)
}

module.exports = { http2Connect }
