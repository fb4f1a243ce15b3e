'use strict'
/** npm run lint: everything that can be wrong with the code without running it. */

const path = require('node:path')
const { platformHere } = require('./addon')
const { setUp } = require('./setup')
const { cargoEnvironment, sharedWithAddon } = require('./sources')
const { root, step } = require('./test')

/** @param {string} name */
const bin = (name) => path.join(root, 'node_modules', '.bin', name)

setUp()
step('rustfmt', 'cargo', ['fmt', '--all', '--check'])
// With the environment of the build, and in its profile: what build scripts made for it is not made once more.
const clippy = ['clippy', ...sharedWithAddon(platformHere().triple), '--all-targets', '--quiet', '--', '-D', 'warnings']
step('clippy', 'cargo', clippy, cargoEnvironment())
step('layout and lint of the JavaScript', bin('biome'), ['ci', '--error-on-warnings'])
step('types of the JavaScript', bin('tsc'), ['-p', '.'])
step('types of the tests', bin('tsc'), ['-p', '__test__'])
for (const resolution of ['node16', 'nodenext', 'bundler']) {
  step(`types of a consumer, ${resolution}`, bin('tsc'), ['-p', `__test__/types/tsconfig.${resolution}.json`])
}
step('types of the addon are those in types/native.d.ts', 'git', ['diff', '--exit-code', '--', 'types/native.d.ts'])
step('licences, sources and bans of deny.toml', process.execPath, [path.join(__dirname, 'supply-chain.js')])
step('publint', bin('publint'), ['--strict'])
step('are the types wrong', bin('attw'), ['--pack', '.'])
