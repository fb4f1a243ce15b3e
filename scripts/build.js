'use strict'
/**
 * Builds the addon into the checkout: `npm run build [-- --debug]`. Cargo's own cache makes a second run cheap.
 */
const { execFileSync } = require('node:child_process')
const path = require('node:path')

const root = path.join(__dirname, '..')

function build({ debug = false } = {}) {
  const cli = path.join(path.dirname(require.resolve('@napi-rs/cli/package.json')), 'dist', 'cli.js')
  const args = [cli, 'build', '--platform', '--no-js', '--dts', 'native.d.ts', ...(debug ? [] : ['--release'])]
  execFileSync(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
}

module.exports = { build, root }

if (require.main === module) build({ debug: process.argv.includes('--debug') })
