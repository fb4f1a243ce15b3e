'use strict'
/** Programs in one file, and snapshots of programs: native code has no place in them, and the package says where it has. */
const assert = require('node:assert')
const fs = require('node:fs')
const path = require('node:path')
const { write, works, run, PROGRAM } = require('./program')

/** The mark that the tool which puts programs into Node.js looks for. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'

/** @param {string} directory @param {string} main @param {string} cache */
function singleExecutable(directory, main, cache) {
  fs.writeFileSync(
    path.join(directory, 'sea.json'),
    JSON.stringify({ main, output: 'sea.blob', disableExperimentalSEAWarning: true })
  )
  const made = run(process.execPath, ['--experimental-sea-config', 'sea.json'], directory)
  assert.strictEqual(made.status, 0, made.output)
  const executable = path.join(directory, 'program')
  fs.copyFileSync(process.execPath, executable)
  fs.chmodSync(executable, 0o755)
  const injected = run(
    process.execPath,
    [
      path.join(cache, 'node_modules', 'postject', 'dist', 'cli.js'),
      executable,
      'NODE_SEA_BLOB',
      'sea.blob',
      '--sentinel-fuse',
      FUSE
    ],
    directory
  )
  assert.strictEqual(injected.status, 0, injected.output)
  return executable
}

/** @param {NodeJS.Require} foreign @param {string} cache @returns {[string, (directory: string) => Promise<void>][]} */
module.exports = (foreign, cache) => [
  [
    'a single executable with everything in it says how else',
    async (directory) => {
      await foreign('esbuild').build({
        entryPoints: [write(directory)],
        bundle: true,
        platform: 'node',
        outfile: path.join(directory, 'bundle.js'),
        external: ['@countersign/*', '*.node'],
        logLevel: 'silent'
      })
      const { status, output } = run(singleExecutable(directory, 'bundle.js', cache), [], directory)
      assert.notStrictEqual(status, 0)
      assert.match(output, /ERR_NATIVE_UNAVAILABLE/)
      assert.match(output, /fix: a single executable .*createRequire\(process\.execPath\)/)
    }
  ],
  [
    'a single executable with node_modules beside it',
    async (directory) => {
      fs.writeFileSync(
        path.join(directory, 'main.js'),
        `{ const require = process.getBuiltinModule('node:module').createRequire(process.execPath)\n${PROGRAM}}`
      )
      works(singleExecutable(directory, 'main.js', cache), [], directory)
    }
  ],
  [
    'a startup snapshot refuses it with a reason',
    async (directory) => {
      await foreign('esbuild').build({
        entryPoints: [write(directory)],
        bundle: true,
        platform: 'node',
        outfile: path.join(directory, 'bundle.js'),
        external: ['@countersign/*', '*.node'],
        logLevel: 'silent'
      })
      const { status, output } = run(
        process.execPath,
        ['--snapshot-blob', 'program.blob', '--build-snapshot', 'bundle.js'],
        directory
      )
      assert.notStrictEqual(status, 0)
      assert.match(output, /fix: native code cannot be part of a startup snapshot/)
    }
  ],
  [
    'a startup snapshot of a program that loads it when it starts',
    async (directory) => {
      fs.writeFileSync(
        path.join(directory, 'entry.js'),
        `require('node:v8').startupSnapshot.setDeserializeMainFunction(() => {
      const require = process.getBuiltinModule('node:module').createRequire(process.cwd() + '/')\n${PROGRAM}})`
      )
      const made = run(process.execPath, ['--snapshot-blob', 'program.blob', '--build-snapshot', 'entry.js'], directory)
      assert.strictEqual(made.status, 0, made.output)
      works(process.execPath, ['--snapshot-blob', 'program.blob', 'main.js'], directory)
    }
  ]
]
