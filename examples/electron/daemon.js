'use strict'
// The daemon of a desktop application: it listens on a Unix socket, and accepts only the program that it belongs to.
// Their traffic is TLS inside the socket, with SPIFFE identities on both ends.
//   SPIFFE_ENDPOINT_SOCKET=... node daemon.js /run/user/1000/acme.sock [the application's executable]
const net = require('node:net')
const tls = require('node:tls')
const { authorizePeer, X509Source } = require('countersign')
const { authorize, peerOf, secureServer, serverOptions } = require('countersign/tls')

async function main() {
  const [path, exe = process.execPath] = process.argv.slice(2)
  const source = await X509Source.open({ timeout: 5000 })
  const neighbours = authorize.memberOf(source.svid().spiffeId.trustDomain)

  const inner = tls.createServer(serverOptions(source, neighbours), (socket) => {
    socket.on('error', () => {})
    socket.end(JSON.stringify({ to: peerOf(socket), status: 'all is well', pid: process.pid }))
  })
  secureServer(inner, source, neighbours)

  const outer = net.createServer((socket) => {
    try {
      // Verified by the kernel's peer credentials, before the first byte.
      authorizePeer(socket, { uid: process.getuid(), exe })
    } catch (error) {
      console.log(`daemon: ${error.message}`)
      return socket.destroy()
    }
    inner.emit('connection', socket)
  })
  outer.listen(path, () => console.log('daemon: listening'))
}

main().catch((error) => {
  console.log(`${error.code}: ${error.message}`)
  process.exit(1)
})
