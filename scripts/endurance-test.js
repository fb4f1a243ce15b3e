'use strict'
/**
 * npm run test:endurance: the tests in __test__/endurance, which bring about in minutes what months do: rotations and
 * restarts of the agent by the ten thousand, with a look at what is left behind, on the release build. Two at a time,
 * the longest first.
 */
const { setUp } = require('./setup')
const { step, testFiles, TEST_TIMEOUT } = require('./test')

if (process.platform === 'linux') {
  setUp({ release: true })
  const files = testFiles('endurance').sort(
    (one, other) => Number(other.includes('restart')) - Number(one.includes('restart'))
  )
  step('endurance: node --test', process.execPath, [
    '--max-semi-space-size=1',
    '--test',
    '--test-reporter=spec',
    '--test-concurrency=2',
    TEST_TIMEOUT,
    ...files
  ])
} else {
  process.stdout.write('SKIPPED test:endurance: what a process holds is looked up in /proc\n')
}
