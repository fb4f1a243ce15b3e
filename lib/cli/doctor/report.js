'use strict'
/** What the doctor found. */

const { EXIT } = require('../exit')
const { printable } = require('../print')

/**
 * @typedef {'ok' | 'note' | 'warn' | 'fail'} Status
 * @typedef {{ check: string, status: Status, message: string, advice?: string[], [fact: string]: unknown }} Finding
 */

class Report {
  /** @type {Finding[]} */
  findings = []
  /** By the first thing that is wrong: what comes later may only follow from it. */
  exitCode = /** @type {number} */ (EXIT.OK)

  /**
   * @param {string} check a stable name
   * @param {Status} status
   * @param {string} message
   * @param {{ advice?: string[], [fact: string]: unknown }} [more] what to do about it, and facts under stable names
   */
  add(check, status, message, more = {}) {
    this.findings.push({ check, status, message, ...more })
    if (status === 'fail') this.#failed(EXIT.FAILURE)
  }

  /**
   * Something is wrong.
   * @param {string} check
   * @param {number} exitCode
   * @param {string} message
   * @param {{ advice?: string[], [fact: string]: unknown }} [more]
   */
  fail(check, exitCode, message, more) {
    this.#failed(exitCode)
    this.add(check, 'fail', message, more)
  }

  /** @param {number} exitCode */
  #failed(exitCode) {
    if (this.exitCode === EXIT.OK) this.exitCode = exitCode
  }

  toString() {
    const width = Math.max(...this.findings.map(({ check }) => check.length))
    const indent = ' '.repeat(width + 8)
    return this.findings
      .map(
        ({ check, status, message, advice = [] }) =>
          `${status.padEnd(4)}  ${check.padEnd(width)}  ` +
          `${printable(message)}\n${advice.map((line) => `${indent}${printable(line)}\n`).join('')}`
      )
      .join('')
  }
}

module.exports = { Report }
