import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { AgentCommand, SpireError } from './agent-command.mjs'
import { Program, run } from '../support/program.mjs'
import { freePort } from '../support/free-port.mjs'

/**
 * @typedef {object} Wanted what an entry says
 * @property {string} spiffeId
 * @property {string[]} [selectors] such as `unix:uid:1001`; all of them must hold. Default: the user of this test
 * @property {string} [hint]
 * @property {number} [x509SvidTtl] seconds. SPIRE renews at half of the lifetime, give or take a tenth, and the
 * lifetime begins 10 s before the SVID was made. Measured: 15 is renewed every second or two, 20 every 4 s, 30 every 9
 * s; 10 and less at every synchronisation
 * @property {number} [jwtSvidTtl] seconds
 * @property {string[]} [federatesWith] names of trust domains
 * @property {string[]} [dnsNames]
 * @property {string} [entryId] the agent lists SVIDs in the order of these; default: random
 */

/**
 * @typedef {object} Settings
 * @property {string} name the trust domain
 * @property {string} directory what it keeps, secrets among it, in a directory of its own that nobody else can read
 * @property {string} socketPath of the Workload API
 * @property {string} bin where spire-server and spire-agent are
 * @property {string} host an address of this machine that is nobody else's
 * @property {number} x509SvidTtl seconds
 * @property {number} jwtSvidTtl seconds
 * @property {string} syncInterval how often the agent asks the server
 * @property {boolean} workloadPath whether `unix:path` and `unix:sha256` are selectors too
 */

export class TrustDomain {
  server = /** @type {Program} */ (/** @type {unknown} */ (undefined))
  agent = /** @type {Program} */ (/** @type {unknown} */ (undefined))
  /** @type {Map<string, Wanted>} */
  entries = new Map()
  #settings
  #ports = { server: 0, bundle: 0 }

  /** @param {Settings} settings */
  constructor(settings) {
    this.#settings = settings
    this.name = settings.name
    /** The socket of the Workload API; as an endpoint it is `unix://${socketPath}`. */
    this.socketPath = settings.socketPath
    /** What spire-agent itself says as a workload. */
    this.ask = new AgentCommand(settings.bin, settings.socketPath)
    /** The parent of all entries: the one agent. */
    this.node = `spiffe://${settings.name}/node`
    mkdirSync(settings.directory, { mode: 0o700 })
  }

  /** @param {string[]} parts */
  #at(...parts) {
    return path.join(this.#settings.directory, ...parts)
  }

  get endpoint() {
    return `unix://${this.socketPath}`
  }

