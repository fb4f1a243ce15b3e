'use strict'
/** `countersign reload`, `kill`, `resume`, `metrics`: one request each. */

const { OPERATOR, withAgent } = require('./operator')
const { printJson, printable } = require('./print')

/** @typedef {import('./main').Command} Command */

/** @type {Command} */
const reload = {
  summary: 'Make the agent read its rules again',
  usage: '[--socket PATH]',
  options: OPERATOR,
  async run({ values, positionals, json }) {
    const report = await withAgent(values, positionals, (agent) => agent.reloadPolicy())
    if (json) return printJson(report)
    process.stdout.write(`${report.rules} rules are in force\n`)
    for (const warning of report.warnings) process.stdout.write(`warning: ${printable(warning)}\n`)
  }
}

/** @type {Command} */
const kill = {
  summary: 'Make the agent refuse all identities, until it is resumed',
  usage: '[--reason TEXT] [--socket PATH]',
  options: {
    reason: { type: 'string', value: 'TEXT', help: 'the reason, for status and the audit log' },
    ...OPERATOR
  },
  notes: 'It stays so when the agent is started anew. countersign resume ends it.',
  async run({ values, positionals, json }) {
    const { persistent } = await withAgent(values, positionals, (agent) => agent.kill({ reason: values.reason }))
    if (json) return printJson({ killed: true, persistent })
    process.stdout.write(
      `no process gets an identity until: countersign ` +
        `resume${persistent ? '' : ' (or until the agent is started anew: it has no state directory)'}\n`
    )
  }
}

/** @type {Command} */
const resume = {
  summary: 'Make the agent issue identities again',
  usage: '[--socket PATH]',
  options: OPERATOR,
  async run({ values, positionals, json }) {
    const { wasKilled } = await withAgent(values, positionals, (agent) => agent.resume())
    if (json) return printJson({ killed: false, wasKilled })
    process.stdout.write(wasKilled ? 'the agent vouches again\n' : 'the kill switch was not on\n')
  }
}

/** @type {Command} */
const metrics = {
  summary: 'Print the metrics of the agent in the format of Prometheus',
  usage: '[--socket PATH]',
  options: OPERATOR,
  async run({ values, positionals, json }) {
    const text = await withAgent(values, positionals, (agent) => agent.metrics())
    if (json) return printJson({ text })
    process.stdout.write(text)
  }
}

module.exports = { reload, kill, resume, metrics }
