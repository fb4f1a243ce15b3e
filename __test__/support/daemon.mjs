// A daemon that answers as its script says, in a process of its own: a server in the caller's process could not answer
// a caller that blocks. It needs nothing but Node, so that it can be copied to where another user may read it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * @typedef {object} Script
 * @property {string} [body] what to send
 * @property {string} [base64] the same, for what is not text
 * @property {number} [padding] so many spaces in front of it
 * @property {'eof' | 'nothing'} [after] answer when the request has ended (default), or at once
 * @property {number} [delay] milliseconds to wait before answering
 * @property {number} [drip] milliseconds between two bytes
 * @property {'end' | 'hold' | 'half' | 'unread'} [then] close (default); leave open; close the writing side only; close
 * with the request unread
 * @property {boolean} [echo] answer with an identity that carries the request's runner, as it was written
 * @property {boolean} [silent] accept, and never say anything
 * @property {number} [backlog]
 */

export const OK = {
  status: 'ok',
  identity: 'BILLING_PROD',
  idm_url: 'https://auth.example.com/oauth2/billing',
  config_url: 'https://config.example.com/api/billing',
  token: 'tok_billing_5ec2e7',
  runner: { identity: 'BILLING_PROD', hostname: 'worker-01', process: 'billing-app', pid: 1234, uid: 1001, gid: 1002 }
}

/** @param {{ uid?: number, directory?: string }} [options] */
export async function startDaemon({ uid } = {}) {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'countersign-'))
  chmodSync(directory, 0o777)
  const file = path.join(directory, 'daemon.mjs')
  copyFileSync(fileURLToPath(import.meta.url), file)
  const command = uid === undefined ? [] : ['setpriv', '--reuid', String(uid), '--regid', String(uid), '--clear-groups']
  command.push(process.execPath, file, directory)
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  let asked = 0
  /** @type {(message: object) => Promise<any>} */
  const ask = (message) =>
    new Promise((resolve, reject) => {
      const id = ++asked
      const onExit = () => reject(new Error('the daemon is gone'))
      const onMessage = (/** @type {any} */ answer) => {
        if (answer.id !== id) return
        child.off('message', onMessage).off('exit', onExit)
        resolve(answer.value)
      }
      child
        .on('message', onMessage)
        .on('exit', onExit)
        .send({ id, ...message })
    })
  return {
    pid: /** @type {number} */ (child.pid),
    directory,
    /**
     * A socket whose connections are served by this script.
     * @param {Script} script
     * @param {string} [name]
     * @returns {Promise<string>}
     */
    serve: (script, name) => ask({ serve: script, name }),
    /**
     * What came over the connections of a socket so far.
     * @param {string} socket
     * @returns {Promise<string[]>}
     */
    received: (socket) => ask({ received: socket }),
    /** @param {NodeJS.Signals} signal */
    kill: (signal) => child.kill(signal),
    async stop() {
      const gone = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined
      child.kill('SIGKILL')
      await gone
      rmSync(directory, { recursive: true, force: true })
    }
  }
}

/** @param {string} directory */
function run(directory) {
  /** @type {Map<string, string[]>} */
  const received = new Map()
  let sockets = 0
  process.on('message', async (/** @type {any} */ { id, serve, name, received: of }) => {
    if (of !== undefined) return process.send?.({ id, value: received.get(of) })
    const at = path.join(directory, name ?? `${++sockets}.sock`)
    received.set(at, [])
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: serve.then === 'unread' }, (socket) =>
      play(serve, socket, /** @type {string[]} */ (received.get(at)))
    )
    server.listen({ path: at, backlog: serve.backlog ?? 511 })
    await once(server, 'listening')
    chmodSync(at, 0o777)
    process.send?.({ id, value: at })
  })
  process.on('disconnect', () => process.exit())
}

/**
 * @param {Script} script
 * @param {net.Socket} socket
 * @param {string[]} received
 */
async function play(script, socket, received) {
  socket.on('error', () => {})
  const index = received.push('') - 1
  if (script.then !== 'unread') {
    socket.setEncoding('utf8')
    socket.on('data', (chunk) => {
      received[index] += chunk
    })
    if (script.after !== 'nothing') await once(socket, 'end').catch(() => {})
  }
  if (script.silent) return hold(socket)
  if (script.delay) await new Promise((resolve) => setTimeout(resolve, script.delay))
  let body = script.base64 === undefined ? Buffer.from(script.body ?? '') : Buffer.from(script.base64, 'base64')
  if (script.echo) body = Buffer.from(answerTo(received[index]))
  if (script.padding) body = Buffer.concat([Buffer.alloc(script.padding, ' '), body])
  if (script.drip) {
    for (const byte of body) {
      if (socket.destroyed) return
      socket.write(Buffer.of(byte))
      await new Promise((resolve) => setTimeout(resolve, script.drip))
    }
  } else if (body.length > 0) await new Promise((resolve) => socket.write(body, resolve))
  if (script.then === 'hold') hold(socket)
  if (script.then === undefined) socket.end(() => socket.destroy())
  if (script.then === 'half') socket.end()
  if (script.then === 'unread') socket.destroy()
}

/** @type {net.Socket[]} */
const held = []

/**
 * Keep a connection open. Nobody tells when its client has gone (it closed its writing side long before), so the oldest
 * goes when there are very many.
 * @param {net.Socket} socket
 */
function hold(socket) {
  if (held.push(socket) > 500) held.shift()?.destroy()
}

/**
 * The request's runner goes in as text: parsing it here would round what a test wants to see exact.
 * @param {string} request
 */
function answerTo(request) {
  const said = request.slice('{"runner":{'.length, -2)
  const seen = JSON.stringify(OK.runner).slice(1, -1)
  return JSON.stringify({ ...OK, runner: 'HERE' }).replace('"HERE"', () => `{${seen}${said === '' ? '' : ','}${said}}`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) run(process.argv[2])
