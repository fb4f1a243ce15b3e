// The command line as an operator types it, of any user, while this process goes on serving whatever it asks.
import { spawn } from 'node:child_process'
import { chmodSync, chownSync, constants, copyFileSync, cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { root } from './child.mjs'

const bin = path.join(root, 'bin', 'countersign.js')

/**
 * @typedef {{ env?: Record<string, string | undefined>, input?: string, uid?: number, gid?: number, groups?: number[],
 * command?: string[], cwd?: string }} How
 */

/** @param {string[]} args @param {How} [how] */
function start(args, { env = {}, uid, gid = uid, groups = [], command = [process.execPath, bin], cwd } = {}) {
  const { NODE_TEST_CONTEXT, SPIFFE_ENDPOINT_SOCKET, ...clean } = process.env
  const user =
    uid === undefined
      ? []
      : [
          'setpriv',
          '--reuid',
          String(uid),
          '--regid',
          String(gid),
          ...(groups.length === 0 ? ['--clear-groups'] : ['--groups', groups.join()])
        ]
  const [file, ...rest] = [...user, ...command, ...args]
  return spawn(file, rest, { env: { ...clean, ...env }, stdio: ['pipe', 'pipe', 'pipe'], cwd })
}

/**
 * Run it to its end.
 * @param {string[]} args
 * @param {How} [how]
 * @returns {Promise<{ status: number | null, signal: NodeJS.Signals | null, stdout: string, stderr: string }>}
 */
export function run(args, how = {}) {
  const child = start(args, how)
  const said = collect(child)
  child.stdin.on('error', () => {}).end(how.input ?? '')
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status, signal) => {
      clearTimeout(timer)
      resolve({ status, signal, ...said })
    })
  })
}

/**
 * Run it for a while: what it said so far, a way to wait for something, and a way to end it.
 * @param {string[]} args
 * @param {How} [how]
 */
export function watch(args, how = {}) {
  const child = start(args, how)
  const said = collect(child)
  const gone = new Promise((resolve) => child.on('close', (status, signal) => resolve({ status, signal })))
  // A test that fails in between is to fail, not to hang.
  for (const handle of [child, child.stdin, child.stdout, child.stderr]) /** @type {any} */ (handle).unref()
  process.on('exit', () => child.kill('SIGKILL'))
  /** @returns {Promise<{ status: number | null, signal: NodeJS.Signals | null }>} */
  const ended = async () => {
    for (const handle of [child, child.stdout, child.stderr]) /** @type {any} */ (handle).ref()
    return await gone
  }
  return {
    said,
    child,
    /** It ends by itself. */
    ended,
    /** @param {() => unknown} condition @param {string} what */
    until: async (condition, what) => {
      for (const end = Date.now() + 20_000; !condition(); await new Promise((resolve) => setTimeout(resolve, 5))) {
        if (Date.now() > end || child.exitCode !== null) throw new Error(`in vain: ${what}: ${JSON.stringify(said)}`)
      }
    },
    /** @param {NodeJS.Signals} signal @returns {Promise<{ status: number | null, signal: NodeJS.Signals | null }>} */
    end: async (signal = 'SIGTERM') => {
      child.kill(signal)
      return await ended()
    }
  }
}

/** @param {import('node:child_process').ChildProcessWithoutNullStreams} child */
function collect(child) {
  const said = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (piece) => {
    said.stdout += piece
  })
  child.stderr.setEncoding('utf8').on('data', (piece) => {
    said.stderr += piece
  })
  return said
}

/**
 * Node and the package may be where only root gets to; another user has them where it can see them.
 * @param {number} uid whose the directory is
 * @returns {{ home: string, command: string[], exe: string, remove: () => void }}
 */
export function installFor(uid) {
  const home = mkdtempSync(path.join(os.tmpdir(), 'countersign-user-'))
  chownSync(home, uid, uid)
  chmodSync(home, 0o755)
  const exe = path.join(home, 'node')
  copyFileSync(process.execPath, exe, constants.COPYFILE_FICLONE)
  chmodSync(exe, 0o755)
  for (const name of [
    'package.json',
    'index.js',
    'lib',
    'bin',
    ...readdirSync(root).filter((name) => name.endsWith('.node'))
  ]) {
    cpSync(path.join(root, name), path.join(home, name), { recursive: true })
  }
  return {
    home,
    exe,
    command: [exe, path.join(home, 'bin', 'countersign.js')],
    remove: () => rmSync(home, { recursive: true, force: true })
  }
}
