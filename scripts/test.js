'use strict'
/**
 * npm test: sets everything up, then runs every test that needs nothing but this checkout: the core's (cargo test) and
 * the package's (node --test).
 */
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { setUp, say, root } = require('./setup')

/**
 * @param {string} command
 * @param {string[]} args
 */
function run (command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (error) process.stderr.write(`${command}: ${error.message}\n`)
  return status === 0
}

/** Named one by one: Node 20 takes no pattern, and a folder would also run what is only there to be run by tests. */
function testFiles () {
  const directory = path.join(root, '__test__')
  return fs.readdirSync(directory).filter((name) => name.endsWith('.test.mjs')).sort().map((name) => path.join('__test__', name))
}

setUp()
say('the core: cargo test')
const core = run('cargo', ['test', '--package', 'countersign'])
say('the package: node --test')
const face = run(process.execPath, ['--test', ...testFiles()])
process.exitCode = core && face ? 0 : 1
