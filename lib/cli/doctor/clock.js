'use strict'
/** Whether the clock here can be right. */

const { duration } = require('../print')

/** @typedef {InstanceType<typeof import('./report').Report>} Report */

/** What most verifiers forgive, and we do. */
const FORGIVEN = 5000

/**
 * Compared with documents signed by a host with another clock. (SVIDs that have expired, or are not valid yet,
 * are told as ignored: nobody may use them.)
 * @param {Report} report
 * @param {readonly import('../../../index').X509Svid[]} svids
 * @param {readonly Date[]} issued when tokens were issued
 */
function examineClock(report, svids, issued) {
  const known = [...svids.map(({ notBefore }) => notBefore), ...issued]
  if (known.length === 0) return
  // A token that is issued now says best how late it is there.
  const newest = new Date(Math.max(...known.map((time) => time.getTime())))
  const behind = newest.getTime() - Date.now()
  if (behind <= 1000) {
    report.add('clock', 'ok', `${new Date().toISOString()} is no earlier than anything that was signed`, { newest })
    return
  }
  report.add('clock', 'warn', `the clock here is behind that of the server by ${duration(behind)} at least`, {
    newest,
    behind,
    advice: [
      behind > FORGIVEN
        ? 'tokens and certificates that are new will be refused: synchronise the clocks (NTP)'
        : 'verifiers without leeway will refuse tokens that are new: synchronise the clocks (NTP)'
    ]
  })
}

module.exports = { examineClock }
