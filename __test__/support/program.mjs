// A program that runs beside the test, and what it says. It never outlives the test, however that ends.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

/** @typedef {Record<string, any> & { msg: string, level: string }} Line a line it wrote: an object if it was JSON */

/**
 * @typedef {{ uid?: number, gid?: number, timeout?: number }} As whose process it is (default: ours), and for how long
 * (ms)
 */

/** The kernel ends what we start when we end, whichever way: no handler of ours could promise that. @param {As} as */
const ours = ({ uid, gid = uid }) => [
  ...(uid === undefined ? [] : ['--reuid', String(uid), '--regid', String(gid), '--clear-groups']),
  '--pdeathsig',
  'KILL'
]

export class Program {
  /** Those that run. @type {Set<Program>} */
  static running = new Set()
  /** Every line so far. @type {Line[]} */
  lines = []
  #name
  #child
  #gone
  #partial = ''
  /** @type {Set<() => void>} */
  #waiting = new Set()

  /**
   * @param {string} name
   * @param {string} command
   * @param {string[]} args
   * @param {As} [as]
   */
  constructor(name, command, args, as = {}) {
    this.#name = name
    this.command = command
    this.#child = spawn('setpriv', [...ours(as), command, ...args], { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/' })
    this.#gone = once(this.#child, 'close')
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk) => this.#heard(chunk))
    }
    Program.running.add(this)
    this.#child.on('close', () => {
      Program.running.delete(this)
      this.#wake()
    })
    // A test that failed before it ended its programs is to fail, not to hang.
    for (const handle of [this.#child, this.#child.stdout, this.#child.stderr]) /** @type {any} */ (handle).unref()
  }

  get pid() {
    return /** @type {number} */ (this.#child.pid)
  }

  get running() {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** @param {string} chunk */
  #heard(chunk) {
    const lines = (this.#partial + chunk).split('\n')
    this.#partial = /** @type {string} */ (lines.pop())
    for (const line of lines) this.lines.push(parsed(line))
    this.#wake()
  }

  #wake() {
    for (const look of this.#waiting) look()
  }

  /** How it ended, and the last it said. */
  describe() {
    const { exitCode, signalCode } = this.#child
    const state = this.running ? 'runs' : `ended with ${signalCode ?? exitCode}`
    return `${this.#name} ${state}; it said last:\n${this.lines
      .slice(-15)
      .map((line) => JSON.stringify(line))
      .join('\n')}\n`
  }

  /**
   * Wait for a line: the first that is accepted, from line number `since` on.
   * @param {string} what for the error
   * @param {(line: Line) => boolean} accepts
   * @param {{ since?: number, timeout?: number }} [options]
   * @returns {Promise<Line>}
   */
  says(what, accepts, { since = 0, timeout = 60_000 } = {}) {
    return new Promise((resolve, reject) => {
      let next = since
      const timer = setTimeout(() => fail(`not within ${timeout} ms. ${this.describe()}`), timeout)
      const settle = (/** @type {() => void} */ answer) => {
        clearTimeout(timer)
        this.#waiting.delete(look)
        answer()
      }
      const fail = (/** @type {string} */ why) => settle(() => reject(new Error(`${what}: ${why}`)))
      const look = () => {
        for (; next < this.lines.length; next++) {
          const line = this.lines[next]
          if (accepts(line)) return settle(() => resolve(line))
        }
        if (!this.running) fail(this.describe())
      }
      this.#waiting.add(look)
      look()
    })
  }

  /**
   * Wait until it takes connections at a socket.
   * @param {string} path
   */
  async listens(path, timeout = 60_000) {
    for (const end = Date.now() + timeout; ; await pause(20)) {
      if (!this.running) throw new Error(this.describe())
      if (await connects(path)) return
      if (Date.now() > end) throw new Error(`${path} takes no connection after ${timeout} ms. ${this.describe()}`)
    }
  }

  /** @param {NodeJS.Signals} [signal] */
  async kill(signal = 'SIGTERM') {
    this.#child.kill(signal)
    // A server that waits for its connections to end may wait for long.
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 15_000)
    await this.#gone
    clearTimeout(timer)
  }
}

/** @param {string} line @returns {Line} */
function parsed(line) {
  try {
    const value = JSON.parse(line)
    if (value !== null && typeof value === 'object') return { msg: '', level: '', ...value }
  } catch {}
  return { msg: line, level: '' }
}

/** @param {string} path */
function connects(path) {
  return new Promise((resolve) => {
    const socket = net.connect(path, () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
}

/**
 * Run a command to its end, as another user if asked.
 * @param {string} command
 * @param {string[]} args
 * @param {{ input?: string, env?: Record<string, string> } & As} [options]
 * @returns {Promise<{ code: number | null, signal: NodeJS.Signals | null, stdout: string, stderr: string }>}
 */
export function run(command, args, { input = '', env = {}, timeout = 60_000, ...as } = {}) {
  const { NODE_TEST_CONTEXT, ...clean } = process.env
  const child = spawn('setpriv', [...ours(as), command, ...args], { env: { ...clean, ...env }, cwd: '/' })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    stderr += chunk
  })
  child.stdin.on('error', () => {}).end(input)
  const timer = setTimeout(() => child.kill('SIGKILL'), timeout)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, stdout, stderr })
    })
  })
}
