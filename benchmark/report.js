'use strict'
/**
 * What a benchmark prints: a header that says what is measured on which machine, and one line a result. A result with a
 * limit is judged; one missed limit makes the exit code 1. `--json FILE` writes the same for benchmark/compare.js.
 */
const fs = require('node:fs')
const os = require('node:os')
const { round } = require('./rounds')

/** @typedef {{ better: 'less' | 'more', limit?: number }} Direction */

/** @param {number} limit @returns {Direction} */
const atMost = (limit) => ({ better: 'less', limit })
/** @param {number} limit @returns {Direction} */
const atLeast = (limit) => ({ better: 'more', limit })
/** @type {Direction} */
const LESS_IS_BETTER = { better: 'less' }
/** @type {Direction} */
const MORE_IS_BETTER = { better: 'more' }

/** Three digits for what is small, so that a change of 3 % can be seen. @param {number} value */
const shown = (value) => String(round(value, Math.abs(value) < 10 ? 3 : Math.abs(value) < 100 ? 2 : 0))

/** Names and values in one text. @param {Record<string, number>} values */
const listed = (values, digits = 0) =>
  Object.entries(values)
    .map(([name, value]) => `${name} ${round(value, digits)}`)
    .join(', ')

class Report {
  /** @param {string} benchmark @param {import('./checkout').Build} build */
  constructor(benchmark, build) {
    const processors = os.cpus()
    this.header = {
      benchmark,
      node: process.version,
      openssl: process.versions.openssl,
      processor: processors[0].model,
      cores: processors.length,
      load: os.loadavg().map((value) => round(value)),
      build
    }
    /** @type {{ section: string, name: string, value: number, unit: string, better: string, limit?: number }[]} */
    this.lines = []
    this.currentSection = ''
    this.missed = 0
  }

  printHeader() {
    const { benchmark, node, openssl, processor, cores, load, build } = this.header
    console.log(`${benchmark}: Node.js ${node.slice(1)}, OpenSSL ${openssl}`)
    console.log(`machine: ${processor}, ${cores} cores, load ${load.join(' ')}`)
    console.log(`build: ${build.file}, ${build.bytes} bytes, ${build.stripped ? 'stripped' : 'NOT stripped'}`)
  }

  /** The results that follow belong to this. @param {string} title */
  section(title) {
    this.currentSection = title
    console.log(`\n${title}`)
  }

  /** @param {string} name @param {number} value @param {Direction} direction @param {string} [detail] */
  ratio(name, value, direction, detail = '') {
    this.#add(name, value, 'x', direction, detail)
  }

  /** A value that has a meaning of its own; it is judged only where it does not depend on the machine. */
  figure(
    /** @type {string} */ name,
    /** @type {number} */ value,
    /** @type {string} */ unit,
    /** @type {Direction} */ direction,
    detail = ''
  ) {
    this.#add(name, value, unit, direction, detail)
  }

  /**
   * @param {string} name
   * @param {number} value
   * @param {string} unit
   * @param {Direction} direction
   * @param {string} detail
   */
  #add(name, value, unit, { better, limit }, detail) {
    this.lines.push({ section: this.currentSection, name, value, unit, better, limit })
    // What is not a number was not measured: it keeps no limit.
    const held = limit === undefined || (better === 'less' ? value <= limit : value >= limit)
    const bound = limit === undefined ? '' : `(${better === 'less' ? '<=' : '>='} ${limit})`
    if (!held) this.missed += 1
    const verdict = limit === undefined ? '' : held ? 'ok' : 'MISSED'
    const columns = [name.padEnd(60), shown(value).padStart(8), unit.padEnd(5), bound.padEnd(10), verdict.padEnd(6)]
    console.log(`  ${columns.join(' ')} ${detail}`.trimEnd())
  }

  /** @param {string} file */
  write(file) {
    fs.writeFileSync(file, `${JSON.stringify({ ...this.header, lines: this.lines }, undefined, 2)}\n`)
  }

  /** The exit code of the benchmark. */
  finish() {
    if (this.missed > 0) console.log(`\n${this.missed} of ${this.lines.length} results missed their limits`)
    return this.missed > 0 ? 1 : 0
  }
}

module.exports = { LESS_IS_BETTER, MORE_IS_BETTER, Report, atLeast, atMost, listed }
