'use strict'
/**
 * Loads an addon as the package does: a table of static requests, the C library, a look at the version. The addon is
 * built by benchmark/native.js.
 */

const EXPECTED = '0.0.0'

/** @type {Record<string, () => { version(): string }>} */
const ADDONS = {
  'linux-x64-gnu': () => require('./one-function.node')
}

/** The C library: the loader of musl has one place. */
function likelyLibc() {
  return require('node:fs').existsSync('/lib/ld-musl-x86_64.so.1') ? 'musl' : 'gnu'
}

function load() {
  const target = [process.platform, process.arch, likelyLibc()].join('-')
  const native = ADDONS[target]()
  const found = native.version()
  if (found !== EXPECTED) throw new Error(`one-function is version ${found}, ${EXPECTED} is needed`)
  return native
}

module.exports = { native: load() }
