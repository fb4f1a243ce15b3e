'use strict'
/** From whatever the caller holds to the number of its descriptor. */

const { CountersignError, invalidArgument } = require('../native/errors')

/**
 * A `net.Socket`, an http request's socket, a `tls.TLSSocket` over a Unix socket, or a descriptor number.
 * @param {unknown} target
 * @returns {number}
 */
function descriptorOf(target) {
  if (typeof target === 'number') {
    if (Number.isInteger(target) && target >= 0 && target <= 0x7fffffff) return target
    throw invalidArgument(`not a file descriptor: ${target} (an integer from 0 to 2147483647 is)`)
  }
  if (typeof target !== 'object' || target === null) {
    throw invalidArgument(`expected a socket or a file descriptor, got ${target === null ? 'null' : typeof target}`)
  }
  const socket = /** @type {any} */ (target)
  const handle = '_handle' in socket ? socket._handle : undefined
  if (handle === undefined) {
    throw invalidArgument(
      'expected a net.Socket, a tls.TLSSocket or a file descriptor; for an http request, pass req.socket'
    )
  }
  if (socket.connecting === true)
    throw new CountersignError('ERR_CLOSED', 'the socket is not connected yet: wait for its "connect" event')
  if (handle === null || socket.destroyed === true) throw new CountersignError('ERR_CLOSED', 'the socket is closed')
  const fd = handle.fd
  if (typeof fd === 'number' && fd >= 0) return fd
  if (process.platform === 'win32') {
    throw new CountersignError(
      'ERR_UNSUPPORTED_PLATFORM',
      'Node.js does not give out the handle of a named pipe on Windows'
    )
  }
  throw new CountersignError('ERR_CLOSED', 'the socket has no open descriptor')
}

module.exports = { descriptorOf }
