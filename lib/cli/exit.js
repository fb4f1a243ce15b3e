'use strict'
/** What a command ends with. Scripts rely on these numbers. */

const EXIT = Object.freeze({
  OK: 0,
  FAILURE: 1,
  USAGE: 2,
  /** No process listens at the socket, or the connection broke. */
  NO_DAEMON: 3,
  /** Refused: by the daemon, or by us because of the daemon. */
  DENIED: 4
})

/** A command line that cannot be understood. */
class UsageError extends Error {}

const NOBODY_THERE = ['ERR_SOCKET_NOT_FOUND', 'ERR_CONNECTION_FAILED']
const SAID_NO = [
  'ERR_UNTRUSTED_SERVER',
  'ERR_PEER_DENIED',
  'ERR_IDENTITY_MISMATCH',
  'ERR_NO_IDENTITY',
  'ERR_IDENTITY_WITHDRAWN',
  'ERR_INVALID_TOKEN'
]
/** Not there yet: why, the cause says. */
const WAITED = ['ERR_TIMEOUT', 'ERR_SOURCE_NOT_READY']

/**
 * @param {any} error
 * @returns {number}
 */
function exitCodeOf(error) {
  const { code, cause } = error ?? {}
  if (
    error instanceof UsageError ||
    code === 'ERR_INVALID_ARGUMENT' ||
    code === 'ERR_INVALID_ENDPOINT' ||
    String(code).startsWith('ERR_PARSE_ARGS')
  )
    return EXIT.USAGE
  if (NOBODY_THERE.includes(code)) return EXIT.NO_DAEMON
  if (
    SAID_NO.includes(code) ||
    (code === 'ERR_DAEMON' && ['E_NO_MATCH', 'E_DENIED', 'E_KILLED'].includes(error.daemonCode))
  )
    return EXIT.DENIED
  if (WAITED.includes(code) && cause) return exitCodeOf(cause)
  return EXIT.FAILURE
}

module.exports = { EXIT, UsageError, exitCodeOf }
