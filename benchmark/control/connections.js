'use strict'
/** Bare connections to a control socket: the least a client can be, and a crowd of subscribers. */
const { once } = require('node:events')
const net = require('node:net')

/** A word that stands in no other message. */
const MARK = 'the-mark'

/** One line out, one line in. @param {string} socketPath */
async function bareClient(socketPath) {
  const socket = net.connect(socketPath)
  await once(socket, 'connect')
  /** @type {(value: unknown) => void} */
  let settle = () => {}
  let rest = ''
  let id = 0
  socket.setEncoding('utf8').on('data', (piece) => {
    rest += piece
    if (!rest.endsWith('\n')) return
    const reply = JSON.parse(rest)
    rest = ''
    settle(reply)
  })
  const ping = () =>
    new Promise((resolve) => {
      settle = resolve
      socket.write(`${JSON.stringify({ type: 'ping', id: ++id })}\n`)
    })
  return { ping, close: () => socket.destroy() }
}

/**
 * Subscribers of events, of whom some never read.
 * @param {string} socketPath
 * @param {{ count: number, silent: number }} sizes
 */
async function subscribers(socketPath, { count, silent }) {
  /** @type {net.Socket[]} */
  const sockets = []
  let received = 0
  /** @type {(value: unknown) => void} */
  let settle = () => {}
  while (sockets.length < count) {
    const socket = net.connect(socketPath)
    await once(socket, 'connect')
    socket.write('{"type":"subscribe"}\n')
    await once(socket, 'data')
    if (sockets.push(socket) <= silent) {
      socket.pause()
      continue
    }
    socket.on('data', (piece) => {
      if (piece.includes(MARK) && ++received === count - silent) settle(undefined)
    })
  }
  return {
    MARK,
    /** Settles when the mark has come to each subscriber that reads, once from now on. */
    allReceived: () =>
      new Promise((resolve) => {
        received = 0
        settle = resolve
      }),
    close: () => {
      for (const socket of sockets) socket.destroy()
    }
  }
}

module.exports = { bareClient, subscribers }
