'use strict'
/** `countersign agent`: the daemon, in this process. Its options are the core's own. */

const { BundleFetcher } = require('../agent/federation')
const { fromFailure } = require('../native/answer')
const { linuxOnly } = require('../native/load')
const { UsageError } = require('./exit')
const { printJson } = require('./print')

/** @type {import('./main').Command} */
const command = {
  summary: 'Run an agent that gives identities and SVIDs to processes',
  usage: '--rules FILE [--socket PATH] [--workload-socket PATH] | --dev',
  options: {},
  raw: true,
  details: () =>
    `Options:\n${linuxOnly('agentHelp', 'the agent')()}  --json  print one JSON document when ready\n\nSIGHUP reads ` +
    `the rules again; SIGINT and SIGTERM end it.\n`,
  async run({ args, json }) {
    const addon = linuxOnly('NativeAgent', 'the agent')
    // Before the socket exists: a process that sees it may send a signal.
    const ended = /** @type {Promise<void>} */ (
      new Promise((resolve) => {
        process.once('SIGINT', () => resolve())
        process.once('SIGTERM', () => resolve())
      })
    )
    const agent = addon.start(args)
    if (typeof agent === 'string') return leave(agent)
    if ('failure' in agent) throw errorOf(agent.failure)
    const fetcher = new BundleFetcher(agent, ({ type, ...detail }) =>
      process.stderr.write(`${type}: ${JSON.stringify(detail)}\n`)
    )
    // The rules may name other endpoints by now.
    const looking = setInterval(() => fetcher.look(), 5000).unref()
    process.on('SIGHUP', () => {
      agent.reload()
      fetcher.look()
    })
    const dev = args.includes('--dev')
    const endpoint = agent.endpoint ?? undefined
    const trustDomain = agent.trustDomain ?? undefined
    const controlSocketPath = agent.controlSocketPath ?? undefined
    if (json)
      printJson({
        ready: true,
        socketPath: agent.socketPath,
        endpoint,
        trustDomain,
        controlSocketPath,
        pid: process.pid
      })
    else if (dev) {
      process.stderr.write(
        `# every process of uid ${process.getuid?.()} that runs ${process.execPath} gets the identity DEV\n`
      )
      process.stderr.write(
        `# SPIFFE: the authority of ${trustDomain} for this machine only; its keys exist only as long as this ` +
          `process\n`
      )
      process.stdout.write(`${agent.exportLines}\n`)
    } else {
      process.stderr.write(`listening on ${agent.socketPath}\n`)
      if (endpoint) process.stderr.write(`serving the SPIFFE Workload API of ${trustDomain} on ${endpoint}\n`)
      if (controlSocketPath) process.stderr.write(`answering operators on ${controlSocketPath}\n`)
    }
    // The agent's thread does not keep the process alive; waiting for a signal must.
    const alive = setInterval(() => {}, 0x7fffffff)
    await ended
    clearInterval(alive)
    process.removeAllListeners('SIGHUP')
    clearInterval(looking)
    fetcher.close()
    agent.close()
  }
}

/** @param {'help' | 'version'} instead what was asked for instead of an agent; `main.js` prints the help itself */
function leave(instead) {
  if (instead === 'version') process.stdout.write(`${require('../../package.json').version}\n`)
}

/** @param {import('../../types/native').Failure['failure']} failure */
function errorOf(failure) {
  return failure.usage ? new UsageError(failure.message) : fromFailure(failure)
}

module.exports = command
