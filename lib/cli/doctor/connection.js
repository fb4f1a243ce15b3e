'use strict'
/** Whether a process listens, which one it is, and whether it speaks HTTP/2. */

const net = require('node:net')
const { getPeerCredentials, getPeerProcess } = require('../../peer/process')
const { EXIT } = require('../exit')
const { socketPathOf } = require('./endpoint')

/** @typedef {InstanceType<typeof import('./report').Report>} Report */

/**
 * What a client of HTTP/2 says first, and an empty SETTINGS frame (RFC 9113 3.4). The server's first frame is its own
 * SETTINGS.
 */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1')
const FRAME_HEAD = 9
const SETTINGS = 4

/** What the codes of a failed attempt mean. @type {Record<string, [message: string, ...advice: string[]]>} */
const REASONS = {
  ECONNREFUSED: ['nobody listens there', 'an agent that was killed leaves its socket behind: is it running?'],
  EACCES: [
    'the system does not let us',
    'a security module (SELinux, AppArmor) may forbid what the mode allows: look at its log'
  ],
  EPERM: ['the system does not let us', 'a security module or a firewall may forbid it: look at its log'],
  ENOENT: ['the socket has just gone', 'is the agent being restarted over and over?'],
  EAGAIN: ['its queue is full', 'the agent does not take connections: it hangs, or is overloaded'],
  EPROTOTYPE: ['it is a socket of another type', 'the Workload API is a stream socket'],
  ETIMEDOUT: ['no answer', 'is a firewall in between?'],
  EHOSTUNREACH: ['the host is not reached'],
  ENETUNREACH: ['the network is not reached']
}

/**
 * @param {Report} report
 * @param {string} endpoint
 * @param {number} timeout
 * @returns {Promise<boolean>} whether it makes sense to ask for something
 */
async function examineConnection(report, endpoint, timeout) {
  const start = performance.now()
  const { socket, code } = await connect(endpoint, timeout)
  if (!socket) {
    const [message, ...advice] = REASONS[code] ?? [code]
    report.fail('connect', EXIT.NO_DAEMON, `cannot connect: ${message} (${code})`, { code, advice })
    return false
  }
  try {
    const took = performance.now() - start
    report.add('connect', 'ok', `connected in ${took.toFixed(1)} ms`, { milliseconds: took })
    examineListener(report, endpoint, socket)
    return await examineProtocol(report, socket, timeout)
  } finally {
    socket.destroy()
  }
}

/**
 * @param {string} endpoint
 * @param {number} timeout
 * @returns {Promise<{ socket?: net.Socket, code: string }>}
 */
function connect(endpoint, timeout) {
  return new Promise((resolve) => {
    const socket = net.connect(address(endpoint))
    const timer = setTimeout(() => failed('ETIMEDOUT'), timeout)
    /** @param {string} code */
    const failed = (code) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ code })
    }
    // It stays for the life of the socket: later errors show in what is read.
    socket.on('error', (/** @type {NodeJS.ErrnoException} */ error) => failed(error.code ?? error.message))
    socket.once('connect', () => {
      clearTimeout(timer)
      resolve({ socket, code: '' })
    })
  })
}

/**
 * @param {string} endpoint
 * @returns {net.NetConnectOpts}
 */
function address(endpoint) {
  if (endpoint.startsWith('unix:')) return { path: socketPathOf(endpoint) }
  if (endpoint.startsWith('npipe:')) return { path: `\\\\.\\pipe\\${endpoint.slice('npipe:'.length)}` }
  const [, host, port] = /** @type {RegExpExecArray} */ (/^tcp:\/\/\[?([^\]]+)\]?:(\d+)$/.exec(endpoint))
  return { host, port: Number(port) }
}

/**
 * @param {Report} report
 * @param {string} endpoint
 * @param {net.Socket} socket
 */
