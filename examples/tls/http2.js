'use strict'
// HTTP/2 between services that authenticate each other. A session lives long: this one closes gracefully at its age
// limit, so that the next one presents the newest identity.
//   SPIFFE_ENDPOINT_SOCKET=unix:/run/spire/agent.sock node http2.js
const { once } = require('node:events')
const http2 = require('node:http2')
const { X509Source } = require('countersign')
const { authorize, http2Connect, peerOf, secureServer, serverOptions } = require('countersign/tls')

async function main() {
  const source = await X509Source.open({ timeout: 5000 })
  const { spiffeId } = source.svid()

  const server = http2.createSecureServer(serverOptions(source, authorize.id(spiffeId)))
  secureServer(server, source, authorize.id(spiffeId), { maxConnectionAge: 3600e3, closeOnWithdraw: true })
  server.on('stream', (stream) => {
    stream.respond({ ':status': 200 })
    stream.end(`hello ${peerOf(stream).spiffeId}`)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))

  const session = http2Connect(`https://localhost:${server.address().port}`, source, authorize.id(spiffeId), {
    maxConnectionAge: 100
  })
  const stream = session.request({ ':path': '/' })
  let text = ''
  for await (const chunk of stream) text += chunk
  console.log(`client: ${text}`)
  console.log(`client: the server is ${peerOf(session).spiffeId}`)
  if (!session.destroyed) await once(session, 'close')
  console.log('client: the session has ended')

  server.close()
  source.close()
}

main().catch((error) => {
  console.log(`${error.code}: ${error.message}`)
  process.exit(1)
})
