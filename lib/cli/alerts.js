'use strict'
/** `countersign alerts`: what happened lately, and what happens. */

const { UsageError } = require('./exit')
const { OPERATOR, withAgent } = require('./operator')
const { printJson, printable } = require('./print')

/** @param {any} alert */
function printAlert({ timestamp, severity, monitor, message, details }) {
  process.stdout.write(
    `${timestamp?.toISOString()} ${printable(severity).padEnd(8)} ${printable(monitor).padEnd(12)} ` +
      `${printable(message)}${details ? ` (${printable(details)})` : ''}\n`
  )
}

/** @type {import('./main').Command} */
const command = {
  summary: 'Show recent alerts, and with --follow new ones',
  usage: '[--limit N] [--follow] [--socket PATH]',
  options: {
    limit: { type: 'string', value: 'N', help: 'how many at most (default 100)' },
    follow: { type: 'boolean', help: 'continue with new alerts; with --json one document a line' },
    ...OPERATOR
  },
  async run({ values, positionals, json }) {
    const { limit } = values
    if (limit !== undefined && !(/^\d{1,10}$/.test(limit) && Number(limit) <= 0xffffffff))
      throw new UsageError(`--limit: expected a number, got ${JSON.stringify(limit)}`)
    const show = json ? printJson : printAlert
    await withAgent(values, positionals, async (agent) => {
      const alerts = await agent.alerts(limit === undefined ? {} : { limit: Number(limit) })
      if (json && !values.follow) return printJson({ alerts })
      alerts.forEach(show)
      if (!values.follow) return
      const leaving = new AbortController()
      for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.once(signal, () => leaving.abort())
      try {
        for await (const alert of agent.subscribe({ signal: leaving.signal, after: alerts.at(-1)?.seq })) show(alert)
      } catch (error) {
        if (error !== leaving.signal.reason) throw error
      }
    })
  }
}

module.exports = command
