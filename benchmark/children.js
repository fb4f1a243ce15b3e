'use strict'
/** The processes that a benchmark starts: each is awaited at its start and at its end. */
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const { createInterface } = require('node:readline')
const { sleep } = require('./rounds')

const START_TIMEOUT = 10_000
const STOP_TIMEOUT = 10_000

/** @typedef {import('node:child_process').ChildProcess} ChildProcess */

class Children {
  /** @type {Set<ChildProcess>} */
  #running = new Set()

  /** @param {string} program @param {string[]} args @param {import('node:child_process').StdioOptions} stdio */
  #spawn(program, args, stdio) {
    const child = spawn(program, args, { stdio })
    this.#running.add(child)
    child.once('exit', () => this.#running.delete(child))
    return child
  }

  /**
   * A program that is ready when its socket is there.
   * @param {string} program
   * @param {string[]} args
   * @param {string} socket
   */
  async serve(program, args, socket) {
    const child = this.#spawn(program, args, ['ignore', 'ignore', 'inherit'])
    for (const end = Date.now() + START_TIMEOUT; !fs.existsSync(socket); await sleep(5)) {
      if (child.exitCode !== null || Date.now() > end) throw new Error(`${program} did not open ${socket}`)
    }
    return child
  }

  /** A program that is spoken to in lines. @param {string} program @param {string[]} args */
  converse(program, args) {
    const child = this.#spawn(program, args, ['pipe', 'pipe', 'inherit'])
    const stdout = /** @type {import('node:stream').Readable} */ (child.stdout)
    const lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
    return {
      child,
      read: async () => (await lines.next()).value,
      write: (/** @type {string} */ text) => child.stdin?.write(`${text}\n`)
    }
  }

  /** A process is over when it has exited: until then it may write to its files. @param {ChildProcess} child */
  async stop(child) {
    if (!this.#running.has(child)) return
    const gone = once(child, 'exit')
    const timer = setTimeout(() => {
      console.error(`${child.spawnfile} did not end within ${STOP_TIMEOUT} ms and is killed`)
      child.kill('SIGKILL')
    }, STOP_TIMEOUT)
    child.kill()
    await gone
    clearTimeout(timer)
  }

  async stopAll() {
    await Promise.all(Array.from(this.#running, (child) => this.stop(child)))
  }
}

/** Resident memory of a process in MiB. @param {ChildProcess} child */
function residentMemory(child) {
  const status = fs.readFileSync(`/proc/${child.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024
}

module.exports = { Children, residentMemory }
