'use strict'
/**
 * npm run lint: the Rust (rustfmt, clippy), the JavaScript and the typings (tsc), the package as others see it
 * (publint, attw), and that what is generated was generated.
 */
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { setUp, say, root } = require('./setup')

let failed = 0

/**
 * @param {string} what
 * @param {string} command
 * @param {string[]} args
 */
function check (what, command, args) {
  say(what)
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (status === 0) return
  failed++
  process.stderr.write(`FAILED: ${what}${error ? `: ${error.message}` : ''}\n`)
}

/** @param {string} name */
const tool = (name) => path.join(root, 'node_modules', '.bin', name)

setUp()
check('rustfmt', 'cargo', ['fmt', '--all', '--check'])
check('clippy', 'cargo', ['clippy', '--workspace', '--all-targets', '--', '--deny', 'warnings'])
check('tsc over lib, bin and scripts', tool('tsc'), ['--project', 'tsconfig.json'])
for (const module of fs.readdirSync(path.join(root, '__test__', 'types')).filter((name) => /^tsconfig\..*\.json$/.test(name)).sort()) {
  check(`the typings, ${module}`, tool('tsc'), ['--project', path.join('__test__', 'types', module)])
}
check('publint', tool('publint'), ['--strict'])
check('attw', tool('attw'), ['--pack', '.'])
check('native.d.ts is the one the addon was built with', 'git', ['diff', '--exit-code', '--stat', 'native.d.ts'])
process.stdout.write(failed === 0 ? '\nlint: all good\n' : `\nlint: ${failed} failed\n`)
process.exitCode = failed === 0 ? 0 : 1
