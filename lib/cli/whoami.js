'use strict'
/** `countersign whoami`: ask the daemon who we are. */

const { getIdentity } = require('../../index')
const { UsageError } = require('./exit')
const { printPairs } = require('./print')

/** @type {import('./main').Command} */
const command = {
  summary: 'Ask the daemon for the identity of this process',
  usage: '[--socket PATH] [--runner KEY=VALUE]...',
  options: {
    socket: { type: 'string', value: 'PATH', help: 'the daemon (default $WHOAMI_SOCKET, else /var/run/whoami.sock)' },
    timeout: { type: 'string', value: 'MS', help: 'milliseconds for the whole call (default 5000)' },
    runner: {
      type: 'string',
      value: 'KEY=VALUE',
      multiple: true,
      help: 'a runner field to send; VALUE is JSON, or else text; repeatable'
    },
    'expect-uid': { type: 'string', value: 'UID', help: 'require that the daemon runs as this user' },
    'expect-exe': { type: 'string', value: 'PATH', help: 'require that the daemon runs this executable' },
    'show-token': { type: 'boolean', help: 'print the token' }
  },
  async run({ values, positionals, json }) {
    if (positionals.length > 0) throw new UsageError(`unexpected argument ${JSON.stringify(positionals[0])}`)
    /** @type {Record<string, unknown>} */
    const policy = {}
    if (values['expect-uid'] !== undefined) policy.uid = whole(values['expect-uid'], '--expect-uid')
    if (values['expect-exe'] !== undefined) policy.exe = values['expect-exe']
    const me = await getIdentity({
      ...(values.socket === undefined ? {} : { socketPath: values.socket }),
      ...(values.timeout === undefined ? {} : { timeout: whole(values.timeout, '--timeout') }),
      ...(Object.keys(policy).length === 0 ? {} : { expectServer: policy }),
      runner: parseRunner(values.runner ?? [])
    })
    const token = values['show-token'] ? me.token : me.token === '' ? '' : '[hidden; --show-token shows it]'
    const { runner } = me
    if (json) {
      const { identity, idmUrl, configUrl } = me
      const head = JSON.stringify({
        identity,
        idmUrl,
        configUrl,
        token: values['show-token'] ? me.token : '[redacted]'
      })
      // As text: an instance of 2^64-1 must leave as it came.
      process.stdout.write(`${head.slice(0, -1)},"runner":${runner.toWire()}}\n`)
      return
    }
    printPairs([
      ['identity', me.identity],
      ['idm url', me.idmUrl],
      ['config url', me.configUrl],
      ['token', token],
      ['host', runner.hostname],
      ['process', runner.process],
      ['pid', runner.pid],
      ['uid', runner.uid],
      ['gid', runner.gid],
      ['instance', runner.instanceId],
      ['timestamp', runner.timestamp],
      ...Object.entries(runner.extra).map(extra)
    ])
  }
}

/**
 * @param {[string, unknown]} entry
 * @returns {[string, unknown]}
 */
function extra([key, value]) {
  return [key, typeof value === 'string' || typeof value === 'bigint' ? value : JSON.stringify(value)]
}

/**
 * @param {string} text
 * @param {string} name
 */
function whole(text, name) {
  if (!/^\d{1,10}$/.test(text)) throw new UsageError(`${name}: expected a whole number, got ${JSON.stringify(text)}`)
  return Number(text)
}

/** @param {string[]} pairs */
function parseRunner(pairs) {
  /** @type {{ instanceId?: bigint, timestamp?: bigint, extra?: Record<string, unknown> }} */
  const runner = {}
  /** @type {Record<string, unknown>} */
  const fields = Object.create(null)
  const seen = new Set()
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    if (at < 1) throw new UsageError(`--runner: expected KEY=VALUE, got ${JSON.stringify(pair)}`)
    const key = pair.slice(0, at)
    const value = pair.slice(at + 1)
    if (seen.has(key)) throw new UsageError(`--runner: ${JSON.stringify(key)} is given twice`)
    seen.add(key)
    if (key === 'instance_id' || key === 'timestamp') {
      if (!/^\d{1,20}$/.test(value))
        throw new UsageError(`--runner ${key}: expected a whole number, got ${JSON.stringify(value)}`)
      runner[key === 'timestamp' ? 'timestamp' : 'instanceId'] = BigInt(value)
      continue
    }
    fields[key] = parseValue(value)
  }
  return { ...runner, extra: fields }
}

/** @param {string} text */
function parseValue(text) {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

module.exports = command
