'use strict'
/** Tells who was refused, and why: on a diagnostics channel, and to a function of the caller. */

const { channel } = require('node:diagnostics_channel')
const { reason } = require('../native/errors')
const { native } = require('../native/load')

const rejections = channel('countersign:tls.reject')

/** @typedef {import('../../types/tls').Rejection} Rejection */

/**
 * @param {object} what
 * @param {'server' | 'client'} what.side which one we are
 * @param {Error & { code: string, rule?: string }} what.error
 * @param {Uint8Array | undefined} [what.leaf] the certificate of the peer, if it showed one
 * @param {readonly string[]} [what.claimedIds] who the peer said it was, if not in a certificate
 * @param {{ remoteAddress?: string | undefined, remotePort?: number | undefined }} what.socket
 * @param {((rejection: Rejection) => void) | undefined} onReject
 */
function report({ side, error, leaf, claimedIds, socket }, onReject) {
  if (!onReject && !rejections.hasSubscribers) return
  /** @type {Rejection} */
  const rejection = Object.freeze({
    side,
    code: /** @type {Rejection['code']} */ (error.code),
    rule: error.rule,
    error: /** @type {any} */ (error),
    claimedIds: Object.freeze(claimedIds ?? (leaf ? native.claimedUris(leaf) : [])),
    remoteAddress: socket.remoteAddress,
    remotePort: socket.remotePort
  })
  rejections.publish(rejection)
  try {
    onReject?.(rejection)
  } catch (thrown) {
    // A stranger can make this happen at will: it must not end the process.
    process.emitWarning(`onReject threw: ${reason(thrown)}`, 'CountersignWarning')
  }
}

module.exports = { report }
