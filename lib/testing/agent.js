'use strict'
/** An agent for tests: in memory, in milliseconds, and wrong on command. */

const fs = require('node:fs')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { answer } = require('../native/answer')
const { CountersignError, invalidArgument, shown } = require('../native/errors')
const { linuxOnly } = require('../native/load')
const { checkOptions, checkSignal, checkTimeout } = require('../internal/options')
const { leave, privateDirectory } = require('../agent/agent')
const { rulesText } = require('../agent/config')
const { SpiffeBundle } = require('../spiffe/spiffe-bundle')
const { SpiffeId } = require('../spiffe/id')
const { TrustDomain } = require('../spiffe/trust-domain')
const { listen, mailbox, unlisten } = require('../native/mailbox')
const { Faults } = require('./faults')

/** @typedef {import('../../types/testing').TestAgentOptions} TestAgentOptions */
/** @typedef {import('../../types/testing').TestIdentity} TestIdentity */

const OPTIONS = ['identities', 'ttl', 'jwtTtl', 'trustDomain', 'rules', 'whoami', 'federatesWith']
const IDENTITY = ['spiffeId', 'hint', 'ttl', 'jwtTtl', 'dnsNames', 'federatesWith', 'match']
/** A ruleset cannot be empty: this rule matches no process. */
const NOBODY = Object.freeze({ identity: 'NOBODY', match: { uid: 0xfffffffe } })

/**
 * What `addEventListener` takes, by the typings.
 * @typedef {Pick<import('../../types/testing').TestAgent, 'addEventListener'>} Listening
 * @type {new () => Omit<EventTarget, 'addEventListener'> & Listening}
 */
const Events = /** @type {any} */ (EventTarget)

/** Ends when its test does, if it is used with `using`; in any case it keeps no process alive. */
class TestAgent extends Events {
  #native
  /** @type {number | undefined} */
  #key
  #directory = privateDirectory()
  /** @type {import('../../types/agent').WorkloadApiConfig} */
  #workloadApi
  #extra
  /** @type {Promise<void> | undefined} */
  #closing
  #faults

