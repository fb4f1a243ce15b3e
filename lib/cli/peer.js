'use strict'
/** `countersign peer`: who listens at a socket? */

const { connectVerified } = require('../peer/connect-verified')
const { getPeerProcess } = require('../peer/process')
const { milliseconds } = require('./arguments')
const { UsageError } = require('./exit')
const { printJson, printPairs } = require('./print')

/** @type {import('./main').Command} */
const command = {
  summary: 'Show the process that listens at a Unix socket',
  usage: 'SOCKET [--sha256]',
  options: {
    sha256: { type: 'boolean', help: 'hash the executable too' },
    timeout: { type: 'string', value: 'MS', help: 'milliseconds to connect within (default 5000)' }
  },
  async run({ values, positionals, json }) {
    if (positionals.length !== 1) throw new UsageError('expected one socket path')
    const timeout = milliseconds(values.timeout) ?? 5000
    const [path] = positionals
    // Any server is accepted: which one it is, is the question.
    const socket = await connectVerified(path, () => true, { timeout })
    try {
      const peer = getPeerProcess(socket, { sha256: values.sha256 ?? false })
      if (json) return printJson({ path, ...peer })
      printPairs([
        ['pid', peer.pid],
        ['uid', peer.uid],
        ['gid', peer.gid],
        ['groups', peer.groups?.join(' ') || undefined],
        ['label', peer.securityLabel],
        ['process', peer.process],
        ['exe', peer.exe],
        ['exe in doubt', peer.exeDoubt && `${peer.exeDoubt.path ?? 'unknown'} (${peer.exeDoubt.reason})`],
        ['sha256', peer.exeSha256],
        ['started', peer.startTime],
        ['cgroup', peer.cgroup]
      ])
    } finally {
      socket.destroy()
    }
  }
}

module.exports = command
