'use strict'
/** A line of an agent: what was done, what was refused, or what happened. */

const { CountersignError } = require('../native/errors')

/**
 * @typedef {{ id?: unknown, ok: Record<string, any> }
 *   | { id?: unknown, error: Error }
 *   | { alert: Record<string, any> }} Reply
 */

/**
 * @param {string} line
 * @param {string} path of the socket, for errors
 * @returns {Reply}
 */
function parseReply(line, path) {
  // What the crate secureops-ipc sends for every error, and for every success that is no object.
  if (line.trim() === '')
    return {
      error: new CountersignError(
        'ERR_EMPTY_REPLY',
        `the agent at ${path} answered with an empty line: it failed, or cannot write its answer down`,
        { path }
      )
    }
  let frame
  try {
    frame = JSON.parse(line)
  } catch (cause) {
    return {
      error: new CountersignError('ERR_INVALID_JSON', `the agent at ${path} answered with what is no JSON`, { cause })
    }
  }
  switch (frame?.type) {
    // With its type and id in it: to take them out costs more than to read the rest.
    case 'ok':
      return { id: frame.id, ok: frame }
    case 'err': {
      const { id, code, message } = frame
      const daemonCode = typeof code === 'string' ? code : 'E_UNKNOWN'
      const daemonMessage = typeof message === 'string' ? message : 'no reason given'
      return {
        id,
        error: new CountersignError('ERR_DAEMON', `the agent refused: ${daemonMessage}`, { daemonCode, daemonMessage })
      }
    }
    case 'alert': {
      const { type, ...alert } = frame
      return { alert }
    }
    default:
      return { error: new CountersignError('ERR_INVALID_JSON', `the agent at ${path} answered with what is no reply`) }
  }
}

module.exports = { parseReply }
