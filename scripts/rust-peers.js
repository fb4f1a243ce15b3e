'use strict'
/**
 * Builds the Rust programs that countersign is tested against (peers), into ${XDG_CACHE_HOME:-~/.cache}/countersign.
 */
const { spawnSync } = require('node:child_process')
const path = require('node:path')
const { cache } = require('./cache')

const root = path.join(__dirname, '..')
const target = path.join(cache, 'peers-target')

/**
 * Where the program is.
 * @param {string} name of the package
 */
function rustPeer(name) {
  const { status, error, stderr } = spawnSync('cargo', ['build', '--quiet', '--locked', '--release', '-p', name], {
    cwd: path.join(root, 'peers'),
    env: { ...process.env, CARGO_TARGET_DIR: target },
    encoding: 'utf8',
    maxBuffer: 1 << 26
  })
  if (error || status !== 0) throw new Error(`cargo: ${error?.message ?? stderr.trim().split('\n').at(-1)}`)
  return path.join(target, 'release', name)
}

module.exports = { rustPeer }
