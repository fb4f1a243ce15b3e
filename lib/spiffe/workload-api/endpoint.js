'use strict'
/** Where the Workload API is. */

const { CountersignError, invalidArgument, shown } = require('../../native/errors')

/** The standard's name for the place where a workload finds its API (SPIFFE Workload Endpoint 4). */
const VARIABLE = 'SPIFFE_ENDPOINT_SOCKET'

/**
 * The endpoint an option names, or else the environment, read now. A place is never guessed.
 * @param {unknown} endpoint
 * @returns {string}
 */
function endpointOf(endpoint) {
  if (endpoint !== undefined) {
    if (typeof endpoint !== 'string')
      throw invalidArgument(
        `options.endpoint: expected a string such as 'unix:/run/spire/agent.sock', got ${shown(endpoint)}`
      )
    return endpoint
  }
  const found = process.env[VARIABLE]
  if (found !== undefined && found !== '') return found
  throw new CountersignError(
    'ERR_INVALID_ENDPOINT',
    `no Workload API endpoint: set ${VARIABLE}, or pass options.endpoint ('unix:/path/to/agent.sock'); no place is ` +
      `guessed`,
    { rule: 'not_set' }
  )
}

module.exports = { endpointOf, VARIABLE }
