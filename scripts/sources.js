'use strict'
/** What the addon is built from, and its digest: by it an addon and a checkout are known to belong together. */
const { createHash } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')

const root = path.join(__dirname, '..')

/** Files, and directories with all that lies in them. */
const SOURCES = [
  'Cargo.toml',
  'Cargo.lock',
  'build.rs',
  '.cargo/config.toml',
  'src',
  'crates/countersign/Cargo.toml',
  'crates/countersign/src'
]

/**
 * The files at or below a path, by names that are the same on every system.
 * @param {string} base
 * @param {string} name
 * @returns {string[]}
 */
function filesAt(base, name) {
  if (!fs.statSync(path.join(base, name)).isDirectory()) return [name]
  return fs.readdirSync(path.join(base, name)).flatMap((entry) => filesAt(base, `${name}/${entry}`))
}

/**
 * The SHA-256 digest of the sources, in hexadecimal. Git may have given the lines of a checkout on Windows other ends.
 * @param {string} [base] the checkout
 */
function digest(base = root) {
  const hash = createHash('sha256')
  for (const name of SOURCES.flatMap((source) => filesAt(base, source)).sort()) {
    const text = fs.readFileSync(path.join(base, name), 'latin1').replaceAll('\r\n', '\n')
    hash.update(`${name}\0${text.length}\0`).update(text, 'latin1')
  }
  return hash.digest('hex')
}

/** The environment of a cargo that builds or checks the addon: build.rs writes the digest into it. */
const cargoEnvironment = () => ({ ...process.env, COUNTERSIGN_SOURCES: digest() })

/**
 * What makes cargo use what it compiled for the addon: napi names the target, which gives a directory of its own, and
 * with the whole workspace go other features than with one package.
 * @param {string} triple
 */
const sharedWithAddon = (triple) => ['--locked', '--workspace', '--target', triple]

module.exports = { digest, cargoEnvironment, sharedWithAddon, root }

if (require.main === module) process.stdout.write(`${digest()}\n`)
