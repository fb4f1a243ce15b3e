'use strict'
/** Makes a checkout ready to run: the packages the build needs, then the addon when it is missing or out of date. */

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const root = path.join(__dirname, '..')

/** What the addon is made of. */
const SOURCES = [
  'Cargo.toml',
  'Cargo.lock',
  'build.rs',
  '.cargo/config.toml',
  'src',
  'crates/countersign/Cargo.toml',
  'crates/countersign/src'
]

/** @param {string} text */
const say = (text) => process.stdout.write(`\n# ${text}\n`)

/**
 * The newest change below a path, in milliseconds.
 * @param {string} target
 * @returns {number}
 */
function newest(target) {
  const stat = fs.statSync(target)
  if (!stat.isDirectory()) return stat.mtimeMs
  return fs
    .readdirSync(target)
    .reduce((latest, name) => Math.max(latest, newest(path.join(target, name))), stat.mtimeMs)
}

function addonIsCurrent() {
  const addons = fs.readdirSync(root).filter((name) => name.endsWith('.node'))
  if (addons.length === 0) return false
  const built = Math.min(...addons.map((name) => fs.statSync(path.join(root, name)).mtimeMs))
  return SOURCES.every((source) => newest(path.join(root, source)) <= built)
}

/**
 * @param {string} command
 * @param {string} why
 */
function requireCommand(command, why) {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' })
  } catch {
    process.stderr.write(`${command} is needed ${why}, and cannot be run\n`)
    process.exit(1)
  }
}

function setUp() {
  const major = process.versions.node.split('.').map(Number)
  if (major[0] < 20 || (major[0] === 20 && major[1] < 19)) {
    process.stderr.write(`Node.js 20.19 or newer is needed, this is ${process.version}\n`)
    process.exit(1)
  }
  const installed = path.join(root, 'node_modules', '.package-lock.json')
  if (!fs.existsSync(installed) || newest(path.join(root, 'package-lock.json')) > newest(installed)) {
    // Not `npm ci`: it refuses a lock file that lacks optional packages of other platforms, and a registry need not
    // have them all. This takes the same versions from the same lock file, and does not write to it.
    say('packages the build needs: npm install --no-save')
    execFileSync('npm', ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: root,
      stdio: 'inherit'
    })
  }
  if (!addonIsCurrent()) {
    requireCommand('cargo', 'to build the addon (https://rustup.rs)')
    requireCommand('cc', 'to link the addon')
    say('the addon: cargo build --release (once; a minute or two)')
    require('./build').build()
  }
}

module.exports = { setUp, say, root }
