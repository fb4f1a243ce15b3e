'use strict'
/** Bundlers: the JavaScript may go into the bundle, the addon stays a file in node_modules. */
const assert = require('node:assert')
const fs = require('node:fs')
const path = require('node:path')
const { write, works, run } = require('./program')

/** What every bundler is told: the addon is found when the program runs. */
const EXTERNAL = [/^@countersign\//, /^(\.\.\/)+countersign\..*\.node$/]

/** @param {NodeJS.Require} foreign @returns {[string, (directory: string) => Promise<void>][]} */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: a list of cases, one for each bundler
module.exports = (foreign) => [
  [
    'esbuild bundles it, with the addon external',
    async (directory) => {
      await foreign('esbuild').build({
        entryPoints: [write(directory)],
        bundle: true,
        platform: 'node',
        outfile: path.join(directory, 'out', 'bundle.js'),
        external: ['@countersign/*', '*.node'],
        logLevel: 'silent'
      })
      fs.rmSync(path.join(directory, 'node_modules', 'countersign'), { recursive: true })
      works(process.execPath, ['out/bundle.js'], directory)
    }
  ],
  [
    'esbuild leaves it in node_modules',
    async (directory) => {
      await foreign('esbuild').build({
        entryPoints: [write(directory)],
        bundle: true,
        platform: 'node',
        outfile: path.join(directory, 'out', 'bundle.js'),
        packages: 'external',
        logLevel: 'silent'
      })
      works(process.execPath, ['out/bundle.js'], directory)
    }
  ],
  [
    'a bundle without its addon says what is missing',
    async (directory) => {
      await foreign('esbuild').build({
        entryPoints: [write(directory)],
        bundle: true,
        platform: 'node',
        outfile: path.join(directory, 'out', 'bundle.js'),
        external: ['@countersign/*', '*.node'],
        logLevel: 'silent'
      })
      fs.rmSync(path.join(directory, 'node_modules'), { recursive: true })
      const { status, output } = run(process.execPath, ['out/bundle.js'], directory)
      assert.notStrictEqual(status, 0)
      assert.match(output, /ERR_NATIVE_UNAVAILABLE/)
      assert.match(output, /npm install --include=optional @countersign\//)
    }
  ],
  [
    'webpack bundles it, with the addon external',
    (directory) =>
      new Promise((resolve, reject) => {
        const settings = {
          mode: 'production',
          target: 'node',
          entry: write(directory),
          context: directory,
          output: { path: path.join(directory, 'out'), filename: 'bundle.js' },
          externals: [
            (/** @type {{ request: string }} */ { request }, /** @type {Function} */ callback) =>
              EXTERNAL.some((pattern) => pattern.test(request)) ? callback(null, `commonjs ${request}`) : callback()
          ]
        }
        foreign('webpack')(settings, (/** @type {any} */ error, /** @type {any} */ stats) => {
          try {
            if (error) throw error
            assert.ok(!stats.hasErrors(), stats.toString({ all: false, errors: true }))
            fs.rmSync(path.join(directory, 'node_modules', 'countersign'), { recursive: true })
            works(process.execPath, ['out/bundle.js'], directory)
            resolve()
          } catch (failure) {
            reject(failure)
          }
        })
      })
  ],
  [
    '@vercel/nft finds the addon, and what it traced runs elsewhere',
    async (directory) => {
      const { fileList } = await foreign('@vercel/nft').nodeFileTrace([write(directory)], { base: directory })
      assert.ok(
        [...fileList].some((file) => /@countersign\/.*\.node$/.test(file)),
        [...fileList].join('\n')
      )
      const elsewhere = path.join(directory, 'elsewhere')
      for (const file of fileList) fs.cpSync(path.join(directory, file), path.join(elsewhere, file))
      fs.rmSync(path.join(directory, 'node_modules'), { recursive: true })
      works(process.execPath, ['program.js'], elsewhere)
    }
  ]
]
