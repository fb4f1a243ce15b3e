'use strict'
/** The way to a Unix socket: every directory and link on it, and what is at its end. */

const fs = require('node:fs')
const path = require('node:path')
const { reason } = require('../../native/errors')
const { EXIT } = require('../exit')
const { isSocket, socketPathOf } = require('./endpoint')
const { shownId } = require('./process')

/** @typedef {InstanceType<typeof import('./report').Report>} Report */
/**
 * @typedef {{ path: string, kind: 'directory' | 'link', mode: string, uid: number, gid: number, target?: string }} Step
 */
/** @typedef {{ at: string, steps: Step[], problem?: 'forbidden' | 'missing' | 'not_a_directory' | 'loop' }} Way */

/** As the kernel has it. */
const MOST_LINKS = 40
const OTHERS_WRITE = 0o002
const STICKY = 0o1000

/**
 * @param {Report} report
 * @param {string} endpoint
 * @param {import('./process').Us} us
 * @returns {boolean} whether it makes sense to connect
 */
function examineSocketPath(report, endpoint, us) {
  // A named pipe or an address: there is nothing to see before one connects.
  if (!endpoint.startsWith('unix:')) return true
  const wanted = socketPathOf(endpoint)
  try {
    return examine(report, wanted, us)
  } catch (error) {
    // What was there is gone before it could be looked at, or cannot be looked at.
    report.fail('socket', EXIT.NO_DAEMON, `the way to ${wanted} cannot be followed: ${reason(error)}`, { path: wanted })
    return false
  }
}

/**
 * @param {Report} report
 * @param {string} wanted
 * @param {import('./process').Us} us
 */
function examine(report, wanted, us) {
  const way = walk(wanted)
  const { at, steps, problem } = way
  const facts = { path: wanted, steps }
  for (const step of steps) {
    const mode = parseInt(step.mode, 8)
    if (step.kind === 'directory' && mode & OTHERS_WRITE && !(mode & STICKY)) {
      report.add(
        'socket',
        'warn',
        `everybody may write to ${step.path} (mode ${step.mode}): anybody can put up another agent there`
      )
    }
  }
  if (problem !== undefined) {
    report.fail('socket', EXIT.NO_DAEMON, message(way, wanted, us), { ...facts, problem, advice: advice(way) })
    return false
  }
  const found = fs.statSync(at)
  const mode = octal(found.mode)
  if (!found.isSocket()) {
    const kind = found.isDirectory()
      ? 'a directory, not a socket'
      : found.isFile()
        ? 'a plain file, not a socket'
        : 'no socket'
    report.fail('socket', EXIT.NO_DAEMON, `${shownPath(wanted, at)} is ${kind}`, {
      ...facts,
      problem: 'not_a_socket',
      advice: found.isDirectory() ? sockets(at) : []
    })
    return false
  }
  const owner = { socket: at, mode, uid: found.uid, gid: found.gid }
  if (!may(at, fs.constants.W_OK)) {
    report.fail(
      'socket',
      EXIT.NO_DAEMON,
      `${shownPath(wanted, at)} has mode ${mode}, owner ${found.uid}:${found.gid}: ${who(us)} may not write to it, ` +
        `and so not connect`,
      {
        ...facts,
        ...owner,
        problem: 'forbidden',
        advice: [`run as its owner or in group ${found.gid}, or have the agent open it to this user`]
      }
    )
    return false
  }
  report.add('socket', 'ok', `${shownPath(wanted, at)} is a socket, mode ${mode}, owner ${found.uid}:${found.gid}`, {
    ...facts,
    ...owner
  })
  return true
}

/**
 * As the kernel goes, step by step.
 * @param {string} wanted
 * @returns {Way}
 */
