'use strict'
/** An agent in this process. */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { answer, fromFailure, unwrap } = require('../native/answer')
const { CountersignError, invalidArgument } = require('../native/errors')
const { linuxOnly } = require('../native/load')
const { checkOptions, checkPath } = require('../internal/options')
const { SpiffeBundle } = require('../spiffe/spiffe-bundle')
const { TrustDomain } = require('../spiffe/trust-domain')
const { listen, mailbox, unlisten } = require('../native/mailbox')
const { rulesText } = require('./config')
const { BundleFetcher } = require('./federation')
const { auditLogOptions, controlOptions } = require('./operation')

/** @typedef {import('../../types/agent').AgentConfig} AgentConfig */

const CONFIG = [
  'rules',
  'rulesFile',
  'dev',
  'socketPath',
  'socketMode',
  'workloadApi',
  'stateDir',
  'control',
  'auditLog'
]
const STEPS = ['prepare', 'activate', 'forget']

/** Those in use: a process that ends without closing its agents leaves none behind. @type {Set<string>} */
const directories = new Set()

/** Only we may enter it; it goes with the agent. */
function privateDirectory() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-'))
  if (directories.size === 0) process.on('exit', leaveAll)
  directories.add(directory)
  return directory
}

/** @param {string | undefined} directory */
function leave(directory) {
  if (directory === undefined) return
  fs.rmSync(directory, { recursive: true, force: true })
  directories.delete(directory)
  if (directories.size === 0) process.off('exit', leaveAll)
}

function leaveAll() {
  for (const directory of directories) fs.rmSync(directory, { recursive: true, force: true })
}

class Agent extends EventTarget {
  #native
  #key
  #directory
  #written
  #config
  #fetcher
  /** @type {Promise<void> | undefined} */
  #closing

