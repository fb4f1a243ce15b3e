'use strict'
/** What a command ends with. Scripts rely on these numbers. */

const EXIT = Object.freeze({
  OK: 0,
  FAILURE: 1,
  USAGE: 2,
  /** Nobody listens at the socket. */
  NO_DAEMON: 3,
  /** Somebody said no: the daemon to us, or we to the daemon. */
  DENIED: 4,
})

/** A command line that cannot be understood. */
class UsageError extends Error {}

/** @param {any} error */
function exitCodeOf (error) {
  if (error instanceof UsageError || error.code === 'ERR_INVALID_ARGUMENT' || String(error.code).startsWith('ERR_PARSE_ARGS')) return EXIT.USAGE
  if (error.code === 'ERR_SOCKET_NOT_FOUND' || error.code === 'ERR_CONNECTION_FAILED') return EXIT.NO_DAEMON
  if (error.code === 'ERR_DAEMON' && error.daemonCode === 'E_NO_MATCH') return EXIT.DENIED
  if (error.code === 'ERR_UNTRUSTED_SERVER' || error.code === 'ERR_PEER_DENIED' || error.code === 'ERR_IDENTITY_MISMATCH') return EXIT.DENIED
  return EXIT.FAILURE
}

module.exports = { EXIT, UsageError, exitCodeOf }
