'use strict'
/** The addon as a file: where it lies in a checkout, how it was built and from which sources. */
const fs = require('node:fs')
const path = require('node:path')
const { isElf, isStripped } = require('./elf')
const { PLATFORMS } = require('./npm-packages')

/** What build.rs writes into the addon. `trial` is a release without its optimisation: see Cargo.toml. */
const BUILD = /^countersign addon: (release|trial|quick) build of sources ([0-9a-f]{64}|unknown)\./

/** The platform of this process. */
function platformHere() {
  const report = /** @type {any} */ (process.report?.getReport())
  const libc = process.platform !== 'linux' ? undefined : report.header.glibcVersionRuntime ? 'glibc' : 'musl'
  const platform = PLATFORMS.find((one) => one.os === process.platform && one.cpu === process.arch && one.libc === libc)
  if (!platform) throw new Error(`there is no addon for ${[process.platform, process.arch, libc].join(' ')}`)
  return platform
}

/**
 * @typedef {object} Addon
 * @property {string} file
 * @property {number} bytes
 * @property {'release' | 'trial' | 'quick' | 'unknown'} profile `unknown`: it does not say
 * @property {string} sources the digest of what it was built from, or `unknown`
 * @property {boolean | undefined} stripped `undefined`: not an ELF file
 */

/**
 * What an addon says of itself. It is read and not run: it may be one for another system.
 * @param {string} file
 * @returns {Addon}
 */
function inspect(file) {
  const content = fs.readFileSync(file)
  const at = content.indexOf('countersign addon: ')
  const [, profile, sources] = (at === -1 ? null : BUILD.exec(content.toString('latin1', at, at + 160))) ?? []
  return {
    file,
    bytes: content.length,
    profile: /** @type {Addon['profile']} */ (profile ?? 'unknown'),
    sources: sources ?? 'unknown',
    stripped: isElf(content) ? isStripped(content) : undefined
  }
}

/** One line for reports. @param {Addon} addon */
const describe = ({ file, bytes, profile, stripped }) =>
  `${path.basename(file)}: ${profile} build, ${bytes} ` +
  `bytes${stripped === undefined ? '' : stripped ? ', stripped' : ', not stripped'}`

/**
 * Throws for an addon that must not reach users: not of this profile, with symbols, or of other sources than these.
 * @param {string} file
 * @param {string} sources their digest
 * @param {'release' | 'trial'} [profile]
 */
function requireShippable(file, sources, profile = 'release') {
  const addon = inspect(file)
  if (addon.profile !== profile) throw new Error(`${file}: a ${profile} build is needed, and this is: ${addon.profile}`)
  if (addon.stripped === false) throw new Error(`${file} is not stripped`)
  if (addon.sources !== sources) throw new Error(`${file} was built from other sources`)
}

module.exports = { platformHere, inspect, describe, requireShippable }
