'use strict'
/** What the operator's commands have in common: where the agent is. */

const { milliseconds, none } = require('./arguments')

const OPERATOR = /** @type {const} */ ({
  socket: {
    type: 'string',
    value: 'PATH',
    help: 'the control socket of the agent (default $COUNTERSIGN_CONTROL_SOCKET or /run/countersign/control.sock)'
  },
  timeout: { type: 'string', value: 'MS', help: 'milliseconds to wait for an answer (default 5000)' }
})

/**
 * Ask the agent, and let go of it whatever comes of it.
 * @template T
 * @param {Record<string, any>} values
 * @param {string[]} positionals
 * @param {(agent: InstanceType<typeof import('../control/client').ControlClient>) => Promise<T>} ask
 * @returns {Promise<T>}
 */
async function withAgent({ socket, timeout }, positionals, ask) {
  none(positionals)
  const { ControlClient } = require('../control/client')
  const agent = new ControlClient({
    ...(socket === undefined ? {} : { socketPath: socket }),
    ...(timeout === undefined ? {} : { timeout: milliseconds(timeout) })
  })
  try {
    return await ask(agent)
  } finally {
    agent.close()
  }
}

module.exports = { OPERATOR, withAgent }
