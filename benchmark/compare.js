'use strict'
/**
 * npm run bench:compare -- BASE NEW - what changed between two checkouts. Each is a file that `--json` wrote, or a
 * directory of such files; of several runs of one benchmark the median counts. Prints after / before for every result
 * and marks what is more than 3 % worse; then the exit code is 1.
 */
const fs = require('node:fs')
const path = require('node:path')
const { median, round } = require('./rounds')

const TOLERANCE = 0.03

/** @param {string} location @returns {any[]} */
function runsAt(location) {
  const files = fs.statSync(location).isDirectory()
    ? fs.readdirSync(location).flatMap((name) => (name.endsWith('.json') ? [path.join(location, name)] : []))
    : [location]
  return files.sort().map((file) => JSON.parse(fs.readFileSync(file, 'utf8')))
}

/** The results by name, with the values of all runs. @param {any[]} runs */
function resultsOf(runs) {
  /** @type {Map<string, { benchmark: string, name: string, unit: string, better: string, values: number[] }>} */
  const results = new Map()
  for (const { benchmark, lines } of runs) {
    for (const { section, name, value, unit, better } of lines) {
      const key = [benchmark, section, name].join('\n')
      const known = results.get(key)
      if (known) known.values.push(value)
      else results.set(key, { benchmark, name: `${section}: ${name}`, unit, better, values: [value] })
    }
  }
  return results
}

/** After by before; two zeros are no change. @param {number} before @param {number} after */
const change = (before, after) => (before === after ? 1 : after / before)

/** @param {string} baseLocation @param {string} newLocation */
function compare(baseLocation, newLocation) {
  const [baseRuns, newRuns] = [runsAt(baseLocation), runsAt(newLocation)]
  for (const [title, runs] of /** @type {const} */ ([
    ['before', baseRuns],
    ['after', newRuns]
  ])) {
    const builds = new Set(
      runs.map(({ build, node }) => `${build.file}, ${build.bytes} bytes, Node.js ${node.slice(1)}`)
    )
    console.log(`${title}: ${runs.length} runs; ${Array.from(builds).join('; ')}`)
  }
  const [before, after] = [resultsOf(baseRuns), resultsOf(newRuns)]
  let worse = 0
  let benchmark = ''
  for (const [key, result] of before) {
    if (result.benchmark !== benchmark) console.log(`\n${result.benchmark}`)
    benchmark = result.benchmark
    const known = after.get(key)
    if (!known) {
      console.log(`  ${result.name}: only before`)
      continue
    }
    const [old, now] = [median(result.values), median(known.values)]
    const ratio = change(old, now)
    const isWorse = result.better === 'less' ? ratio > 1 + TOLERANCE : ratio < 1 - TOLERANCE
    if (isWorse) worse += 1
    const values = `${round(old, 3)} -> ${round(now, 3)} ${result.unit}`
    console.log(
      `  ${result.name.padEnd(90)} ${ratio.toFixed(3).padStart(6)}  ${isWorse ? 'WORSE' : '     '}  ${values}`
    )
  }
  for (const [key, { name }] of after) if (!before.has(key)) console.log(`  ${name}: only after`)
  console.log(`\n${worse} results are more than ${TOLERANCE * 100} % worse`)
  return worse > 0 ? 1 : 0
}

const [base, next, ...rest] = process.argv.slice(2)
if (next === undefined || rest.length > 0) {
  console.error('npm run bench:compare -- BASE NEW')
  process.exitCode = 2
} else {
  process.exitCode = compare(base, next)
}
