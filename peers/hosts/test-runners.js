'use strict'
/** Test runners that load modules in their own way, in contexts and workers: the addon bears it. */
const assert = require('node:assert')
const fs = require('node:fs')
const path = require('node:path')
const { run } = require('./program')

/** What a user tests: a service that gets its identity, and an agent that fails on command. */
const BODY = `
  test('gets an SVID of the test agent', async () => {
    const agent = await startTestAgent({ identities: ['spiffe://example.org/billing'] })
    const source = await X509Source.open({ endpoint: agent.endpoint })
    expect(String(source.svid().spiffeId)).toBe('spiffe://example.org/billing')
    source.close()
    await agent.close()
  })
  test('gets errors that can be told apart', async () => {
    const error = await getIdentity({ socketPath: '/missing.sock' }).catch((error) => error)
    expect(error.code).toBe('ERR_SOCKET_NOT_FOUND')
    expect(CountersignError.is(error)).toBe(true)
    expect(error).toBeInstanceOf(CountersignError)
  })
`
const NAMES = '{ CountersignError, getIdentity, X509Source }'

/** Two files, so that the addon is loaded more than once. @param {string} directory @param {string} name @param {string} text */
function write(directory, name, text) {
  for (const number of [1, 2]) fs.writeFileSync(path.join(directory, name.replace('N', String(number))), text)
}

/** @param {string} cache @returns {[string, (directory: string) => Promise<void>][]} */
module.exports = (cache) => [
  [
    'jest',
    async (directory) => {
      fs.writeFileSync(
        path.join(directory, 'package.json'),
        '{ "private": true, "jest": { "testEnvironment": "node" } }'
      )
      write(
        directory,
        'N.test.js',
        `const ${NAMES} = require('countersign')\nconst { startTestAgent } = require('countersign/testing')\n${BODY}`
      )
      const { status, output } = run(
        process.execPath,
        [path.join(cache, 'node_modules', 'jest', 'bin', 'jest.js'), '--rootDir', directory, '--watchman=false'],
        directory
      )
      assert.strictEqual(status, 0, output)
      assert.match(output, /Tests: +4 passed, 4 total/)
      assert.doesNotMatch(output, /did not exit|failed to exit|open handle/i)
    }
  ],
  ...['forks', 'threads'].map(
    (pool) =>
      /** @type {[string, (directory: string) => Promise<void>]} */ ([
        `vitest, ${pool}`,
        async (directory) => {
          // vitest's own modules are looked for from the tests: it is no dependency of the package.
          fs.writeFileSync(path.join(directory, 'package.json'), '{ "private": true, "type": "module" }')
          fs.symlinkSync(path.join(cache, 'node_modules', 'vitest'), path.join(directory, 'node_modules', 'vitest'))
          write(
            directory,
            'N.test.js',
            `import { test, expect } from 'vitest'\nimport ${NAMES} from 'countersign'\nimport { startTestAgent } from 'countersign/testing'\n${BODY}`
          )
          const { status, output } = run(
            process.execPath,
            [path.join(cache, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--root', directory, '--pool', pool],
            directory,
            { ...process.env, NO_COLOR: '1' }
          )
          assert.strictEqual(status, 0, output)
          assert.match(output, /Tests +4 passed \(4\)/)
        }
      ])
  )
]
