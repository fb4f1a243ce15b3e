'use strict'
/** `countersign doctor`: explains how a Workload API is set up, step by step, and what is wrong with it. */

const { WORKLOAD, milliseconds, none } = require('./arguments')
const { examineConnection } = require('./doctor/connection')
const { examineEndpoint } = require('./doctor/endpoint')
const { examineProcess } = require('./doctor/process')
const { Report } = require('./doctor/report')
const { examineSocketPath } = require('./doctor/socket-path')
const { examineWorkloadApi } = require('./doctor/workload-api')
const { printJson } = require('./print')

const STEP = 5000

/** @type {import('./main').Command} */
const command = {
  summary: 'Explain how the Workload API is set up here, and what is wrong with it',
  usage: '[--endpoint ENDPOINT]',
  options: { ...WORKLOAD, timeout: { ...WORKLOAD.timeout, help: `milliseconds for each step (default ${STEP})` } },
  notes: `Run it as the user, in the container and with the environment of the program that fails. It fetches everything
that a workload can fetch, including a token for the audience "countersign-doctor"; it prints no keys and no tokens.
Exit codes: 0 no errors (there may be warnings), 1 errors, 3 no agent answers, 4 this process has no identity.`,
  async run({ values, positionals, json }) {
    none(positionals)
    const timeout = milliseconds(values.timeout) ?? STEP
    const report = new Report()
    const us = examineProcess(report)
    const endpoint = examineEndpoint(report, values.endpoint)
    if (
      endpoint !== undefined &&
      examineSocketPath(report, endpoint, us) &&
      (await examineConnection(report, endpoint, timeout))
    ) {
      await examineWorkloadApi(report, endpoint, timeout, us)
    }
    if (json) printJson({ ok: report.exitCode === 0, exitCode: report.exitCode, endpoint, findings: report.findings })
    else process.stdout.write(report.toString())
    return report.exitCode
  }
}

module.exports = command
