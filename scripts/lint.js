'use strict'
/** npm run lint: everything that can be wrong with the code without running it. */

const path = require('node:path')
const { step } = require('./test')

/**
 * The script a package's command runs.
 * @param {string} name
 * @param {string} [command]
 */
function bin (name, command = name) {
  const manifest = require.resolve(`${name}/package.json`)
  const { bin } = require(manifest)
  return path.join(path.dirname(manifest), typeof bin === 'string' ? bin : bin[command])
}
const node = process.execPath

setUp()
step('rustfmt', 'cargo', ['fmt', '--all', '--check'])
step('clippy', 'cargo', ['clippy', '--workspace', '--all-targets', '--quiet', '--', '-D', 'warnings'])
step('types of the JavaScript', node, [bin('typescript', 'tsc'), '-p', '.'])
for (const resolution of ['node16', 'nodenext', 'bundler']) {
  step(`types of a consumer, ${resolution}`, node, [bin('typescript', 'tsc'), '-p', `__test__/types/tsconfig.${resolution}.json`])
}
step('types of the addon are those in native.d.ts', 'git', ['diff', '--exit-code', '--', 'native.d.ts'])
step('publint', node, [bin('publint'), '--strict'])
step('are the types wrong', node, [bin('@arethetypeswrong/cli', 'attw'), '--pack', '.'])