function walk(wanted) {
  const names = parts(wanted)
  /** @type {Step[]} */
  const steps = []
  let links = 0
  /** @param {string} directory */
  const enter = (directory) => {
    steps.push({ path: directory, kind: 'directory', ...facts(fs.statSync(directory)) })
    return may(directory, fs.constants.X_OK)
  }
  let at = '/'
  if (!enter(at)) return { at, steps, problem: 'forbidden' }
  for (let name; (name = names.shift()) !== undefined; ) {
    const next = path.join(at, name)
    const found = fs.lstatSync(next, { throwIfNoEntry: false })
    if (!found) return { at: next, steps, problem: 'missing' }
    if (found.isSymbolicLink()) {
      const target = fs.readlinkSync(next)
      steps.push({ path: next, kind: 'link', target, ...facts(found) })
      if (++links > MOST_LINKS) return { at: next, steps, problem: 'loop' }
      names.unshift(...parts(target))
      if (path.isAbsolute(target)) at = '/'
      continue
    }
    if (names.length === 0) return { at: next, steps }
    if (!found.isDirectory()) return { at: next, steps, problem: 'not_a_directory' }
    at = next
    if (!enter(at)) return { at, steps, problem: 'forbidden' }
  }
  return { at, steps }
}

/**
 * What stops us.
 * @param {Way} way
 * @param {string} wanted
 * @param {import('./process').Us} us
 */
function message({ at, steps, problem }, wanted, us) {
  const { path: directory, mode, uid, gid, kind, target } = steps[steps.length - 1]
  switch (problem) {
    case 'forbidden':
      return `${who(us)} may not pass ${directory} on the way to ${wanted}: mode ${mode}, owner ${uid}:${gid}`
    case 'not_a_directory':
      return `${at} on the way to ${wanted} is no directory`
    case 'loop':
      return `the links at ${directory} go round in circles`
    default:
      return kind === 'link'
        ? `${directory} is a link to ${target}, and there is no ${at}`
        : `there is no ${at}${at === wanted ? '' : ` on the way to ${wanted}`}`
  }
}

/** @param {Way} way */
function advice({ at, steps, problem }) {
  if (problem === 'forbidden')
    return ['let this user pass (mode o+x, a group it is in, or an ACL), or run as a user who may']
  if (problem !== 'missing') return []
  const directory = steps.findLast(({ kind }) => kind === 'directory')?.path ?? '/'
  return [
    ...sockets(directory),
    'the agent has not been started, listens elsewhere, or (in a container) the directory is not mounted here',
    `spire-agent makes it when it is ready, which it is not before it has reached its server; ${path.dirname(at)} ` +
      `must be shared as a directory, not the socket alone`
  ]
}

/**
 * The sockets in a directory, if we may look.
 * @param {string} directory
 */
function sockets(directory) {
  try {
    return fs
      .readdirSync(directory)
      .map((name) => path.join(directory, name))
      .filter(isSocket)
      .slice(0, 8)
      .map((at) => `there is a socket at ${at}`)
  } catch {
    return []
  }
}

/** @param {string} text */
function parts(text) {
  return text.split('/').filter((part) => part !== '' && part !== '.')
}

/**
 * @param {fs.Stats} stats
 * @returns {{ mode: string, uid: number, gid: number }}
 */
function facts({ mode, uid, gid }) {
  return { mode: octal(mode), uid, gid }
}

/** @param {number} mode */
function octal(mode) {
  return (mode & 0o7777).toString(8).padStart(4, '0')
}

/**
 * @param {string} at
 * @param {number} mode
 */
function may(at, mode) {
  try {
    fs.accessSync(at, mode)
    return true
  } catch {
    return false
  }
}

/** @param {import('./process').Us} us */
function who({ uid, gid, groups }) {
  const others = groups.length === 0 ? '' : `, groups ${groups.map(({ id }) => id).join(' ')}`
  return `${shownId('uid', uid)}, ${shownId('gid', gid)}${others}`
}

/**
 * @param {string} wanted
 * @param {string} at
 */
function shownPath(wanted, at) {
  return wanted === at ? at : `${wanted} (that is ${at})`
}

module.exports = { examineSocketPath }
