'use strict'
/**
 * npm run test:tls-peers - countersign/tls and countersign/grpc with the libraries people use, which are no part of
 * this package: they are installed into peers/node. PostgreSQL and Redis come from the packages of Debian.
 */
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { setUp, say, root } = require('./setup')
const { step, TEST_TIMEOUT } = require('./test')

const peers = path.join(root, 'peers', 'node')

function installPeers() {
  const installed = path.join(peers, 'node_modules', '.package-lock.json')
  if (
    fs.existsSync(installed) &&
    fs.statSync(installed).mtimeMs >= fs.statSync(path.join(peers, 'package-lock.json')).mtimeMs
  )
    return
  say('the libraries: npm install --no-save, in peers/node')
  const { status } = spawnSync(
    'npm',
    ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    { cwd: peers, stdio: 'inherit' }
  )
  if (status !== 0) process.exit(1)
}

/** Servers whose packages docs/databases.md is tested with, where root of a Debian can install them. */
function installDatabases() {
  const { existsSync, readdirSync } = fs
  const [postgresql, redis] = ['/usr/lib/postgresql', '/usr/bin/redis-server']
  // The client alone has a directory there as well.
  const served =
    existsSync(postgresql) &&
    readdirSync(postgresql).some((version) => existsSync(`${postgresql}/${version}/bin/postgres`))
  const missing = [...(served ? [] : ['postgresql']), ...(existsSync(redis) ? [] : ['redis-server'])]
  if (missing.length === 0 || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return
  say(`databases: apt-get install ${missing.join(' ')}`)
  // In runlevel 1 no service is started.
  const apt = (/** @type {string[]} */ ...args) =>
    spawnSync('apt-get', args, {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
      stdio: ['ignore', 'ignore', 'inherit']
    }).status === 0
  // What cannot be had is said by the test that wants it.
  if (!apt('update', '-qq') || !apt('install', '-qq', '-y', '--no-install-recommends', ...missing))
    process.stderr.write(`apt-get cannot install ${missing.join(' and ')}\n`)
}

/** The tests, one by one: Node 20 takes no pattern, Node 22 no directory. */
function peerTests() {
  return fs
    .readdirSync(path.join(peers, 'test'))
    .filter((name) => name.endsWith('.test.mjs'))
    .sort()
    .map((name) => path.join('peers', 'node', 'test', name))
}

module.exports = { installPeers, peerTests }

if (require.main === module) {
  setUp()
  installPeers()
  installDatabases()
  step('the libraries: node --test', process.execPath, ['--test', '--test-reporter=spec', TEST_TIMEOUT, ...peerTests()])
}
