'use strict'
/** How an agent is operated: who may see and steer it, and the log it keeps. */

const { invalidArgument, shown } = require('../native/errors')
const { checkOptions, checkPath } = require('../internal/options')

/**
 * @param {unknown} value
 * @param {string} name
 * @param {number} most
 */
function whole(value, name, most) {
  if (value !== undefined && !(Number.isInteger(value) && Number(value) >= 0 && Number(value) <= most))
    throw invalidArgument(`${name}: expected an integer from 0 to ${most}, got ${shown(value)}`)
}

/** @param {unknown} control */
function controlOptions(control) {
  if (control === undefined || control === false) return undefined
  if (control === true) return {}
  const { socketPath, socketMode, readers, writers } = checkOptions(
    control,
    ['socketPath', 'socketMode', 'readers', 'writers'],
    'control'
  )
  if (socketPath !== undefined) checkPath(socketPath, 'control.socketPath')
  whole(socketMode, 'control.socketMode', 0o777)
  for (const [name, uids] of Object.entries({ readers, writers })) {
    if (uids === undefined) continue
    if (!Array.isArray(uids)) throw invalidArgument(`control.${name}: expected a list of user ids, got ${shown(uids)}`)
    // 4294967295 is the kernel's id for a user it cannot name.
    uids.forEach((uid, index) => {
      if (uid === undefined) throw invalidArgument(`control.${name}[${index}]: expected a user id`)
      whole(uid, `control.${name}[${index}]`, 0xfffffffe)
    })
  }
  return { socketPath, socketMode, readers, writers }
}

/** @param {unknown} auditLog */
function auditLogOptions(auditLog) {
  if (auditLog === undefined) return undefined
  const { path, sync, maxBytes, keep, onFailure } =
    typeof auditLog === 'string'
      ? { path: auditLog }
      : checkOptions(auditLog, ['path', 'sync', 'maxBytes', 'keep', 'onFailure'], 'auditLog')
  if (typeof path !== 'string' || path === '' || path.includes('\0'))
    throw invalidArgument('auditLog: expected the path of a file')
  if (sync !== undefined && typeof sync !== 'boolean') throw invalidArgument('auditLog.sync: expected a boolean')
  whole(maxBytes, 'auditLog.maxBytes', Number.MAX_SAFE_INTEGER)
  if (maxBytes !== undefined && maxBytes < 4096) throw invalidArgument('auditLog.maxBytes: expected at least 4096')
  whole(keep, 'auditLog.keep', 1_000_000)
  if (![undefined, 'refuse', 'continue'].includes(onFailure))
    throw invalidArgument('auditLog.onFailure: expected refuse or continue')
  return { path, sync: sync === true, maxBytes, keep, goOn: onFailure === 'continue' }
}

module.exports = { controlOptions, auditLogOptions }
