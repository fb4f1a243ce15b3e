'use strict'
/** TLS options for clients that make their connections themselves. */

const { Client } = require('./client')

/**
 * @param {unknown} source
 * @param {unknown} authorize
 * @param {import('../../types/tls').ClientOptions} [options]
 */
function clientOptions(source, authorize, options) {
  return new Client(source, authorize, options).options()
}

module.exports = { clientOptions }
