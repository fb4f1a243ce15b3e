'use strict'
/**
 * Builds the addon into the checkout: `npm run build` as it ships, `npm run build -- --quick` as the tests need it.
 * Cargo's own cache makes a second run cheap.
 */
const { execFileSync } = require('node:child_process')
const path = require('node:path')
const { platformHere } = require('./addon')
const { cargoEnvironment, root } = require('./sources')

/**
 * The profile `dev`, which is that of the tests. An example of the core makes cargo choose the features that the tests
 * need: without it, tokio and all that rests on it are compiled once more for them.
 */
const QUICK = ['--', '--locked', '--workspace', '--lib', '--example', 'issue_rate']
const RELEASE = ['--release', '--', '--locked']

/**
 * @param {{ quick?: boolean }} [options]
 * @returns {string} the addon
 */
function build({ quick = false } = {}) {
  const cli = path.join(path.dirname(require.resolve('@napi-rs/cli/package.json')), 'dist', 'cli.js')
  const args = [cli, 'build', '--platform', '--no-js', '--dts', 'types/native.d.ts', ...(quick ? QUICK : RELEASE)]
  execFileSync(process.execPath, args, { cwd: root, env: cargoEnvironment(), stdio: ['ignore', 'inherit', 'inherit'] })
  return path.join(root, platformHere().file)
}

module.exports = { build }

if (require.main === module) build({ quick: process.argv.includes('--quick') })