  /** @param {AgentConfig} config */
  constructor(config) {
    super()
    const addon = linuxOnly('NativeAgent', 'the agent')
    const { rules, rulesFile, dev, socketPath, socketMode, workloadApi, stateDir, control, auditLog } = checkOptions(
      config,
      CONFIG,
      'config'
    )
    const sources = [rules !== undefined, rulesFile !== undefined, dev === true].filter(Boolean)
    if (sources.length !== 1) throw invalidArgument('config: expected one of rules, rulesFile and dev: true')
    if (stateDir !== undefined && (typeof stateDir !== 'string' || !path.isAbsolute(stateDir)))
      throw invalidArgument('stateDir: expected an absolute path')
    for (const [name, value] of Object.entries({ socketPath, 'workloadApi.socketPath': workloadApi?.socketPath }))
      if (value !== undefined) checkPath(value, name)
    if (socketMode !== undefined && !(Number.isInteger(socketMode) && socketMode >= 0 && socketMode <= 0o777))
      throw invalidArgument('socketMode: expected permission bits such as 0o660')
    this.#config = config
    this.#written = rules === undefined ? undefined : rulesText(rules, workloadApi)
    if (rules === undefined && workloadApi !== undefined)
      checkOptions(workloadApi, ['socketPath', 'stateDir', 'trustDomain'], 'workloadApi')
    const serves = workloadApi !== undefined
    const controlled = controlOptions(control)
    const needsPlace =
      !dev &&
      (socketPath === undefined ||
        (controlled && controlled.socketPath === undefined) ||
        (serves && workloadApi.socketPath === undefined && rulesFile === undefined))
    this.#directory = needsPlace ? privateDirectory() : undefined
    /** @param {string} name */
    const place = (name) => this.#directory && path.join(this.#directory, name)
    const options = {
      rules: this.#written?.text,
      rulesFile,
      dev: dev === true,
      socket: socketPath ?? place('whoami.sock'),
      workloadSocket:
        workloadApi?.socketPath ?? (serves && rulesFile === undefined ? place('workload.sock') : undefined),
      socketMode,
      trustDomain:
        rules === undefined && workloadApi?.trustDomain !== undefined ? String(workloadApi.trustDomain) : undefined,
      stateDir: workloadApi?.stateDir ?? stateDir,
      // A library writes to no place that the caller did not name; a rules file may name one.
      inMemory: workloadApi?.stateDir === undefined && stateDir === undefined && rulesFile === undefined,
      controlSocket: controlled && (controlled.socketPath ?? place('control.sock')),
      controlSocketMode: controlled?.socketMode,
      controlReaders: controlled?.readers,
      controlWriters: controlled?.writers,
      auditLog: auditLogOptions(auditLog)
    }
    this.#key = listen((text) => this.#tell(JSON.parse(text)))
    const started = addon.run(mailbox(), this.#key, JSON.stringify(options))
    if ('failure' in started) {
      unlisten(this.#key)
      leave(this.#directory)
      throw this.#written?.explain(started.failure) ?? fromFailure(started.failure)
    }
    this.#native = started
    this.#fetcher = new BundleFetcher(started, (event) => this.#tell(event))
  }

  /** @param {{ type: string, [detail: string]: any }} event */
  #tell({ type, ...detail }) {
    this.dispatchEvent(new CustomEvent(type, { detail: Object.freeze(detail) }))
    if (type === 'reload') this.#fetcher?.look()
  }

  get socketPath() {
    return this.#native.socketPath
  }
  get endpoint() {
    return this.#native.endpoint ?? undefined
  }
  get controlSocketPath() {
    return this.#native.controlSocketPath ?? undefined
  }
  get trustDomain() {
    const name = this.#native.trustDomain
    return name == null ? undefined : TrustDomain.parse(name)
  }

  /** What a child's environment needs to find this agent. */
  get env() {
    const { socketPath, endpoint, controlSocketPath } = this
    return {
      WHOAMI_SOCKET: socketPath,
      ...(endpoint === undefined ? {} : { SPIFFE_ENDPOINT_SOCKET: endpoint }),
      ...(controlSocketPath === undefined ? {} : { COUNTERSIGN_CONTROL_SOCKET: controlSocketPath })
    }
  }

  /** @param {readonly import('../../types/agent').RuleConfig[]} rules */
  setRules(rules) {
    const written = rulesText(rules, this.#config.workloadApi)
    const report = this.#native.replaceRules(written.text)
    if (typeof report === 'object') throw written.explain(report.failure)
    return JSON.parse(report)
  }

  reload() {
    return unwrap(this.#native.reload())
  }

  /** @param {'prepare' | 'activate' | 'forget'} step */
  rotateAuthority(step) {
    if (!STEPS.includes(step)) throw invalidArgument(`step: expected one of ${STEPS.join(', ')}`)
    return answer(this.#native.rotate(step))
  }

  /** @param {import('../../index').TrustDomain | string} [trustDomain] */
  bundle(trustDomain) {
    const own = this.#native.trustDomain
    const name = trustDomain === undefined ? own : TrustDomain.parse(String(trustDomain)).name
    const document = name == null ? null : this.#native.bundle(name === own ? undefined : name)
    if (name == null || document == null)
      throw new CountersignError(
        'ERR_BUNDLE_NOT_FOUND',
        `the agent knows no bundle of ${name ?? 'any trust domain: it serves no Workload API'}`
      )
    return SpiffeBundle.parse(name, document)
  }

  get stats() {
    return JSON.parse(this.#native.stats())
  }

  async close() {
    this.#closing ??= this.#end()
    await this.#closing
  }

  async #end() {
    this.#fetcher?.close()
    await this.#native.closeSoon()
    unlisten(this.#key)
    leave(this.#directory)
    this.dispatchEvent(new Event('close'))
  }

  async [Symbol.asyncDispose]() {
    await this.close()
  }
}

/** @param {AgentConfig} config */
async function startAgent(config) {
  return new Agent(config)
}

module.exports = { Agent, leave, privateDirectory, startAgent }
