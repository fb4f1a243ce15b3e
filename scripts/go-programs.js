'use strict'
/**
 * Builds the Go programs that countersign is tested against, once, into ${XDG_CACHE_HOME:-~/.cache}/countersign:
 *   node scripts/go-programs.js spire     spire-server and spire-agent (scripts/spire)
 *   node scripts/go-programs.js peers     programs on go-spiffe, the Go library for SPIFFE (scripts/go-peers)
 * and prints the directory they are in. The name of the directory tells their sources, so that a change builds anew.
 */
const { spawnSync } = require('node:child_process')
const { createHash } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { cache } = require('./cache')

const root = path.join(__dirname, '..')

/**
 * @typedef {object} Programs
 * @property {string} module the directory of the Go module
 * @property {string} packages what to install from it
 * @property {string[]} binaries what comes out
 * @property {boolean} c whether C is compiled for it (sqlite)
 * @property {string} label the name of their directory in the cache begins with it
 * @property {string} duration how long that takes
 */

/** @param {string} file @param {RegExp} pattern */
const read = (file, pattern) => pattern.exec(fs.readFileSync(path.join(root, file), 'utf8'))?.[1] ?? 'unknown'

/** @type {Record<string, Programs>} */
const PROGRAMS = {
  spire: {
    module: 'peers/spire',
    packages: 'tool',
    binaries: ['spire-server', 'spire-agent'],
    c: true,
    duration: 'ten minutes on two cores, and 5 GB of disk meanwhile',
    label: `spire-${read('peers/spire/go.mod', /spiffe\/spire v(\S+)/)}`
  },
  peers: {
    module: 'peers/go',
    packages: './...',
    binaries: ['workload'],
    c: false,
    duration: 'a minute',
    label: `go-spiffe-${read('peers/go/go.mod', /go-spiffe\/v2 v(\S+)/)}`
  }
}

/** Why they cannot be had on this machine: nothing is wrong with the code, a tool or the network is missing. */
class Unavailable extends Error {}

/**
 * A hash over every file of a directory.
 * @param {string} directory
 */
function digest(directory) {
  const hash = createHash('sha256')
  for (const entry of fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .sort((a, b) => compare(where(a), where(b)))) {
    if (entry.isFile())
      hash
        .update(path.relative(directory, where(entry)))
        .update('\0')
        .update(fs.readFileSync(where(entry)))
        .update('\0')
  }
  return hash.digest('hex').slice(0, 8)
}

/** @param {fs.Dirent} entry */
const where = (entry) => path.join(entry.parentPath, entry.name)
const compare = (/** @type {string} */ a, /** @type {string} */ b) => (a < b ? -1 : a > b ? 1 : 0)

/** @param {Programs} programs */
const home = ({ label, module }) => path.join(cache, `${label}-${digest(path.join(root, module))}`)

/** @param {string} directory @param {Programs} programs */
const complete = (directory, { binaries }) => binaries.every((name) => fs.existsSync(path.join(directory, 'bin', name)))

/**
 * The one line of what a failed go said that tells why.
 * @param {string} said
 */
function telling(said) {
  const lines = said
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^go: (downloading|finding|extracting)/.test(line))
  return (
    lines.find((line) => NETWORK.test(line)) ??
    lines.find((line) => /^go: |error|cannot|fatal/i.test(line)) ??
    lines[0] ??
    'it said nothing'
  )
}

const NETWORK = new RegExp(
  [
    'dial tcp|no such host|connection re(fused|set)|i/o timeout|TLS handshake|x509:',
    '\\b(403|404|410|50\\d) |module lookup disabled|not available'
  ].join('|')
)

/**
 * What has to be there before a build can begin.
 * @param {Programs} programs
 * @param {NodeJS.ProcessEnv} env
 */
