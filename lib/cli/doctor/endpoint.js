'use strict'
/** Where the Workload API is said to be: who says it, and whether that can be understood. */

const fs = require('node:fs')
const path = require('node:path')
const { WorkloadApiClient } = require('../../../index')
const { VARIABLE } = require('../../spiffe/workload-api/endpoint')

/** @typedef {InstanceType<typeof import('./report').Report>} Report */

/** Where agents usually are. Nothing but a doctor looks there. */
const USUAL = [
  '/tmp/spire-agent/public/api.sock',
  '/run/spire/sockets/agent.sock',
  '/run/spire/agent-sockets/spire-agent.sock',
  '/run/spire/agent/public/api.sock',
  '/spiffe-workload-api/spire-agent.sock',
  '/run/secrets/workload-spiffe-uds/socket',
  '/var/run/secrets/workload-spiffe-uds/socket'
]

/** How it is written, when it is not written so. */
const FORMS = 'it is written unix:/path/to/agent.sock, unix:///path/to/agent.sock, or tcp://IP:port'

/**
 * @param {Report} report
 * @param {string | undefined} option
 * @returns {string | undefined} the endpoint as it is written
 */
function examineEndpoint(report, option) {
  const source = option === undefined ? `$${VARIABLE}` : '--endpoint'
  const raw = option ?? process.env[VARIABLE]
  if (raw === undefined || raw === '') {
    const found = USUAL.filter(isSocket)
    report.add(
      'endpoint',
      'fail',
      raw === undefined ? `$${VARIABLE} is not set, and there is no --endpoint` : `${source} is empty`,
      {
        source,
        raw,
        rule: 'not_set',
        advice: [
          ...found.map((at) => `there is a socket at ${at}: export ${VARIABLE}=unix:${at}`),
          ...(found.length === 0 ? [FORMS] : [])
        ]
      }
    )
    return undefined
  }
  const { endpoint, error } = parse(raw)
  if (endpoint === undefined) {
    const meant = whatWasMeant(raw)
    report.add('endpoint', 'fail', `${source} is ${JSON.stringify(raw)}: ${error.message}`, {
      source,
      raw,
      rule: error.rule,
      meant,
      advice: [meant === undefined ? FORMS : `perhaps ${meant} is meant`]
    })
    return undefined
  }
  const windows = process.platform === 'win32'
  if (endpoint.startsWith(windows ? 'unix:' : 'npipe:')) {
    report.add(
      'endpoint',
      'fail',
      `${source} is ${JSON.stringify(raw)}: ` +
        `${windows ? 'Unix sockets are not supported here' : 'named pipes exist on Windows only'}`,
      { source, raw, rule: 'unsupported_here' }
    )
    return undefined
  }
  report.add('endpoint', 'ok', `${endpoint}, from ${source}`, { source, raw })
  const odd = oddities(raw)
  if (odd.length > 0) report.add('endpoint', 'warn', `${JSON.stringify(raw)} is taken as it is`, { advice: odd })
  return endpoint
}

/**
 * @param {string} text
 * @returns {{ endpoint: string, error?: undefined } | { endpoint?: undefined, error: any }}
 */
function parse(text) {
  try {
    return { endpoint: new WorkloadApiClient({ endpoint: text }).endpoint }
  } catch (error) {
    return { error }
  }
}

/**
 * The nearest thing that is an endpoint; one where something is, if there is one.
 * @param {string} raw
 */
function whatWasMeant(raw) {
  const text = raw
    .trim()
    .replace(/^(["'])(.*)\1$/, '$2')
    .trim()
  const [, scheme, rest] = /** @type {RegExpExecArray} */ (/^(?:([a-z][a-z+]*):)?(.*)$/is.exec(text))
  const bare = rest.replace(/[?#].*$/s, '')
  const behind = bare.replace(/^\/*/, '')
  const guesses = [text, `${scheme?.toLowerCase()}:${rest}`]
  if (scheme === undefined && /^[\d.]+:\d+$/.test(bare)) guesses.push(`tcp://${bare}`)
  if (behind !== '' && (scheme === undefined || /^(unix|file|http\+unix)$/i.test(scheme))) {
    guesses.push(`unix:${bare}`, `unix:/${behind}`, `unix:${path.resolve(behind)}`)
  }
  if (/^(tcp|https?|ipv[46]|dns)$/i.test(scheme ?? ''))
    guesses.push(
      ...[behind, behind.replace(/^localhost\b/i, '127.0.0.1')].map(
        (host) => `tcp://${host.replace(/^.*@/, '').replace(/\/.*$/, '')}`
      )
    )
  const good = guesses.map((guess) => parse(guess).endpoint).filter((guess) => guess !== undefined)
  return good.find((guess) => isSocket(socketPathOf(guess))) ?? good[0]
}

/**
 * What is allowed, and rarely meant.
 * @param {string} raw
 */
function oddities(raw) {
  const found = []
  if (raw !== raw.trim() || /[\r\n]/.test(raw))
    found.push('white space at its end belongs to the path: was it read from a file, or set in quotes?')
  if (/^unix:.*%[0-9a-f]{2}/is.test(raw))
    found.push('%XX is not decoded: such a file would have to have it in its name')
  if (/^unix:.*[$~*{}"']/s.test(raw)) found.push('nothing is expanded in it: no variable, no ~, no quotes')
  return found
}

/** @param {string} endpoint of a Unix socket, as it is written */
function socketPathOf(endpoint) {
  return endpoint.replace(/^unix:(\/\/)?/, '')
}

/** @param {string} at */
function isSocket(at) {
  try {
    return fs.statSync(at).isSocket()
  } catch {
    return false
  }
}

module.exports = { examineEndpoint, isSocket, socketPathOf }
