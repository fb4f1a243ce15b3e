'use strict'
// A Workload API on a Unix socket, in reach of programs that have none: each connection is passed on.
const net = require('node:net')

/**
 * @param {string} endpoint `unix:...`
 * @returns {Promise<{ endpoint: string, close (): void }>}
 */
function onTcp(endpoint) {
  const path = endpoint.replace(/^unix:(\/\/)?/, '')
  /** @type {Set<net.Socket>} */
  const open = new Set()
  const server = net.createServer((socket) => {
    const further = net.connect(path)
    for (const [one, other] of [
      [socket, further],
      [further, socket]
    ]) {
      open.add(one)
      one.pipe(other)
      one
        .on('error', () => other.destroy())
        .on('close', () => {
          open.delete(one)
          other.destroy()
        })
    }
  })
  const close = () => {
    server.close()
    for (const socket of open) socket.destroy()
  }
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => {
      resolve({ endpoint: `tcp://127.0.0.1:${/** @type {net.AddressInfo} */ (server.address()).port}`, close })
    })
  )
}

module.exports = { onTcp }
