'use strict'
/** The native programs and addons that countersign is compared with: of this checkout, whichever is measured. */
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { quiet } = require('./checkout')

const root = path.join(__dirname, '..')
const source = path.join(__dirname, 'native')
const target = path.join(root, 'target', 'benchmark')
const built = path.join(target, 'release')
const addonFile = path.join(source, 'countersign-benchmark.node')
const oneFunction = path.join(source, 'one-function')

function buildNative() {
  const manifest = ['--manifest-path', path.join(source, 'Cargo.toml'), '--target-dir', target]
  execFileSync('cargo', ['build', '--release', '-q', '--workspace', ...manifest], { cwd: root, stdio: quiet })
  fs.copyFileSync(path.join(built, 'libcountersign_benchmark.so'), addonFile)
  fs.copyFileSync(path.join(built, 'libone_function.so'), path.join(oneFunction, 'one-function.node'))
}

module.exports = {
  buildNative,
  /** Bare system calls and cryptography, and the original client, as an addon. */
  nativeAddon: () => require(addonFile),
  /** A package whose addon has one function. */
  oneFunction,
  /** The bare server and the load generator. */
  connections: path.join(built, 'connections')
}
