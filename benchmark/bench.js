'use strict'
/**
 * The frame of every benchmark: the command line, the build, a directory for its files, and the end of what it started.
 *   --built            take what is built already
 *   --checkout DIR     measure another checkout
 *   --json FILE        write the results for benchmark/compare.js
 */
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { parseArgs } = require('node:util')
const { Checkout } = require('./checkout')
const { Children } = require('./children')
const { Report } = require('./report')

/**
 * @typedef {object} Bench
 * @property {Report} report
 * @property {Checkout} checkout
 * @property {Children} children
 * @property {string} directory
 * @property {Record<string, any>} options
 * @property {string[]} positionals
 */

/**
 * @param {string} name
 * @param {object} settings
 * @param {import('node:util').ParseArgsOptionsConfig} [settings.options] more than the three of every benchmark
 * @param {string[]} [settings.examples] what is needed besides the addon and the agent; none of them without it
 * @param {() => void} [settings.prepare] builds what is not part of the checkout
 * @param {(bench: Bench) => Promise<void>} run
 */
async function measure(name, { options: more, examples, prepare }, run) {
  const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: { built: { type: 'boolean' }, checkout: { type: 'string' }, json: { type: 'string' }, ...more }
  })
  const checkout = new Checkout(/** @type {string | undefined} */ (options.checkout))
  if (!options.built) {
    checkout.buildAddon()
    if (examples) checkout.buildPrograms(examples)
    prepare?.()
  }
  const report = new Report(name, checkout.build())
  report.printHeader()
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'countersign-bench-'))
  const children = new Children()
  try {
    await run({ report, checkout, children, directory, options, positionals })
  } finally {
    await children.stopAll()
    fs.rmSync(directory, { recursive: true })
  }
  if (options.json) report.write(/** @type {string} */ (options.json))
  return report.finish()
}

/** @param {Parameters<typeof measure>} settings */
function bench(...settings) {
  measure(...settings).then(
    // Connections that a benchmark left open must not keep the process.
    (code) => process.exit(code),
    (error) => {
      console.error(error)
      process.exit(1)
    }
  )
}

module.exports = { bench }
