// Real databases with what docs/databases.md says about them: the blocks of its text, as they are, in another directory.
import { execFileSync, spawn } from 'node:child_process'
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { X509Source } from '../../../index.js'
import { startAgent } from '../../../lib/agent/index.js'
import { entryPoint, root } from '../../../__test__/support/child.mjs'
import { Program } from '../../../__test__/support/program.mjs'

/** The code blocks of a section of the guide, by their language. @param {string} title */
export function recipe(title) {
  const guide = readFileSync(path.join(root, 'docs', 'databases.md'), 'utf8')
  const section = guide.split(/^## /m).find((one) => one.startsWith(title)) ?? ''
  return [...section.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language, text]) => ({ language, text }))
}

/** The script of a recipe, run: what it defines. @param {string} script @param {string[]} names */
export function define(script, names) {
  const here = createRequire(pathToFileURL(path.join(root, 'peers', 'node', 'test', 'x.mjs')))
  const load = (/** @type {string} */ name) => here(name.startsWith('countersign') ? entryPoint(name) : name)
  const AsyncFunction = /** @type {any} */ (async () => {}).constructor
  return new AsyncFunction('require', `${script}\nreturn { ${names.join(', ')} }`)(load)
}

const asRoot = process.getuid?.() === 0

/** The first directory that has the program. @param {string} name @param {string[]} directories */
const find = (name, directories) =>
  directories
    .map((directory) => path.join(directory, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })

const postgresqls = existsSync('/usr/lib/postgresql')
  ? readdirSync('/usr/lib/postgresql').map((version) => `/usr/lib/postgresql/${version}/bin`)
  : []
const paths = (process.env.PATH ?? '').split(':')
export const postgres = find('postgres', [...postgresqls, ...paths])
export const redisServer = find('redis-server', ['/usr/bin', ...paths])

/** Who a server runs as: PostgreSQL does not run as root. @param {string} name @returns {{ uid?: number, gid?: number }} */
function userOf(name) {
  if (!asRoot) return {}
  const id = (/** @type {string} */ flag) => Number(execFileSync('id', [flag, name], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

/** A database, its user and its identity. */
export class Database {
  /** @type {Program[]} */
  #programs = []
  /** @type {string[]} */
  #groups = []
  #count = 0
  /** @type {any} */
  agent

  /** @param {string} name such as postgresql, the last part of its SPIFFE ID @param {string} user */
  constructor(name, user) {
    this.name = name
    this.user = userOf(user)
    // Sockets are in it: their paths must not be long.
    this.directory = mkdtempSync(path.join(os.tmpdir().length > 60 ? '/tmp' : os.tmpdir(), 'countersign-db-'))
    chmodSync(this.directory, 0o755)
    this.run = this.own('run')
    this.svid = path.join(this.run, 'svid')
  }

  /** A directory that belongs to the user. @param {string} name */
  own(name) {
    const directory = path.join(this.directory, name)
    mkdirSync(directory, { mode: 0o700 })
    if (asRoot) chownSync(directory, /** @type {number} */ (this.user.uid), /** @type {number} */ (this.user.gid))
    return directory
  }

  /** A file that the user can read. @param {string} name @param {string} text */
  write(name, text) {
    const file = path.join(this.directory, name)
    writeFileSync(file, text)
    chmodSync(file, 0o644)
    return file
  }

  /** A block of the guide, where we are. @param {string} text */
  here(text) {
    return text.replaceAll(`/run/${this.name}`, this.run)
  }

  /** A rule for us, whose common name is `billing`, and one for the database. */
  #rules = () => [
    {
      match: { uid: process.getuid?.() },
      spiffeId: 'spiffe://example.org/billing',
      dnsNames: ['billing', `n${++this.#count}.test`]
    },
    {
      match: { uid: this.user.uid ?? process.getuid?.() },
      spiffeId: `spiffe://example.org/${this.name}`,
      dnsNames: [`${this.name}${this.#count}.test`]
    }
  ]

  async startAgent() {
    this.agent = await startAgent({
      rules: this.#rules(),
      workloadApi: { trustDomain: 'example.org', socketPath: path.join(this.directory, 'workload.sock') }
    })
    this.source = await X509Source.open({ endpoint: this.agent.endpoint })
  }

  /** New SVIDs for everybody. */
  renew() {
    this.agent.setRules(this.#rules())
  }

  /** A program of the database, as its user. @param {string} command @param {string[]} args */
  start(command, args) {
    const program = new Program(this.name, command, args, this.user)
    this.#programs.push(program)
    return program
  }

  /** The shell of the guide. @param {string} script @param {Record<string, string>} env */
  shell(script, env) {
    const countersign = `countersign () { exec setpriv --pdeathsig KILL ${quoted(process.execPath)} ${quoted(path.join(root, 'bin', 'countersign.js'))} "$@"; }\n`
    // Whatever becomes of us, it ends with us, and its pipeline with it.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'sh', '-c', countersign + this.here(script)], {
      env: { PATH: process.env.PATH, SPIFFE_ENDPOINT_SOCKET: this.agent.endpoint, ...env },
      ...this.user,
      cwd: '/',
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit']
    })
    child.unref()
    this.#groups.push(String(child.pid))
  }

  /** How many authorities its file has. */
  authorities() {
    try {
      return readFileSync(path.join(this.svid, 'bundle.0.pem'), 'utf8').match(/BEGIN/g)?.length
    } catch {
      return 0
    }
  }

  /** When the newest files came, in milliseconds: whoever reads after that has them. */
  published() {
    return lstatSync(path.join(this.svid, '..svids')).mtimeMs
  }

  /** Which files those are: each time they change it is another directory. */
  edition() {
    return readlinkSync(path.join(this.svid, '..svids'))
  }

  async stop() {
    // The whole pipeline of each, and no other.
    for (const group of this.#groups) {
      try {
        process.kill(-Number(group), 'SIGTERM')
      } catch {}
    }
    this.source?.close()
    // Neither programs nor an agent keep a process alive.
    const alive = setInterval(() => {}, 1000)
    await Promise.all(this.#programs.filter(({ running }) => running).map((program) => program.kill('SIGINT')))
    await this.agent?.close()
    clearInterval(alive)
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`