function checkTools({ label, module, c }, env) {
  // In the module's own directory: a go that may fetch a newer one of itself does it here.
  const { status, error, stderr } = spawnSync('go', ['version'], {
    cwd: path.join(root, module),
    env,
    encoding: 'utf8'
  })
  if (error)
    throw new Unavailable(
      `${label}: go cannot be run (${/** @type {NodeJS.ErrnoException} */ (error).code}); go ` +
        `${read(`${module}/go.mod`, /^go (\S+)/m)} or newer is needed`
    )
  if (status !== 0) throw new Unavailable(`${label}: this go will not do: ${telling(stderr)}`)
  if (!c) return
  const compiler = process.env.CC || 'cc'
  if (spawnSync(compiler, ['--version'], { stdio: 'ignore' }).error)
    throw new Unavailable(`${label}: no C compiler (${compiler} cannot be run), and sqlite is C`)
}

/**
 * Builds into a directory of its own that gets its name when it is whole. What go keeps for itself goes there too, and
 * is gone afterwards: it is twenty times as large as the programs, and needed again only when their sources change.
 * @param {Programs} programs
 */
function build(programs) {
  const target = home(programs)
  if (complete(target, programs)) return
  const work = path.join(cache, `${programs.label}-building`)
  fs.mkdirSync(path.join(work, 'whole'), { recursive: true })
  const env = {
    ...process.env,
    GOPATH: path.join(work, 'path'),
    GOMODCACHE: path.join(work, 'modules'),
    GOCACHE: path.join(work, 'objects'),
    GOBIN: path.join(work, 'whole', 'bin'),
    GOFLAGS: '-mod=readonly -modcacherw -buildvcs=false -trimpath',
    GOWORK: 'off',
    CGO_ENABLED: programs.c ? '1' : '0'
  }
  checkTools(programs, env)
  const { status, signal, stderr } = spawnSync('go', ['install', '-ldflags=-s -w', programs.packages], {
    cwd: path.join(root, programs.module),
    env,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'inherit', 'pipe']
  })
  if (status !== 0) {
    const why = `${programs.label}: ${signal ? `go was ended by ${signal}` : telling(stderr)}`
    throw NETWORK.test(stderr) ? new Unavailable(`${why} (the Go module proxy must be in reach)`) : new Error(why)
  }
  const whole = path.join(work, 'whole')
  if (!complete(whole, programs))
    throw new Error(`${programs.label}: go built something else than ${programs.binaries.join(' and ')}`)
  fs.rmSync(target, { recursive: true, force: true })
  fs.renameSync(whole, target)
  fs.rmSync(work, { recursive: true, force: true })
}

/** How an inner process says that it is not its fault; see `Unavailable`. */
const UNAVAILABLE = 3

/**
 * The directory of the programs; they are built when they are not there. One process builds at a time, the others wait:
 * the lock ends with its holder, however that ends.
 * @param {'spire' | 'peers'} name
 * @returns {string}
 */
function programs(name) {
  const wanted = PROGRAMS[name]
  const target = home(wanted)
  if (!complete(target, wanted)) {
    fs.mkdirSync(cache, { recursive: true })
    process.stderr.write(`# ${wanted.binaries.join(' and ')}: built, once (${wanted.label}; ${wanted.duration})\n`)
    const { status, error, stderr } = spawnSync(
      'flock',
      [path.join(cache, `${name}.lock`), process.execPath, __filename, '--locked', name],
      { encoding: 'utf8', stdio: ['ignore', 'inherit', 'pipe'] }
    )
    if (error) throw new Unavailable(`${wanted.label}: flock cannot be run (it comes with util-linux)`)
    const why = stderr.trim().split('\n').at(-1) ?? ''
    if (status === UNAVAILABLE) throw new Unavailable(why)
    if (status !== 0) throw new Error(why)
  }
  return path.join(target, 'bin')
}

module.exports = { programs, Unavailable }

if (require.main === module) {
  const locked = process.argv[2] === '--locked'
  const name = process.argv.at(-1) ?? ''
  try {
    if (name !== 'spire' && name !== 'peers') throw new Error(`expected spire or peers, got ${name}`)
    if (locked) build(PROGRAMS[name])
    else process.stdout.write(`${programs(name)}\n`)
  } catch (error) {
    process.stderr.write(`${/** @type {Error} */ (error).message}\n`)
    process.exitCode = error instanceof Unavailable ? UNAVAILABLE : 1
  }
}
