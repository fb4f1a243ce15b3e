// The packages that carry the addon: what npm is told of them, and that the loader and the manifests tell the same.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { describe, test } from 'node:test'
import { root } from './support/child.mjs'

const require = createRequire(import.meta.url)
const { PLATFORMS, expected, packageName } = require('../scripts/npm-packages')
const main = require('../package.json')

describe('the platform packages', () => {
  for (const [file, text] of expected()) {
    test(`${file} is what scripts/npm-packages.js writes`, () =>
      assert.equal(readFileSync(path.join(root, file), 'utf8'), text))
  }

  test('are for each system exactly one', () => {
    const keys = PLATFORMS.map(({ os, cpu, libc }) => `${os} ${cpu} ${libc}`)
    assert.equal(new Set(keys).size, 8)
  })

  test('are pinned to the very version of the package', () => {
    assert.deepEqual(Object.keys(main.optionalDependencies).sort(), PLATFORMS.map(packageName).sort())
    for (const range of Object.values(main.optionalDependencies)) assert.equal(range, main.version)
  })

  test('run nothing when they are installed, nor does the package', () => {
    for (const manifest of [main, ...PLATFORMS.map(({ name }) => require(`../npm/${name}/package.json`))]) {
      for (const script of ['preinstall', 'install', 'postinstall', 'prepare'])
        assert.equal(manifest.scripts?.[script], undefined)
      assert.ok(manifest.publishConfig.provenance)
    }
  })

  test('are those the loader looks for, by requests a bundler sees', () => {
    const loader = readFileSync(path.join(root, 'lib', 'native', 'load.js'), 'utf8')
    const lines = [
      /'([\w-]+)': \{/,
      /file: '(.+)',/,
      /package: '(.+)',/,
      /.*/,
      /local: .*'(?:\.\.\/)+(.+)'.*/,
      /.*/,
      /installed: .*'(.+)'/
    ]
    const entry = new RegExp(lines.map((line) => line.source).join('\\s+'), 'g')
    const rows = [...loader.matchAll(entry)]
    assert.deepEqual(
      rows.map(([, key, file, name]) => [key, file, name]),
      PLATFORMS.map((platform) => [platform.name, platform.file, packageName(platform)])
    )
    for (const [, , file, name, local, installed] of rows) assert.deepEqual([local, installed], [file, name])
  })

  test('without a run of their own are not called tested in the README', () => {
    const readme = readFileSync(path.join(root, 'README.md'), 'utf8')
    for (const { name, run } of PLATFORMS) {
      const row = readme.split('\n').find((line) => line.includes(`\`${name}\``))
      assert.ok(row, `${name} is not in the table`)
      assert.equal(/tested/.test(row) && !/not run/.test(row), run, row)
    }
  })
})
