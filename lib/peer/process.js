'use strict'
/** Who is at the other end of a local socket. */

const { unwrap } = require('../native/answer')
const { invalidArgument } = require('../native/errors')
const { descriptorOf } = require('./descriptor')
const { linuxOnly, native } = require('../native/load')
const { checkOptions } = require('../internal/options')
const { compilePolicy } = require('./policy')

/** What the addon writes, in this order: flags, pid, uid, gid, the number of groups, the groups. */
const [scratch, fill] = native.peerScratch?.() ?? [new ArrayBuffer(0), () => false]
const words = new Uint32Array(scratch)
const PID = 1
const UID = 2
const GID = 4
const GROUPS = 8

const PEERS = 'to look at the peer of a socket'

/** @type {readonly number[]} */
const NO_GROUPS = Object.freeze([])

/** @param {unknown} target */
function getPeerCredentials(target) {
  const fd = descriptorOf(target)
  if (!fill(fd)) return toCredentials(unwrap(linuxOnly('peerCredentialsFull', PEERS)(fd)))
  const flags = words[0]
  let groups
  if (flags & GROUPS) groups = words[4] === 0 ? NO_GROUPS : Object.freeze(Array.from(words.subarray(5, 5 + words[4])))
  return Object.freeze({
    pid: flags & PID ? words[1] : undefined,
    uid: flags & UID ? words[2] : undefined,
    gid: flags & GID ? words[3] : undefined,
    groups,
    securityLabel: undefined
  })
}

/**
 * @param {unknown} target
 * @param {{ sha256?: boolean }} [options]
 */
function getPeerProcess(target, options) {
  const { sha256 = false } = checkOptions(options, ['sha256'], 'options')
  if (typeof sha256 !== 'boolean') throw invalidArgument('options.sha256: expected a boolean')
  return peerProcess(descriptorOf(target), sha256)
}

/**
 * @param {unknown} target
 * @param {import('../../index').PeerPolicies} policy
 */
function authorizePeer(target, policy) {
  const evaluate = compilePolicy(policy)
  return evaluate(descriptorOf(target))
}

/**
 * @param {number} fd
 * @param {boolean} [sha256]
 */
function peerProcess(fd, sha256 = false) {
  return toProcess(unwrap(linuxOnly('peerProcess', PEERS)(fd, sha256)))
}

/** @param {any} value */
function toCredentials({ pid, uid, gid, groups, securityLabel }) {
  return Object.freeze({
    pid: pid ?? undefined,
    uid: uid ?? undefined,
    gid: gid ?? undefined,
    groups: groups ? Object.freeze(groups) : undefined,
    securityLabel: securityLabel ?? undefined
  })
}

/** @param {any} value */
function toProcess(value) {
  return Object.freeze({
    ...toCredentials(value),
    exe: value.exe ?? undefined,
    exeDoubt: value.exeDoubt
      ? Object.freeze({ reason: value.exeDoubt.reason, path: value.exeDoubt.path ?? undefined })
      : undefined,
    exeSha256: value.exeSha256 ?? undefined,
    process: value.process ?? undefined,
    startTime: value.startTime == null ? undefined : new Date(value.startTime),
    cgroup: value.cgroup ?? undefined
  })
}

module.exports = { getPeerCredentials, getPeerProcess, authorizePeer, peerProcess, toProcess, toCredentials }
