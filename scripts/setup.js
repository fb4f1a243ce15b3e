'use strict'
/**
 * Makes a checkout ready to run: the packages the build needs, then the addon, where there is none of these very
 * sources.
 */

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { describe, inspect, platformHere } = require('./addon')
const { packageName } = require('./npm-packages')
const { digest, root } = require('./sources')

/** @param {string} text */
const say = (text) => process.stdout.write(`\n# ${text}\n`)

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

/** @param {string} file */
const changed = (file) => fs.statSync(path.join(root, file)).mtimeMs

function installPackages() {
  const installed = path.join('node_modules', '.package-lock.json')
  if (fs.existsSync(path.join(root, installed)) && changed('package-lock.json') <= changed(installed)) return
  // Not `npm ci`: it refuses a lock file that lacks optional packages of other platforms, and a registry need not
  // have them all. This takes the same versions from the same lock file, and does not write to it.
  say('packages the build needs: npm install --no-save')
  execFileSync('npm', ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: 'inherit'
  })
}

/**
 * Takes the addon of the platform package, if it was released from the sources of this checkout: no Rust is needed
 * then.
 * @param {import('./npm-packages').Platform} platform
 * @param {string} sources their digest
 */
function takePublished(platform, sources) {
  const published = path.join(root, 'node_modules', packageName(platform), platform.file)
  if (!fs.existsSync(published)) return false
  const addon = inspect(published)
  if (addon.profile !== 'release' || addon.sources !== sources) return false
  say(`the addon: that of ${packageName(platform)}, which was released from these sources`)
  // Renamed into its place: a process may have the one before mapped.
  const copy = path.join(root, `${platform.file}.new`)
  fs.copyFileSync(published, copy)
  fs.renameSync(copy, path.join(root, platform.file))
  return true
}

/** @param {boolean} release */
function provideAddon(release) {
  const platform = platformHere()
  const sources = digest()
  const file = path.join(root, platform.file)
  const present = fs.existsSync(file) ? inspect(file) : undefined
  const current = present?.sources === sources && (present.profile === 'release' || !release)
  if (!current && !takePublished(platform, sources)) {
    requireCommand('cargo', 'to build the addon (https://rustup.rs)')
    requireCommand('cc', 'to link the addon')
    say(`the addon: ${release ? 'a release build (some minutes)' : 'a quick build (once; a minute or two)'}`)
    require('./build').build({ quick: !release })
  }
  if (release) say(describe(inspect(file)))
}

/**
 * @param {{ release?: boolean }} [options] `release`: what follows measures or ships the addon, so no quick build will
 *   do
 */
function setUp({ release = false } = {}) {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19)) {
    process.stderr.write(`Node.js 20.19 or newer is needed, this is ${process.version}\n`)
    process.exit(1)
  }
  installPackages()
  provideAddon(release)
}

module.exports = { setUp, say, root }
