'use strict'
/** The Workload API that answers at once, and the client from Rust: programs of peers/workload-api. */
const { execFileSync } = require('node:child_process')
const path = require('node:path')
const { cache } = require('../../scripts/cache')
const { quiet } = require('../checkout')

const root = path.join(__dirname, '..', '..')
const target = path.join(cache, 'peers-target')

function buildPeers() {
  require('../../scripts/tls-peers').installPeers()
  const manifest = ['--manifest-path', path.join(root, 'peers', 'Cargo.toml'), '--target-dir', target]
  execFileSync('cargo', ['build', '--release', '-q', '-p', 'workload-api-peers', ...manifest], { stdio: quiet })
}

module.exports = {
  buildPeers,
  stub: path.join(target, 'release', 'stub'),
  rustClient: path.join(target, 'release', 'spiffe-client')
}
