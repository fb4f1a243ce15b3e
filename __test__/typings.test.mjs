// The typings say what is there, no more and no less, to every kind of consumer.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { test } from 'node:test'

const require = createRequire(import.meta.url)
const root = path.join(import.meta.dirname, '..')
const tsc = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')

/** @param {string[]} args */
function compile(args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [tsc, ...args], { cwd: root, encoding: 'utf8' })
  return { status, output: stdout + stderr }
}

for (const resolution of ['node16', 'nodenext', 'bundler']) {
  test(`consumers compile with module resolution ${resolution}`, () => {
    const { status, output } = compile(['-p', `__test__/types/tsconfig.${resolution}.json`])
    assert.equal(status, 0, output)
  })
}

const { exports: faces } = require('../package.json')
for (const [face, entry] of Object.entries(faces)) {
  if (typeof entry === 'string') continue
  const { types, default: code } = entry
  test(`the typings of ${face} declare the values that it exports`, (t) => {
    const names = Object.keys(require(`../${code}`)).sort()
    const directory = mkdtempSync(path.join(root, '__test__', 'types', 'generated-'))
    t.after(() => rmSync(directory, { recursive: true }))
    const file = path.join(directory, 'names.ts')
    writeFileSync(
      file,
      `import * as face from ${JSON.stringify(`../../../${types.replace(/\.d\.ts$/, '.js')}`)}
      type Declared = keyof typeof face
      type Exported = ${names.map((name) => JSON.stringify(name)).join(' | ')}
      const nothingMore: [Exclude<Declared, Exported>] extends [never] ? true : Exclude<Declared, Exported> = true
      const nothingLess: [Exclude<Exported, Declared>] extends [never] ? true : Exclude<Exported, Declared> = true
      export { nothingMore, nothingLess }`
    )
    const { status, output } = compile([
      '--strict',
      '--noEmit',
      '--target',
      'es2022',
      '--lib',
      'es2023,esnext.disposable',
      '--module',
      'esnext',
      '--moduleResolution',
      'bundler',
      '--types',
      'node',
      '--ignoreConfig',
      file
    ])
    assert.equal(status, 0, output)
  })

  test(`an ES module gets every name of ${face}`, () => {
    const address = JSON.stringify(new URL(`../${code}`, import.meta.url).href)
    const script = `import * as face from ${address}; process.stdout.write(JSON.stringify(Object.keys(face)))`
    const names = JSON.parse(
      execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' })
    )
    for (const name of Object.keys(require(`../${code}`))) assert.ok(names.includes(name), name)
  })
}