  async start() {
    const { name, host, x509SvidTtl, jwtSvidTtl, syncInterval, workloadPath } = this.#settings
    this.#ports = { server: await freePort(host), bundle: await freePort(host) }
    for (const directory of ['server', 'agent']) mkdirSync(this.#at(directory))
    writeFileSync(
      this.#at('server.conf'),
      serverConfiguration({
        name,
        host,
        ports: this.#ports,
        data: this.#at('server'),
        socket: this.#at('server.sock'),
        x509SvidTtl,
        jwtSvidTtl,
        reload: syncInterval
      })
    )
    await this.startServer()
    const bundle = await this.serverCommand(['bundle', 'show', '-output', 'pretty', '-format', 'pem'])
    writeFileSync(this.#at('bootstrap.pem'), bundle)
    writeFileSync(
      this.#at('agent.conf'),
      agentConfiguration({
        name,
        host,
        port: this.#ports.server,
        data: this.#at('agent'),
        socket: this.socketPath,
        bundle: this.#at('bootstrap.pem'),
        syncInterval,
        workloadPath
      })
    )
    const { value } = await this.serverJson(['token', 'generate', '-spiffeID', this.node])
    await this.#startAgent(['-joinToken', value])
    return this
  }

  /** The same server as before, on the same port, with all that it knew. */
  async startServer() {
    this.server = new Program(`the server of ${this.name}`, path.join(this.#settings.bin, 'spire-server'), [
      'run',
      '-config',
      this.#at('server.conf')
    ])
    await this.server.listens(this.#at('server.sock'))
  }

  async stopServer() {
    await this.server.kill()
  }

  /** @param {string[]} [more] */
  async #startAgent(more = []) {
    this.agent = new Program(`the agent of ${this.name}`, path.join(this.#settings.bin, 'spire-agent'), [
      'run',
      '-config',
      this.#at('agent.conf'),
      ...more
    ])
    await this.agent.listens(this.socketPath)
  }

  /** The agent is gone, its socket is left over unless the signal lets it clean up. @param {NodeJS.Signals} [signal] */
  async killAgent(signal = 'SIGKILL') {
    await this.agent.kill(signal)
  }

  /**
   * The same agent again, with a new socket at the same path. It needs its server: what it had fetched it has not kept.
   */
  async restartAgent() {
    if (this.agent.running) await this.killAgent()
    await this.#startAgent()
  }

  /**
   * The command line of the server: `serverCommand(['entry', 'show'])`. What it printed.
   * @param {string[]} args
   * @param {string} [input]
   */
  async serverCommand(args, input) {
    const result = await run(
      path.join(this.#settings.bin, 'spire-server'),
      [...args, '-socketPath', this.#at('server.sock')],
      { input }
    )
    if (result.code !== 0) throw new SpireError(result)
    return result.stdout
  }

  /** The same, with the answer as an object. @param {string[]} args @param {string} [input] */
  async serverJson(args, input) {
    const answer = JSON.parse(await this.serverCommand([...args, '-output', 'json'], input))
    // Commands that do several things at once succeed even if none of them did.
    for (const { status } of answer.results ?? []) {
      if (status.code !== 0) throw new SpireError({ code: status.code, stdout: '', stderr: status.message })
    }
    return answer
  }

  /** An entry as the command line reads it. @param {Wanted} wanted */
  #written({
    spiffeId,
    selectors = [`unix:uid:${process.getuid?.()}`],
    hint = '',
    x509SvidTtl = 0,
    jwtSvidTtl = 0,
    federatesWith = [],
    dnsNames = [],
    entryId
  }) {
    return {
      entry_id: entryId,
      parent_id: this.node,
      spiffe_id: spiffeId,
      selectors: selectors.map((selector) => {
        const [type] = selector.split(':', 1)
        return { type, value: selector.slice(type.length + 1) }
      }),
      hint,
      x509_svid_ttl: x509SvidTtl,
      jwt_svid_ttl: jwtSvidTtl,
      federates_with: federatesWith.map((name) => `spiffe://${name}`),
      dns_names: dnsNames
    }
  }

  /**
   * New entries, all in one call; their ids come back. The agent has an SVID for each of them by then, unless `wait` is
   * false or no agent runs.
   * @param {Wanted[]} wanted
   * @param {{ wait?: boolean }} [options]
   * @returns {Promise<string[]>}
   */
  async createEntries(wanted, { wait = true } = {}) {
    const since = this.agent.lines.length
    const { results } = await this.serverJson(
      ['entry', 'create', '-data', '-'],
      JSON.stringify({ entries: wanted.map((one) => this.#written(one)) })
    )
    const ids = results.map((/** @type {any} */ { entry }) => entry.id)
    for (const [index, id] of ids.entries()) this.entries.set(id, { ...wanted[index], entryId: id })
    if (wait && this.agent.running)
      await Promise.all(ids.map((/** @type {string} */ id) => this.#agentSays('SVID updated', id, since)))
    return ids
  }

  /** @param {Wanted} wanted @param {{ wait?: boolean }} [options] */
  async createEntry(wanted, options) {
    return (await this.createEntries([wanted], options))[0]
  }

  /**
   * Change what an entry says. The agent makes a new SVID for it, whatever the change: a rotation at will.
   * @param {string} id
   * @param {Partial<Wanted>} [changes]
   * @param {{ wait?: boolean }} [options]
   */
  async updateEntry(id, changes = {}, { wait = true } = {}) {
    const before = this.entries.get(id)
    if (before === undefined) throw new Error(`there is no entry ${id}`)
    const wanted = { ...before, ...changes }
    const since = { server: this.server.lines.length, agent: this.agent.lines.length }
    const {
      results: [
        {
          entry: { revision_number: revision }
        }
      ]
    } = await this.serverJson(['entry', 'update', '-data', '-'], JSON.stringify({ entries: [this.#written(wanted)] }))
    this.entries.set(id, wanted)
    if (!wait || !this.agent.running) return
    // An SVID that is renewed just now for its age may be of the entry as it was.
    const signed = await this.server.says(
      `the server of ${this.name} signs for ${id} as it is now`,
      (line) => line.msg === 'Signed X509 SVID' && line.entry_id === id && line.revision_number >= Number(revision),
      { since: since.server }
    )
    await this.#agentSays('SVID updated', id, since.agent, Date.parse(signed.time))
  }

  /** @param {string} id @param {{ wait?: boolean }} [options] */
  async deleteEntry(id, { wait = true } = {}) {
    const since = this.agent.lines.length
    await this.serverJson(['entry', 'delete', '-entryID', id])
    this.entries.delete(id)
    if (wait && this.agent.running) await this.#agentSays('Entry removed', id, since)
  }

  /** @param {string} message @param {string} id @param {number} since @param {number} [notBefore] */
  #agentSays(message, id, since, notBefore = 0) {
    return this.agent.says(
      `the agent of ${this.name} says "${message}" of ${id}`,
      (line) => line.msg === message && line.entry === id && Date.parse(line.time) >= notBefore,
      { since }
    )
  }

  /**
   * From now on this domain knows the bundle of the other and keeps it fresh over https_spiffe. Entries that federate
   * with it get it (back).
   * @param {TrustDomain} other
   */
  async federate(other) {
    const file = this.#at(`${other.name}.bundle`)
    writeFileSync(file, await other.serverCommand(['bundle', 'show', '-output', 'pretty', '-format', 'spiffe']))
    await this.serverJson([
      'federation',
      'create',
      '-trustDomain',
      other.name,
      '-bundleEndpointURL',
      other.bundleEndpoint,
      '-bundleEndpointProfile',
      'https_spiffe',
      '-endpointSpiffeID',
      `spiffe://${other.name}/spire/server`,
      '-trustDomainBundlePath',
      file,
      '-trustDomainBundleFormat',
      'spiffe'
    ])
    await this.serverJson(['federation', 'refresh', '-id', other.name])
    for (const [id, { federatesWith = [] }] of this.entries) {
      if (federatesWith.includes(other.name)) await this.updateEntry(id)
    }
  }

  /** The bundle of the other is gone from here: workloads lose it. @param {TrustDomain} other */
  async forget(other) {
    const since = this.agent.lines.length
    const known = [...this.entries.values()].some(({ federatesWith = [] }) => federatesWith.includes(other.name))
    await this.serverJson(['federation', 'delete', '-id', other.name])
    await this.serverJson(['bundle', 'delete', '-id', `spiffe://${other.name}`, '-mode', 'dissociate'])
    if (known && this.agent.running) {
      await this.agent.says(
        `the agent of ${this.name} drops the bundle of ${other.name}`,
        (line) => line.msg === 'Bundle removed' && line.trust_domain_id === other.name,
        { since }
      )
    }
  }

  get bundleEndpoint() {
    return `https://${this.#settings.host}:${this.#ports.bundle}`
  }

  describe() {
    return [this.server, this.agent].map((program) => program?.describe() ?? '').join('\n')
  }
}

const text = (/** @type {unknown} */ value) => JSON.stringify(value)

/**
 * @param {{ name: string, host: string, ports: { server: number, bundle: number }, data: string, socket: string,
 *   x509SvidTtl: number, jwtSvidTtl: number, reload: string }} settings
 */
const serverConfiguration = ({ name, host, ports, data, socket, x509SvidTtl, jwtSvidTtl, reload }) => `
server {
  trust_domain = ${text(name)}
  bind_address = ${text(host)}
  bind_port = ${ports.server}
  socket_path = ${text(socket)}
  data_dir = ${text(data)}
  log_level = "DEBUG"
  log_format = "json"
  # The agent's own SVID has nothing to do with what is tested: it must outlive a server that is down for long.
  agent_ttl = "4h"
  ca_ttl = "24h"
  default_x509_svid_ttl = "${x509SvidTtl}s"
  default_jwt_svid_ttl = "${jwtSvidTtl}s"
  ratelimit { attestation = false, signing = false }
  experimental { cache_reload_interval = ${text(reload)} }
  federation {
    bundle_endpoint {
      address = ${text(host)}
      port = ${ports.bundle}
      refresh_hint = "1m"
      profile "https_spiffe" {}
    }
  }
}
plugins {
  DataStore "sql" {
    plugin_data {
      database_type = "sqlite3"
      connection_string = ${text(path.join(data, 'datastore.sqlite3'))}
    }
  }
  KeyManager "disk" {
    plugin_data { keys_path = ${text(path.join(data, 'keys.json'))} }
  }
  NodeAttestor "join_token" {
    plugin_data {}
  }
}
`

/**
 * @param {{ name: string, host: string, port: number, data: string, socket: string, bundle: string,
 *   syncInterval: string, workloadPath: boolean }} settings
 */
const agentConfiguration = ({ name, host, port, data, socket, bundle, syncInterval, workloadPath }) => `
agent {
  trust_domain = ${text(name)}
  server_address = ${text(host)}
  server_port = ${port}
  socket_path = ${text(socket)}
  trust_bundle_path = ${text(bundle)}
  data_dir = ${text(data)}
  log_level = "DEBUG"
  log_format = "json"
  # Every entry of a test has its SVID made at once, also when there are very many.
  x509_svid_cache_max_size = 20000
  experimental { sync_interval = ${text(syncInterval)} }
}
plugins {
  NodeAttestor "join_token" {
    plugin_data {}
  }
  KeyManager "disk" {
    plugin_data { directory = ${text(data)} }
  }
  WorkloadAttestor "unix" {
    plugin_data { discover_workload_path = ${workloadPath} }
  }
}
`
