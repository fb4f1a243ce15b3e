'use strict'
/** `countersign audit`: what is weak about how the agent is set up? */

const { EXIT, UsageError } = require('./exit')
const { OPERATOR, withAgent } = require('./operator')
const { printJson, printable } = require('./print')

/** @type {import('./main').Command} */
const command = {
  summary: 'Make the agent audit itself: modes, keys, rules, executables, lifetimes, clock',
  usage: '[--deep] [--fix] [--threshold SCORE] [--socket PATH]',
  options: {
    deep: { type: 'boolean', help: 'read executables and the whole audit log, too' },
    fix: { type: 'boolean', help: "repair the modes of the agent's own files" },
    threshold: {
      type: 'string',
      value: 'SCORE',
      help: 'end with exit code 1 when the score is below this, from 0 to 100'
    },
    ...OPERATOR,
    timeout: { ...OPERATOR.timeout, help: 'milliseconds to wait for the report (default 60000)' }
  },
  async run({ values, positionals, json }) {
    const { deep = false, fix = false, threshold } = values
    if (threshold !== undefined && !(/^\d{1,3}$/.test(threshold) && Number(threshold) <= 100))
      throw new UsageError(`--threshold: expected a score from 0 to 100, got ${JSON.stringify(threshold)}`)
    const report = await withAgent({ ...values, timeout: values.timeout ?? '60000' }, positionals, (agent) =>
      agent.audit({ deep, fix })
    )
    if (json) printJson(report)
    else print(report)
    return threshold !== undefined && report.score < Number(threshold) ? EXIT.FAILURE : EXIT.OK
  }
}

/** @param {import('../../types/control').AuditReport} report */
function print({ score, findings, summary }) {
  const { critical, high, medium, low, info, autoFixable } = summary
  process.stdout.write(
    `score ${score} of 100: ${critical} critical, ${high} high, ${medium} medium, ${low} low, ${info} info\n`
  )
  for (const { id, severity, title, evidence, description, remediation, autoFixable } of findings) {
    process.stdout.write(`\n${printable(severity).padEnd(8)} ${printable(id)}: ${printable(title)}\n`)
    for (const text of [
      evidence,
      description,
      remediation && `do: ${remediation}${autoFixable ? ' (--fix does)' : ''}`
    ])
      if (text) process.stdout.write(`         ${printable(text)}\n`)
  }
  if (autoFixable > 0) process.stdout.write(`\n--fix repairs ${autoFixable} of them\n`)
}

module.exports = command