function examineListener(report, endpoint, socket) {
  if (!endpoint.startsWith('unix:')) {
    report.add(
      'listener',
      'note',
      'over a network the kernel cannot name the listener, and the agent can hardly attest this process'
    )
    return
  }
  const elsewhere = ['a listener in another PID namespace is normal when one of us runs in a container']
  try {
    const { pid, uid, gid, process: name, exe, exeDoubt } = getPeerProcess(socket)
    if (pid === undefined)
      return report.add('listener', 'note', `uid ${uid}, gid ${gid}; its pid cannot be seen from here`, {
        uid,
        gid,
        advice: elsewhere
      })
    const runs = exe ?? (exeDoubt?.path && `${exeDoubt.path} (in doubt: ${exeDoubt.reason})`)
    report.add(
      'listener',
      'ok',
      `pid ${pid}, uid ${uid}, gid ${gid}` +
        `${name === undefined ? '' : `, ${name}`}${runs === undefined ? '' : `, runs ${runs}`}`,
      { pid, uid, gid, process: name, exe }
    )
  } catch (error) {
    const { uid, gid } = credentials(socket)
    report.add(
      'listener',
      'note',
      `${uid === undefined ? '' : `uid ${uid}, gid ${gid}; `}more cannot be read: ` +
        `${/** @type {Error} */ (error).message}`,
      {
        uid,
        gid,
        advice: elsewhere
      }
    )
  }
}

/**
 * @param {net.Socket} socket
 * @returns {{ uid?: number, gid?: number }}
 */
function credentials(socket) {
  try {
    return getPeerCredentials(socket)
  } catch {
    return {}
  }
}

/**
 * @param {Report} report
 * @param {net.Socket} socket
 * @param {number} timeout
 */
async function examineProtocol(report, socket, timeout) {
  const { bytes, ended } = await converse(socket, timeout)
  if (bytes.length >= FRAME_HEAD && bytes[3] === SETTINGS) {
    report.add('http2', 'ok', 'it speaks HTTP/2')
    return true
  }
  const { message, advice } = whatIsIt(bytes, ended, timeout)
  report.add('http2', 'fail', `it does not speak HTTP/2, and so not gRPC: ${message}`, { advice })
  return false
}

/**
 * @param {Buffer} bytes
 * @param {boolean} ended
 * @param {number} timeout
 */
function whatIsIt(bytes, ended, timeout) {
  const text = bytes.toString('latin1')
  if (text.startsWith('HTTP/1'))
    return {
      message: 'it answers as HTTP/1.1 servers do',
      advice: ['this is the socket of something else (a container engine?), or a proxy that knows no HTTP/2']
    }
  if (bytes[0] === 0x15 && bytes[1] === 0x03)
    return { message: 'it wants TLS', advice: ['the Workload API is served without TLS: this is another service'] }
  if (text.trimStart().startsWith('{'))
    return {
      message: 'it answers in JSON',
      advice: [
        'this looks like an agent of identity-by-PID: its socket belongs into WHOAMI_SOCKET (countersign whoami)'
      ]
    }
  if (bytes.length > 0)
    return { message: 'what it says is something else', advice: ['this is the socket of another service'] }
  if (ended)
    return {
      message: 'it hangs up without a word',
      advice: ['it may refuse us for who we are, or expect another protocol: look into its log']
    }
  return {
    message: `it says nothing for ${timeout} ms`,
    advice: ['it hangs, or is another service that waits to be spoken to']
  }
}

/**
 * Say what a client says first, and hear the beginning of the answer.
 * @param {net.Socket} socket
 * @param {number} timeout
 * @returns {Promise<{ bytes: Buffer, ended: boolean }>}
 */
function converse(socket, timeout) {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0)
    const timer = setTimeout(() => resolve({ bytes, ended: false }), timeout)
    const settle = () => {
      clearTimeout(timer)
      resolve({ bytes, ended: true })
    }
    socket.on('data', (/** @type {Buffer} */ piece) => {
      bytes = Buffer.concat([bytes, piece])
      if (bytes.length >= FRAME_HEAD) settle()
    })
    socket.once('close', settle)
    socket.once('end', settle)
    socket.write(PREFACE)
  })
}

module.exports = { examineConnection }
