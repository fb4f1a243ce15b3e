'use strict'
/** The module @grpc/grpc-js, which the caller passes in: an application has one, and it must be that one. */

const { invalidArgument, shown } = require('../native/errors')

/**
 * @param {unknown} grpc
 * @returns {any}
 */
function checkModule(grpc) {
  const { credentials, Metadata, ServerCredentials } = /** @type {any} */ (
    typeof grpc === 'object' && grpc !== null ? grpc : {}
  )
  if (
    typeof credentials?.createFromSecureContext === 'function' &&
    typeof Metadata === 'function' &&
    typeof ServerCredentials === 'function'
  )
    return grpc
  throw invalidArgument(`grpc: expected the module @grpc/grpc-js, got ${shown(grpc)}`)
}

module.exports = { checkModule }
