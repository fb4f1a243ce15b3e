'use strict'
// A process that has bound the socket path and could give out identities. It prints how many bytes reached it.
const { createServer } = require('node:net')

let bytes = 0
createServer((client) => {
  client.on('data', (chunk) => {
    bytes += chunk.length
  })
  client.on('error', () => {})
  client.on('close', () => console.log(`impostor: one caller, ${bytes} bytes of it`))
}).listen(process.argv[2], () => console.log('impostor: listening'))
