'use strict'
/** Credentials for calls: a JWT-SVID in the metadata of each. */

const { bearer } = require('../tls/bearer')
const { checkModule } = require('./module')

/**
 * @param {unknown} grpc
 * @param {unknown} source
 * @param {unknown} audience
 */
function callCredentials(grpc, source, audience) {
  const { credentials, Metadata } = checkModule(grpc)
  const authorization = bearer(source, audience)
  return credentials.createFromMetadataGenerator(
    (/** @type {unknown} */ _params, /** @type {(error: Error | null, metadata?: unknown) => void} */ callback) => {
      authorization()
        .then((headers) => {
          const metadata = new Metadata()
          metadata.set('authorization', headers.authorization)
          return metadata
        })
        .then((metadata) => callback(null, metadata), callback)
    }
  )
}

module.exports = { callCredentials }
