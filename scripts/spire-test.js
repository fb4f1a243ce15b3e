'use strict'
/**
 * npm run test:spire: the tests in __test__/spire, against real SPIRE, go-spiffe and spiffe-rustls, which are built
 * first where they are not in the cache. Where they cannot be had, one line says why, and that is not a failure.
 */
const { programs, Unavailable } = require('./go-programs')
const { rustPeer } = require('./rust-peers')
const { setUp } = require('./setup')
const { step, testFiles, TEST_TIMEOUT } = require('./test')

function buildRustPeer() {
  try {
    rustPeer('spiffe-tls')
  } catch (error) {
    throw new Unavailable(/** @type {Error} */ (error).message)
  }
}

try {
  if (process.platform !== 'linux') throw new Unavailable('SPIRE is run on Linux only')
  programs('peers')
  programs('spire')
  buildRustPeer()
  setUp()
  step('against real SPIRE: node --test', process.execPath, [
    '--test',
    '--test-reporter=spec',
    TEST_TIMEOUT,
    ...testFiles('spire')
  ])
} catch (error) {
  if (!(error instanceof Unavailable)) throw error
  process.stdout.write(`SKIPPED test:spire: ${error.message}\n`)
}
