'use strict'
/** Credentials for channels: our identity to a server, and which server is authorized. */

const { isIP } = require('node:net')
const { Client } = require('../tls/client')
const { setPeerOfCertificate } = require('../tls/peer')
const { settle } = require('../tls/undici-connect')
const { checkModule } = require('./module')

const OPTIONS = ['closeOnWithdraw', 'closeOnBundleRemoval']

/**
 * @param {unknown} grpc
 * @param {unknown} source
 * @param {unknown} authorize
 * @param {import('../../types/grpc').ChannelOptions} [options]
 */
function channelCredentials(grpc, source, authorize, options) {
  const { credentials } = checkModule(grpc)
  const client = new Client(source, authorize, options, OPTIONS)
  const tls = client.options()
  const { secureContext, checkServerIdentity, rejectUnauthorized } = tls
  const made = credentials.createFromSecureContext(secureContext, {
    ...(checkServerIdentity && { checkServerIdentity }),
    rejectUnauthorized
  })
  // Without this, channels work as well; only the identity of the server is unknown for a call, and Node.js 26 takes no
  // IP address for a server name.
  if (typeof made._createSecureConnector === 'function') {
    const create = made._createSecureConnector
    made._createSecureConnector = (/** @type {any[]} */ ...args) => connectorOf(create.apply(made, args), client, tls)
  }
  return made
}

/**
 * @param {any} connector
 * @param {InstanceType<typeof Client>} client
 * @param {import('../../types/tls').ClientTlsOptions} tls
 */
function connectorOf(connector, client, tls) {
  const wanted = connector.connectionOptions
  if (typeof wanted !== 'object' || wanted === null) return connector
  const { servername, ...rest } = wanted
  connector.connect = (/** @type {import('node:net').Socket} */ socket) =>
    new Promise((resolve, reject) => {
      const connection = client.connect(
        { ...rest, ...(servername && !isIP(servername) && { servername }), socket },
        /** @type {any} */ (tls),
        {
          proven: (peer) => setPeerOfCertificate(connection, peer)
        }
      )
      settle(connection, null, (error, secure) => (error ? reject(error) : resolve({ socket: secure, secure: true })))
    })
  return connector
}

module.exports = { channelCredentials }
