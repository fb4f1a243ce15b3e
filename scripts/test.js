'use strict'
/**
 * npm test: sets everything up (a clean checkout has neither packages nor addon), then tests the core without Node and
 * the package with it. Needs nothing but Node itself until the first step has run.
 */
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { describe, inspect, platformHere } = require('./addon')
const { setUp, say, root } = require('./setup')
const { cargoEnvironment, sharedWithAddon } = require('./sources')

/** A test that hangs is a test that fails. */
const TEST_TIMEOUT = '--test-timeout=300000'

/**
 * Named one by one: Node 20 takes no pattern, Node 22 no directory.
 * @param {string} [below] a directory in __test__
 */
function testFiles(below = '') {
  const directory = path.join('__test__', below)
  return fs
    .readdirSync(path.join(root, directory))
    .filter((name) => name.endsWith('.test.mjs'))
    .sort()
    .map((name) => path.join(directory, name))
}

/**
 * @param {string} title
 * @param {string} command
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 */
function step(title, command, args, env = process.env) {
  say(title)
  const start = Date.now()
  const { status, signal, error } = spawnSync(command, args, { cwd: root, env, stdio: 'inherit' })
  if (error) process.stderr.write(`${command}: ${error.message}\n`)
  const seconds = ((Date.now() - start) / 1000).toFixed(0)
  say(`${status === 0 ? 'passed' : `FAILED (${signal ?? status ?? 'not started'})`}: ${title}, ${seconds} s`)
  if (status !== 0) process.exit(1)
}

module.exports = { step, testFiles, root, TEST_TIMEOUT }

if (require.main === module) {
  setUp()
  const { file, triple } = platformHere()
  say(describe(inspect(path.join(root, file))))
  step('the core: cargo test', 'cargo', ['test', '--quiet', ...sharedWithAddon(triple)], cargoEnvironment())
  step('the package: node --test', process.execPath, ['--test', '--test-reporter=spec', TEST_TIMEOUT, ...testFiles()])
}
