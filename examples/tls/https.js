'use strict'
// Two services that authenticate each other: one serves HTTPS, the other one fetches from it. Here one process is both,
// with the identity from its Workload API.
//   SPIFFE_ENDPOINT_SOCKET=unix:/run/spire/agent.sock node https.js
const https = require('node:https')
const { X509Source } = require('countersign')
const { authorize, createFetch, peerOf, secureServer, serverOptions } = require('countersign/tls')

async function main() {
  const source = await X509Source.open({ timeout: 5000 })
  const { spiffeId } = source.svid()
  const neighbours = authorize.memberOf(spiffeId.trustDomain)

  // The service. Every client that reaches the handler is verified and authorized.
  const server = https.createServer(serverOptions(source, neighbours), (request, response) => {
    response.end(`hello ${peerOf(request).spiffeId}`)
  })
  secureServer(server, source, neighbours, {
    onReject: ({ rule, claimedIds }) => console.log(`server: refused ${JSON.stringify(claimedIds)}: ${rule}`)
  })
  await new Promise((resolve) => server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', resolve))
  const url = `https://localhost:${server.address().port}/`

  // Another service.
  const fetch = createFetch(source, authorize.id(spiffeId))
  console.log(`client: ${await (await fetch(url)).text()}`)

  // This client expects another server: it sends no byte of the request.
  const wary = createFetch(source, authorize.id('spiffe://example.org/somebody-else'))
  await wary(url).catch(({ cause }) => console.log(`client: ${cause.message}`))

  // No certificate, no answer.
  await new Promise((resolve) => https.get(url, { rejectUnauthorized: false }).on('error', resolve))

  await Promise.all([fetch.close(), wary.close()])
  server.close()
  source.close()
}

main().catch((error) => {
  console.log(`${error.code}: ${error.message}`)
  process.exit(1)
})
