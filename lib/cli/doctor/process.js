'use strict'
/** Who we are, as an agent with SPIRE's unix workload attestor sees it. */

const { createHash } = require('node:crypto')
const fs = require('node:fs')
const os = require('node:os')

/** @typedef {InstanceType<typeof import('./report').Report>} Report */

/** The inode of the first PID namespace of a machine, which never changes (PROC_PID_INIT_INO of Linux). */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]'

/**
 * A user or a group: the number that is seen from outside of our user namespace, if it is seen at all.
 * @typedef {{ id: number | undefined, name: string | undefined }} Id
 * @typedef {{
 *   pid: number, uid: Id, gid: Id, groups: Id[], exe: string,
 *   container: string | undefined, ownPids: boolean, ownUsers: boolean
 * }} Us
 */

/** @param {Report} report */
function examineProcess(report) {
  const us = lookAtUs()
  const where = [
    us.container === undefined ? [] : [`in a container (${us.container})`],
    us.ownPids ? ['in a PID namespace of its own'] : [],
    us.ownUsers ? ['in a user namespace'] : []
  ].flat()
  report.add(
    'process',
    'note',
    `pid ${us.pid}, ${shownId('uid', us.uid)}, ${shownId('gid', us.gid)}, runs ` +
      `${us.exe}${where.length === 0 ? '' : `, ${where.join(', ')}`}`,
    {
      pid: us.pid,
      uid: us.uid.id,
      user: us.uid.name,
      gid: us.gid.id,
      group: us.gid.name,
      exe: us.exe,
      container: us.container,
      ownPidNamespace: us.ownPids,
      ownUserNamespace: us.ownUsers
    }
  )
  return us
}

/** @returns {Us} */
function lookAtUs() {
  const uids = idMap('uid_map')
  const gids = idMap('gid_map')
  const groupNames = namesOfGroups()
  const [uid, gid] = [process.geteuid?.() ?? -1, process.getegid?.() ?? -1]
  return {
    pid: process.pid,
    // Names are looked up in the agent's files, not in ours; they only tell something where both see the same ids.
    uid: { id: uids(uid), name: uids(uid) === uid ? nameOfUser(uid) : undefined },
    gid: { id: gids(gid), name: gids(gid) === gid ? groupNames.get(gid) : undefined },
    groups: supplementary().map((id) => ({ id: gids(id), name: gids(id) === id ? groupNames.get(id) : undefined })),
    exe: read(() => fs.readlinkSync('/proc/self/exe')) ?? process.execPath,
    container: container(),
    ownPids: ![undefined, FIRST_PID_NAMESPACE].includes(read(() => fs.readlinkSync('/proc/self/ns/pid'))),
    ownUsers: uids(0xfffffffe) !== 0xfffffffe
  }
}

/**
 * The selectors of the unix attestor (SPIRE doc/plugin_agent_workloadattestor_unix). Those by path need an agent that
 * looks at programs.
 * @param {Us} us
 */
function selectors({ uid, gid, groups, exe }) {
  return {
    always: [
      ...pair('uid', 'user', uid),
      ...pair('gid', 'group', gid),
      ...groups.flatMap((group) => pair('supplementary_gid', 'supplementary_group', group))
    ],
    byPath: [`unix:path:${exe}`, ...(sha256Of('/proc/self/exe') ?? sha256Of(exe) ?? [])]
  }
}

/**
 * @param {string} number
 * @param {string} name
 * @param {Id} id
 */
function pair(number, name, id) {
  return [
    ...(id.id === undefined ? [] : [`unix:${number}:${id.id}`]),
    ...(id.name === undefined ? [] : [`unix:${name}:${id.name}`])
  ]
}

/** @param {string} file */
function sha256Of(file) {
  return read(() => {
    const fd = fs.openSync(file, 'r')
    try {
      const hash = createHash('sha256')
      const piece = Buffer.alloc(1 << 20)
      for (let length; (length = fs.readSync(fd, piece)) > 0; ) hash.update(piece.subarray(0, length))
      return [`unix:sha256:${hash.digest('hex')}`]
    } finally {
      fs.closeSync(fd)
    }
  })
}

/** @param {string} kind @param {Id} id */
function shownId(kind, { id, name }) {
  return `${kind} ${id ?? 'unmapped'}${name === undefined ? '' : ` (${name})`}`
}

/** @param {number} uid */
function nameOfUser(uid) {
  return process.getuid?.() === uid ? read(() => os.userInfo().username) : undefined
}

/** @returns {Map<number, string>} */
function namesOfGroups() {
  const lines = (read(() => fs.readFileSync('/etc/group', 'utf8')) ?? '').split('\n').map((line) => line.split(':'))
  // The first of a number is the one that is found.
  return new Map(
    lines
      .filter(([name, , id]) => name && /^\d+$/.test(id ?? ''))
      .reverse()
      .map(([name, , id]) => [Number(id), name])
  )
}

/** Those the kernel lists: `process.getgroups` may add the effective one. */
function supplementary() {
  const line = /^Groups:(.*)$/m.exec(read(() => fs.readFileSync('/proc/self/status', 'utf8')) ?? '')?.[1]
  return line === undefined ? [] : line.split(/\s+/).filter(Boolean).map(Number)
}

/**
 * How ids look from outside of our user namespace. Where nothing is known, as they are.
 * @param {string} file
 * @returns {(id: number) => number | undefined}
 */
function idMap(file) {
  const text = read(() => fs.readFileSync(`/proc/self/${file}`, 'utf8'))
  if (text === undefined) return (id) => id
  const ranges = text
    .split('\n')
    .filter(Boolean)
    .map((line) => line.trim().split(/\s+/).map(Number))
  return (id) => {
    const range = ranges.find(([inside, , count]) => id >= inside && id < inside + count)
    return range && id - range[0] + range[1]
  }
}

/** What container this is, if it leaves one of the usual signs. */
function container() {
  if (process.env.KUBERNETES_SERVICE_HOST) return 'Kubernetes'
  if (fs.existsSync('/run/.containerenv')) return 'Podman'
  if (fs.existsSync('/.dockerenv')) return 'Docker'
  return process.env.container || undefined
}

/**
 * @template T
 * @param {() => T} look
 * @returns {T | undefined}
 */
function read(look) {
  try {
    return look()
  } catch {
    return undefined
  }
}

module.exports = { examineProcess, selectors, shownId }
