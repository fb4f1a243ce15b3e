'use strict'
/** `countersign status`: how does the agent do? */

const { OPERATOR, withAgent } = require('./operator')
const { duration, expiry, printJson, printPairs, printable } = require('./print')

/** @type {import('./main').Command} */
const command = {
  summary: 'Show the status of the agent: uptime, answers, alerts, kill switch, audit log',
  usage: '[--socket PATH]',
  options: OPERATOR,
  async run({ values, positionals, json }) {
    const status = await withAgent(values, positionals, (agent) => agent.status())
    if (json) return printJson(status)
    const { killSwitch, auditLog, workloadApi, answered = {}, svids, alerts } = status
    const answers = Object.entries(answered)
      .filter(([, count]) => count > 0)
      .map(([code, count]) => `${code} ${count}`)
    printPairs([
      ['vouching', status.vouching === false ? 'NO' : 'yes'],
      [
        'kill switch',
        killSwitch &&
          `on since ${killSwitch.activated?.toISOString() ?? 'an unknown time'}, by ` +
            `${killSwitch.activatedBy || 'unknown'}: ${killSwitch.reason}`
      ],
      ['version', status.version],
      ['pid', status.pid],
      ['uid', status.uid],
      ['uptime', status.uptime === undefined ? undefined : duration(status.uptime)],
      ['rules', status.rulesFile === undefined ? status.rules : `${status.rules} in ${status.rulesFile}`],
      ['answers', answers.join(', ') || 'none yet'],
      [
        'Workload API',
        workloadApi &&
          `${workloadApi.trustDomain}: ${workloadApi.connections} connections, ${workloadApi.x509Svids} X509-SVIDs, ` +
            `${workloadApi.jwtSvids} JWT-SVIDs`
      ],
      ['next expiry', svids[0] && `${svids[0].spiffeId}, process ${svids[0].pid}: ${expiry(svids[0].expires)}`],
      ['audit log', auditLog && `${auditLog.path}: ${auditLog.written} lines, ${auditLog.onDisk} on the disk`],
      ['audit log fails', auditLog?.failing],
      ['last check', status.lastCheck]
    ])
    if (alerts.length > 0) process.stdout.write('alerts\n')
    for (const { timestamp, severity, message } of alerts)
      process.stdout.write(`  ${timestamp?.toISOString()} ${severity.padEnd(8)} ${printable(message)}\n`)
  }
}

module.exports = command
