'use strict'
/** What an error of the Workload API usually means, and what to do about it. */

const { EXIT } = require('../exit')

/** @typedef {{ message: string, advice: string[], exitCode: number }} Meaning */

/** By the name of the gRPC code. @type {Record<string, string[]>} */
const MEANINGS = {
  INVALID_ARGUMENT: ['the request was no good, though it is an ordinary one: a proxy in between may have changed it'],
  UNIMPLEMENTED: [
    'this server has no such method: it is no Workload API (the socket of spire-server, an admin socket, an SDS ' +
      'server?), or one without this profile'
  ],
  UNAVAILABLE: [
    'the agent cannot answer now: it limits how often it is asked, is still starting, or cannot reach its server. ' +
      'Ask again later; look into its log'
  ],
  RESOURCE_EXHAUSTED: [
    'the agent is asked too often: sources and clients of one process share a connection, one-shot programs should ' +
      'not run in a loop'
  ],
  DEADLINE_EXCEEDED: [
    'looking at this process took the agent too long: attestors that ask others (docker, k8s) may be slow; look ' +
      'into its log'
  ],
  UNAUTHENTICATED: ['the server requires credentials: the Workload API never does, so a proxy is in between'],
  INTERNAL: [
    "something failed on the agent's side, such as looking at this process (which must be in a PID namespace it " +
      'sees); look into its log'
  ],
  UNKNOWN: ['this is hardly a Workload API, or a proxy is in between'],
  CANCELLED: ['a proxy in between, or the agent while it ends, took the call back']
}

/**
 * @param {any} error
 * @returns {Meaning}
 */
function meaningOf(error) {
  const { code, grpcCode, grpcMessage = '', message } = error
  const told = (/** @type {string[]} */ advice, exitCode = /** @type {number} */ (EXIT.FAILURE)) => ({
    message,
    advice,
    exitCode
  })
  // A server that answers with a bare HTTP status has not understood that it was asked something by gRPC.
  if (grpcMessage.startsWith('HTTP status ')) return told(['an HTTP server or a proxy answers, not a Workload API'])
  if (/security header/i.test(grpcMessage))
    return told([
      'the header workload.spiffe.io was sent and did not arrive: a proxy between us and the agent drops it'
    ])
  switch (code) {
    case 'ERR_NO_IDENTITY':
      return told([], EXIT.DENIED)
    case 'ERR_WORKLOAD_API':
      return told(MEANINGS[grpcCode] ?? ["look into the agent's log"])
    case 'ERR_TIMEOUT':
      return told([
        'it took the connection and does not answer: it hangs, or looks at this process for very long (attestors ' +
          'that ask others, such as docker and k8s)'
      ])
    case 'ERR_SOCKET_NOT_FOUND':
    case 'ERR_CONNECTION_FAILED':
      return told(
        ['the connection broke: the agent is being restarted, or ended because of us; look into its log'],
        EXIT.NO_DAEMON
      )
    case 'ERR_INVALID_RESPONSE':
      return told(unusable(error))
    case 'ERR_RESPONSE_TOO_LARGE':
      return told(['too many entries match this process: narrow their selectors'])
    default:
      return told([])
  }
}

/** @param {any} error */
function unusable({ rule, ignored = [] }) {
  if (rule !== 'nothing_usable') return ["the answer breaks the rules of the Workload API: this is the server's fault"]
  return ignored.flatMap((/** @type {{ what: string, reason: string, message: string }} */ part) => [
    `${part.what}: ${part.message}`,
    ...whyIgnored(part.reason)
  ])
}

/** @param {string} reason */
function whyIgnored(reason) {
  if (reason === 'expired')
    return ['either the agent is cut off from its server, so that it has nothing newer, or the clock here is ahead']
  if (reason === 'not_yet_valid') return ['the clock here is behind that of the server']
  if (reason === 'duplicate_hint') return ['two entries have this hint; the first counts']
  return []
}

module.exports = { meaningOf, whyIgnored }
