'use strict'
/** npm run test:release: makes the release build of the addon, and holds it to what is promised of it alone. */
const { setUp } = require('./setup')
const { step } = require('./test')

setUp({ release: true })
step(
  'the release build: its size, and the order of its code',
  process.execPath,
  ['--test', '--test-reporter=spec', '__test__/size-budget.test.mjs'],
  { ...process.env, COUNTERSIGN_RELEASE_TEST: '1' }
)