  /** @param {TestAgentOptions} [options] */
  constructor(options) {
    super()
    const {
      identities = [],
      ttl,
      jwtTtl,
      trustDomain,
      rules = [],
      whoami,
      federatesWith
    } = checkOptions(options, OPTIONS, 'options')
    const addon = linuxOnly('NativeTestAgent', 'the agent')
    this.#extra = [...rules, ...(whoami === undefined ? [] : [{ identity: whoami, match: { uid: own() } }])]
    try {
      this.#workloadApi = {
        trustDomain: trustDomain === undefined ? domainOf(identities) : TrustDomain.parse(String(trustDomain)).name,
        ...(ttl === undefined ? {} : { x509SvidTtl: ttl }),
        ...(jwtTtl === undefined ? {} : { jwtSvidTtl: jwtTtl }),
        federatesWith: this.#foreign(federatesWith ?? [])
      }
      const written = this.#rules(identities)
      const started = {
        rules: written.text,
        socket: path.join(this.#directory, 'whoami.sock'),
        workloadSocket: path.join(this.#directory, 'workload.sock'),
        inMemory: true
      }
      this.#key = listen((text) => {
        const { type, ...detail } = JSON.parse(text)
        this.dispatchEvent(new CustomEvent(type, { detail: Object.freeze(detail) }))
      })
      const agent = addon.start(mailbox(), this.#key, JSON.stringify(started))
      if ('failure' in agent) throw written.explain(agent.failure)
      this.#native = agent
      this.#faults = new Faults(agent)
    } catch (error) {
      if (this.#key !== undefined) unlisten(this.#key)
      leave(this.#directory)
      throw error
    }
  }

  /** @param {readonly import('../../index').SpiffeBundle[]} bundles */
  #foreign(bundles) {
    return Object.fromEntries(
      bundles.map((bundle, index) => {
        const bundleFile = path.join(this.#directory, `${index}.json`)
        fs.writeFileSync(bundleFile, bundle.toJwks(), { mode: 0o600 })
        return [bundle.trustDomain.name, { bundleFile }]
      })
    )
  }

  /** @param {readonly (string | import('../../index').SpiffeId | TestIdentity)[]} identities */
  #rules(identities) {
    if (!Array.isArray(identities)) throw invalidArgument(`identities: expected a list, got ${shown(identities)}`)
    const foreign = Object.keys(this.#workloadApi.federatesWith ?? {})
    const svids = identities.map((identity, index) => {
      const { spiffeId, ttl, jwtTtl, match, ...rest } =
        typeof identity === 'string' || identity instanceof SpiffeId
          ? { spiffeId: identity }
          : checkOptions(identity, IDENTITY, `identities[${index}]`)
      return {
        spiffeId: SpiffeId.from(spiffeId, `identities[${index}]`).toString(),
        // Every process of this user: a test's own children too.
        match: match ?? { uid: own() },
        ...(ttl === undefined ? {} : { x509SvidTtl: ttl }),
        ...(jwtTtl === undefined ? {} : { jwtSvidTtl: jwtTtl }),
        ...(foreign.length > 0 ? { federatesWith: foreign } : {}),
        ...rest
      }
    })
    return rulesText([...this.#extra, ...svids, NOBODY], this.#workloadApi)
  }

  get endpoint() {
    return this.#native.endpoint
  }
  get socketPath() {
    return this.#native.socketPath
  }
  get trustDomain() {
    return TrustDomain.parse(String(this.#workloadApi.trustDomain))
  }
  get env() {
    return { SPIFFE_ENDPOINT_SOCKET: this.endpoint, WHOAMI_SOCKET: this.socketPath }
  }
  get faults() {
    return this.#faults
  }
  get bundle() {
    return SpiffeBundle.parse(this.trustDomain, String(this.#native.bundle()))
  }

  /** @param {readonly (string | import('../../index').SpiffeId | TestIdentity)[]} identities */
  setIdentities(identities) {
    const written = this.#rules(identities)
    const report = this.#native.replaceRules(written.text)
    if (typeof report === 'object') throw written.explain(report.failure)
  }

  reissue() {
    this.#native.order('reissue')
  }

  /** @param {'prepare' | 'activate' | 'forget'} [step] */
  rotateAuthority(step) {
    for (const one of step === undefined ? ['activate', 'forget'] : [step]) answer(this.#native.rotate(one))
  }

  get calls() {
    return this.#calls(0)
  }

  /** @param {number} from */
  #calls(from) {
    return JSON.parse(this.#native.calls(from)).map((/** @type {any} */ { at, status, spiffeId, pid, uid, ...call }) =>
      Object.freeze({
        ...call,
        at: new Date(at),
        status: status ?? undefined,
        spiffeId: spiffeId ?? undefined,
        pid: pid ?? undefined,
        uid: uid ?? undefined
      })
    )
  }

  /**
   * @param {string | ((call: any) => boolean)} wanted
   * @param {{ signal?: AbortSignal, timeout?: number | null }} [options]
   */
  async waitForCall(wanted, options) {
    const { signal, timeout = 5000 } = checkOptions(options, ['signal', 'timeout'], 'options')
    checkSignal(signal, 'options.signal')
    checkTimeout(timeout, 'options.timeout')
    const fits = typeof wanted === 'function' ? wanted : (/** @type {any} */ call) => call.method === wanted
    const until = Date.now() + (timeout ?? Infinity)
    for (;;) {
      signal?.throwIfAborted()
      const found = this.calls.find(fits)
      if (found) return found
      if (Date.now() > until) throw new CountersignError('ERR_TIMEOUT', `no such call within ${timeout} ms`)
      await sleep(5)
    }
  }

  get stats() {
    return JSON.parse(this.#native.stats())
  }

  async close() {
    this.#closing ??= this.#end()
    await this.#closing
  }

  async #end() {
    await this.#native.closeSoon()
    unlisten(/** @type {number} */ (this.#key))
    leave(this.#directory)
    this.dispatchEvent(new Event('close'))
  }

  async [Symbol.asyncDispose]() {
    await this.close()
  }
}

function own() {
  return /** @type {() => number} */ (process.geteuid)()
}

/** @param {readonly any[]} identities */
function domainOf(identities) {
  const [first] = identities
  return first === undefined ? 'example.org' : SpiffeId.from(first.spiffeId ?? first, 'identities[0]').trustDomain.name
}

/** @param {TestAgentOptions} [options] */
async function startTestAgent(options) {
  return new TestAgent(options)
}

module.exports = { TestAgent, startTestAgent }
