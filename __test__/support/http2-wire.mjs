// HTTP/2 written out byte by byte, over node:net: for servers that node:http2 cannot be talked into being.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'

export const DATA = 0
export const HEADERS = 1
export const RST_STREAM = 3
export const SETTINGS = 4
export const PING = 6
export const GOAWAY = 7
export const WINDOW_UPDATE = 8
export const CONTINUATION = 9

export const END_STREAM = 1
export const ACK = 1
export const END_HEADERS = 4

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/** @param {number} value */
export function u32(value) {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** @param {number} type @param {number} flags @param {number} stream @param {Uint8Array} [payload] */
export function frame(type, flags, stream, payload = Buffer.alloc(0)) {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** @param {Record<number, number>} [values] by number: 3 is MAX_CONCURRENT_STREAMS, 4 INITIAL_WINDOW_SIZE */
export const settings = (values = {}) =>
  frame(
    SETTINGS,
    0,
    0,
    Buffer.concat(Object.entries(values).map(([id, value]) => Buffer.concat([Buffer.of(0, Number(id)), u32(value)])))
  )

/** @param {number} stream @param {number} code */
export const reset = (stream, code) => frame(RST_STREAM, 0, stream, u32(code))
/** @param {number} last the last stream that is still answered @param {number} [code] */
export const goAway = (last, code = 0) => frame(GOAWAY, 0, 0, Buffer.concat([u32(last), u32(code)]))

/** Integers of HPACK. @param {number} first the bits in front of it @param {number} bits @param {number} value */
export function hpackInteger(first, bits, value) {
  const most = 2 ** bits - 1
  if (value < most) return Buffer.of(first | value)
  const bytes = [first | most]
  for (value -= most; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128)
  return Buffer.from([...bytes, value])
}

/**
 * Headers of HPACK: each literally and never indexed, as if nothing could be compressed.
 * @param {Record<string, string | Uint8Array>} headers
 */
export function block(headers) {
  const text = (/** @type {string | Uint8Array} */ value) => {
    const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value
    return Buffer.concat([hpackInteger(0, 7, bytes.length), bytes])
  }
  return Buffer.concat(Object.entries(headers).flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]))
}

/** @param {number} stream @param {Record<string, string | Uint8Array>} values @param {number} [flags] */
export const headers = (stream, values, flags = 0) => frame(HEADERS, END_HEADERS | flags, stream, block(values))

/** The head of a good answer. */
export const GRPC = { ':status': '200', 'content-type': 'application/grpc' }

/**
 * A message in its frame, in DATA frames as long as everybody has to take.
 * @param {number} stream
 * @param {Buffer} message
 */
export function data(stream, message) {
  const prefix = Buffer.concat([Buffer.of(0), u32(message.length)])
  const bytes = Buffer.concat([prefix, message])
  const frames = []
  for (let at = 0; at < bytes.length; at += 16384) frames.push(frame(DATA, 0, stream, bytes.subarray(at, at + 16384)))
  return Buffer.concat(frames)
}

/** A whole answer to a call that has one. @param {number} stream @param {Buffer} message */
export const answer = (stream, message) =>
  Buffer.concat([headers(stream, GRPC), data(stream, message), headers(stream, { 'grpc-status': '0' }, END_STREAM)])

/** @typedef {{ type: number, flags: number, stream: number, payload: Buffer }} Frame */

/** One connection of the client under test. */
export class Connection {
  /** Every frame it sent. @type {Frame[]} */
  frames = []
  #socket
  #partial = Buffer.alloc(0)
  #greeted = false
  #server

  /** @param {import('node:net').Socket} socket @param {Server} server */
  constructor(socket, server) {
    this.#socket = socket
    this.#server = server
    this.closed = new Promise((resolve) => socket.once('close', resolve))
    socket.on('error', () => {})
    socket.on('data', (/** @type {Buffer} */ bytes) => this.#heard(bytes))
  }

  /** Raw bytes. Waits while the client does not read. @param {...Uint8Array} parts */
  async write(...parts) {
    if (this.#socket.destroyed) return false
    if (!this.#socket.write(Buffer.concat(parts)))
      await Promise.race([new Promise((resolve) => this.#socket.once('drain', resolve)), this.closed])
    return !this.#socket.destroyed
  }

  destroy() {
    this.#socket.destroy()
  }

  /** From now on it neither reads nor answers, as a process that was stopped. */
  pause() {
    this.#socket.removeAllListeners('data')
    this.#socket.pause()
  }

  get destroyed() {
    return this.#socket.destroyed
  }

  /** What it sent of a kind. @param {number} type @param {number} [stream] */
  of(type, stream) {
    return this.frames.filter((one) => one.type === type && (stream === undefined || one.stream === stream))
  }

  /** @param {Buffer} bytes */
  #heard(bytes) {
    this.#partial = Buffer.concat([this.#partial, bytes])
    if (!this.#greeted) {
      if (this.#partial.length < PREFACE.length) return
      this.#greeted = true
      this.#partial = this.#partial.subarray(PREFACE.length)
      const { greeting } = this.#server.behaviour
      if (greeting) this.write(greeting)
    }
    while (this.#partial.length >= 9) {
      const end = 9 + this.#partial.readUIntBE(0, 3)
      if (this.#partial.length < end) return
      const one = {
        type: this.#partial[3],
        flags: this.#partial[4],
        stream: this.#partial.readUInt32BE(5),
        payload: this.#partial.subarray(9, end)
      }
      this.#partial = this.#partial.subarray(end)
      this.frames.push(one)
      this.#took(one)
    }
  }

  /** @param {Frame} one */
  #took(one) {
    const { greeting, request, took } = this.#server.behaviour
    took?.(this, one)
    if (greeting === null) return
    if (one.type === SETTINGS && !(one.flags & ACK)) this.write(frame(SETTINGS, ACK, 0))
    if (one.type === PING && !(one.flags & ACK)) this.write(frame(PING, ACK, 0, one.payload))
    if (one.flags & END_STREAM && (one.type === HEADERS || one.type === DATA)) request?.(this, one.stream)
  }
}

/**
 * @typedef {object} Behaviour
 * @property {Uint8Array | null} [greeting] what it begins with, once the client has; null: it never says a word by
 * itself
 * @property {(connection: Connection, stream: number) => unknown} [request] a request is complete
 * @property {(connection: Connection, frame: Frame) => unknown} [took] any frame
 */

const directory = mkdtempSync(path.join(tmpdir(), 'countersign-wire-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
let count = 0

export class Server {
  /** @type {Connection[]} */
  connections = []
  socket = path.join(directory, `${++count}.sock`)
  #listener

  /** @param {Behaviour} behaviour */
  constructor(behaviour) {
    this.behaviour = { greeting: settings(), ...behaviour }
    this.#listener = createServer((socket) => {
      this.connections.push(new Connection(socket, this))
    })
  }

  get endpoint() {
    return `unix:${this.socket}`
  }

  async start() {
    this.#listener.listen(this.socket)
    await once(this.#listener, 'listening')
    return this
  }

  close() {
    this.#listener.close()
    for (const connection of this.connections) connection.destroy()
  }
}

/** @param {Behaviour} behaviour */
export const startWire = (behaviour) => new Server(behaviour).start()
