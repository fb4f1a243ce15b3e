// Real SPIRE for tests: two trust domains that know each other, from nothing and gone without a trace.
//
//   const spire = await startSpire()
//   t.after(() => spire.stop())
//   await spire.local.createEntry({ spiffeId: 'spiffe://example.org/billing', selectors: ['unix:uid:1001'] })
//   new WorkloadApiClient({ endpoint: spire.local.endpoint })
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { chmodSync, copyFileSync, linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { Program } from '../support/program.mjs'
import { TrustDomain } from './trust-domain.mjs'

const { programs } = createRequire(import.meta.url)('../../scripts/go-programs.js')

/** Only root can run workloads as other users. */
export const root = process.getuid?.() === 0

/** The longest path a Unix socket can have. */
const LONGEST = 107

/** A directory that other users can look into, short enough for sockets in it. */
function newDirectory() {
  const prefix = path.join(os.tmpdir().length > 60 ? '/tmp' : os.tmpdir(), 'countersign-spire-')
  const directory = mkdtempSync(prefix)
  chmodSync(directory, 0o755)
  return directory
}

/**
 * Removes a directory when this process is gone, however it went: its end of a pipe is then closed.
 * @param {string} directory
 */
function sweepAfterUs(directory) {
  const script = 'read never; until rm -rf "$0" 2>/dev/null; do sleep 0.1; done'
  const child = spawn('sh', ['-c', script, directory], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/'
  })
  const pipe = /** @type {import('node:net').Socket} */ (child.stdin)
  pipe.unref()
  child.unref()
  return child
}

/**
 * Puts the Go programs where workloads of other users can run them: they cannot look into our cache.
 * @param {'spire' | 'peers'} name
 * @param {string} directory
 * @returns {string} where they are
 */
export function install(name, directory) {
  const built = programs(name)
  const bin = path.join(directory, 'bin')
  mkdirSync(bin, { recursive: true })
  for (const file of readdirSync(built)) {
    const to = path.join(bin, file)
    rmSync(to, { force: true })
    try {
      linkSync(path.join(built, file), to)
    } catch {
      copyFileSync(path.join(built, file), to)
    }
    chmodSync(to, 0o755)
  }
  return bin
}

/** No two harnesses share an address, so no port of one is ever taken by another, not even while its server is down. */
const ownAddress = () => `127.${randomInt(1, 255)}.${randomInt(0, 256)}.${randomInt(2, 255)}`

export class Spire {
  /** example.org */
  local = /** @type {TrustDomain} */ (/** @type {unknown} */ (undefined))
  /** example-federated.org, unless it was not wanted */
  foreign = /** @type {TrustDomain} */ (/** @type {unknown} */ (undefined))
  #sweeper

  /** @param {string} directory */
  constructor(directory) {
    this.directory = directory
    this.#sweeper = sweepAfterUs(directory)
  }

  /** Both domains know the bundle of the other. */
  async addFederation() {
    await Promise.all([this.local.federate(this.foreign), this.foreign.federate(this.local)])
  }

  /** Neither does. */
  async removeFederation() {
    await Promise.all([this.local.forget(this.foreign), this.foreign.forget(this.local)])
  }

  /** What servers and agents said last; for the report of a test that failed. */
  describe() {
    return [this.local, this.foreign].map((domain) => domain?.describe() ?? '').join('\n')
  }

  /** Ends every program that was started from here, and removes every file. */
  async stop() {
    const ours = [...Program.running].filter(({ command }) => command.startsWith(`${this.directory}/`))
    await Promise.all(ours.map((program) => program.kill('SIGKILL')))
    rmSync(this.directory, { recursive: true, force: true })
    this.#sweeper.kill('SIGKILL')
  }
}

/**
 * @param {object} [options]
 * @param {boolean} [options.federation] whether there is a second trust domain, and both know each other
 * @param {number} [options.x509SvidTtl] seconds, for entries that do not say; see `Wanted.x509SvidTtl`
 * @param {number} [options.jwtSvidTtl] seconds, likewise
 * @param {string} [options.syncInterval] how often an agent asks its server, and the server looks at its entries: a
 * change arrives within twice that. An agent whose server is down asks less and less often, up to every 48 intervals
 * @param {boolean} [options.workloadPath] attest by `unix:path` and `unix:sha256` too
 * @returns {Promise<Spire>}
 */
export async function startSpire({
  federation = true,
  x509SvidTtl = 60,
  jwtSvidTtl = 60,
  syncInterval = '250ms',
  workloadPath = false
} = {}) {
  programs('spire') // builds them, if need be, before anything is to be cleaned up
  const directory = newDirectory()
  const spire = new Spire(directory)
  try {
    const bin = install('spire', directory)
    const begin = (/** @type {string} */ name, /** @type {string} */ short) => {
      const socketPath = path.join(directory, `${short}.sock`)
      if (socketPath.length > LONGEST) throw new Error(`${socketPath} is too long for a socket`)
      return new TrustDomain({
        name,
        directory: path.join(directory, short),
        socketPath,
        bin,
        host: ownAddress(),
        x509SvidTtl,
        jwtSvidTtl,
        syncInterval,
        workloadPath
      })
    }
    spire.local = begin('example.org', 'local')
    if (federation) spire.foreign = begin('example-federated.org', 'foreign')
    await Promise.all([spire.local.start(), federation && spire.foreign.start()])
    if (federation) await spire.addFederation()
    return spire
  } catch (error) {
    await spire.stop()
    throw error
  }
}
