#!/usr/bin/env node
'use strict'
/**
 * Puts the package, as npm would install it, through bundlers, test runners and ways to ship a program. They are fetched
 * once, into ${XDG_CACHE_HOME:-~/.cache}/countersign/hosts. What cannot work has to say so, and how else.
 */
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const { createRequire } = require('node:module')
const os = require('node:os')
const path = require('node:path')
const { installOnce } = require('../../scripts/cache')
const { setUp } = require('../../scripts/setup')

const PACKAGES = [
  'esbuild@0.28.2',
  'webpack@5.112.2',
  '@vercel/nft@1.11.5',
  'jest@30.5.2',
  'vitest@4.1.12',
  'postject@1.0.0-alpha.6'
]
const root = path.join(__dirname, '..', '..')

/** The package and its addon in a node_modules, as an installation leaves them. @param {string} directory */
function installPackage(directory) {
  const to = path.join(directory, 'node_modules', 'countersign')
  const { stdout, status, stderr } = spawnSync('npm', ['pack', '--json', '--ignore-scripts', '--dry-run'], {
    cwd: root,
    encoding: 'utf8'
  })
  if (status !== 0) throw new Error(stderr)
  for (const { path: file } of JSON.parse(stdout)[0].files) fs.cpSync(path.join(root, file), path.join(to, file))
  for (const file of fs.readdirSync(root).filter((name) => name.endsWith('.node'))) {
    const [, name] = /** @type {RegExpExecArray} */ (/^countersign\.(.+)\.node$/.exec(file))
    const addon = path.join(directory, 'node_modules', '@countersign', name)
    fs.cpSync(path.join(root, 'npm', name), addon, { recursive: true })
    fs.copyFileSync(path.join(root, file), path.join(addon, file))
  }
}

async function main() {
  setUp({ release: true })
  const cache = installOnce('hosts', PACKAGES)
  const foreign = createRequire(path.join(cache, 'package.json'))
  let failed = 0
  const checks = [
    ...require('./bundlers')(foreign),
    ...require('./test-runners')(cache),
    ...require('./single-files')(foreign, cache)
  ]
  for (const [name, check] of checks) {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-host-'))
    try {
      installPackage(directory)
      await check(directory)
      process.stdout.write(`ok ${name}\n`)
    } catch (error) {
      failed++
      process.stdout.write(`not ok ${name}\n${/** @type {Error} */ (error).stack}\n`)
    } finally {
      fs.rmSync(directory, { recursive: true })
    }
  }
  process.stdout.write(`${checks.length - failed} passed, ${failed} failed\n`)
  process.exitCode = failed === 0 ? 0 : 1
}

main()
