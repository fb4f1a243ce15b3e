'use strict'
/** What several commands read from their command line. */

const { UsageError } = require('./exit')

/** Where the Workload API is, and how long to wait for it. */
const WORKLOAD = /** @type {const} */ ({
  endpoint: {
    type: 'string',
    value: 'ENDPOINT',
    help: 'the Workload API, as unix:/path/agent.sock (default $SPIFFE_ENDPOINT_SOCKET)'
  },
  timeout: { type: 'string', value: 'MS', help: 'milliseconds to wait for it (default 10000)' }
})

/** Which of several identities is meant. */
const CHOICE = /** @type {const} */ ({
  'spiffe-id': { type: 'string', value: 'ID', help: 'only this identity' },
  hint: { type: 'string', value: 'HINT', help: 'only the identity with this hint of the operator' }
})

/**
 * @param {string | undefined} text
 * @returns {number | undefined}
 */
function milliseconds(text) {
  if (text === undefined) return undefined
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new UsageError(`--timeout: expected milliseconds, got ${JSON.stringify(text)}`)
  return Number(text)
}

/**
 * Options for a client or a source.
 * @param {Record<string, any>} values
 */
function workload({ endpoint, timeout }) {
  return {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(timeout === undefined ? {} : { timeout: milliseconds(timeout) })
  }
}

/**
 * @param {Record<string, any>} values
 * @returns {{ spiffeId?: string, hint?: string }}
 */
function choice({ 'spiffe-id': spiffeId, hint }) {
  if (spiffeId !== undefined && hint !== undefined) throw new UsageError('--spiffe-id and --hint exclude each other')
  return { ...(spiffeId === undefined ? {} : { spiffeId }), ...(hint === undefined ? {} : { hint }) }
}

/** @param {string[]} positionals */
function none(positionals) {
  // Not printed: it may be a token in the wrong place.
  if (positionals.length > 0)
    throw new UsageError(
      `unexpected argument (there ${positionals.length === 1 ? 'is one' : `are ${positionals.length}`} that no ` +
        `option takes)`
    )
}

module.exports = { WORKLOAD, CHOICE, milliseconds, workload, choice, none }
