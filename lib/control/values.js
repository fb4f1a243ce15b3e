'use strict'
/** The replies of an agent as JavaScript values: times are Dates, unknown values are undefined. */

const { CountersignError } = require('../native/errors')

/**
 * @param {unknown} value
 * @returns {any} a Date, or undefined
 */
function time(value) {
  if (typeof value === 'number') return new Date(value * 1000)
  // An agent counts nanoseconds; a Date has milliseconds, rounded down.
  if (typeof value === 'string') return new Date(value.replace(/(\.\d{3})\d+/, '$1'))
  return undefined
}

/**
 * @param {any} alert
 * @returns {import('../../types/control').Alert}
 */
function toAlert({ timestamp, severity, monitor, message, details, seq, missed }) {
  return Object.freeze({
    timestamp: time(timestamp),
    severity,
    // Older agents call the self audit `posture`.
    monitor: monitor === 'posture' ? 'self_audit' : monitor,
    message,
    details: details ?? undefined,
    seq,
    missed
  })
}

/**
 * @param {any} answer
 * @returns {import('../../types/control').Alert[]}
 */
function toAlerts({ alerts }) {
  if (!Array.isArray(alerts))
    throw new CountersignError('ERR_MISSING_FIELD', 'the answer has no alerts in it', { field: 'alerts' })
  return alerts.map(toAlert)
}

/** @param {any} answer */
function toText({ text }) {
  if (typeof text !== 'string')
    throw new CountersignError('ERR_MISSING_FIELD', 'the answer has no text in it', { field: 'text' })
  return text
}

/**
 * An older agent writes `takenBack`, a newer one `revokedUnrecorded`.
 * @param {any} auditLog
 */
function toAuditLog({ revokedUnrecorded, takenBack = revokedUnrecorded, failing, ...rest }) {
  return { ...rest, failing: failing ?? undefined, takenBack }
}

/**
 * @param {any} status
 * @returns {import('../../types/control').AgentStatus}
 */
function toStatus(status) {
  if (typeof status.running !== 'boolean' || !Array.isArray(status.alerts))
    throw new CountersignError('ERR_MISSING_FIELD', 'the answer is no status', { field: 'running' })
  const {
    type,
    id,
    killSwitch,
    auditLog,
    workloadApi,
    callers,
    svids,
    alerts,
    lastCheck,
    started,
    uptimeMs,
    rulesFile,
    sockets,
    ...rest
  } = status
  return Object.freeze({
    ...rest,
    alerts: Object.freeze(alerts.map(toAlert)),
    lastCheck: time(lastCheck),
    started: time(started),
    uptime: uptimeMs,
    rulesFile: rulesFile ?? undefined,
    sockets: sockets && { whoami: sockets.whoami, workload: sockets.workload ?? undefined, control: sockets.control },
    killSwitch: killSwitch
      ? { ...killSwitch, activated: killSwitch.activated ? time(killSwitch.activated) : undefined }
      : undefined,
    auditLog: auditLog ? toAuditLog(auditLog) : undefined,
    workloadApi: workloadApi ?? undefined,
    callers: (callers ?? []).map((/** @type {any} */ row) => ({
      ...row,
      uid: row.uid ?? undefined,
      pid: row.pid ?? undefined,
      last: time(row.last)
    })),
    svids: (svids ?? []).map((/** @type {any} */ row) => ({
      ...row,
      uid: row.uid ?? undefined,
      pid: row.pid ?? undefined,
      issued: time(row.issued),
      expires: time(row.expires)
    }))
  })
}

/**
 * @param {any} report
 * @returns {import('../../types/control').AuditReport}
 */
function toReport(report) {
  if (!Array.isArray(report.findings))
    throw new CountersignError('ERR_MISSING_FIELD', 'the answer is no report', { field: 'findings' })
  const { type, id, ...rest } = report
  return Object.freeze({ ...rest, timestamp: time(report.timestamp) })
}

/**
 * @param {any} verified
 * @returns {import('../../types/control').VerifiedLog}
 */
function toVerified(verified) {
  return Object.freeze({
    ...verified,
    firstTime: time(verified.firstTime),
    lastTime: time(verified.lastTime),
    synced: verified.synced ?? undefined,
    syncedTime: time(verified.syncedTime),
    clockWentBack: verified.clockWentBack ?? undefined
  })
}

module.exports = { toAlert, toAlerts, toStatus, toReport, toText, toVerified }
