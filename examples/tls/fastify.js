'use strict'
// Fastify with two kinds of authentication: certificates on every route, and on one route a token of the original
// caller.
//   npm install fastify
//   SPIFFE_ENDPOINT_SOCKET=unix:/run/spire/agent.sock node fastify.js
const fastify = require('fastify')
const { JwtSource, X509Source } = require('countersign')
const {
  authorize,
  bearer,
  createFetch,
  peerOf,
  requireBearer,
  secureServer,
  serverOptions
} = require('countersign/tls')

const AUDIENCE = 'spiffe://example.org/orders'

async function main() {
  const [source, tokens] = await Promise.all([X509Source.open({ timeout: 5000 }), JwtSource.open({ timeout: 5000 })])
  const { spiffeId } = source.svid()
  const neighbours = authorize.memberOf(spiffeId.trustDomain)

  const app = fastify({ http2: false, https: serverOptions(source, neighbours) })
  secureServer(app.server, source, neighbours)
  app.get('/', (request) => `hello ${peerOf(request).spiffeId}`)
  app.register(async (orders) => {
    // The connection may be a proxy's: the token names the original caller.
    orders.addHook('onRequest', requireBearer(tokens, { audience: AUDIENCE, authorize: neighbours }))
    orders.get(
      '/orders',
      (request) => `orders of ${peerOf(request).spiffeId}, sent by ${peerOf(request.socket).spiffeId}`
    )
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const url = `https://localhost:${app.server.address().port}`

  const fetch = createFetch(source, authorize.id(spiffeId))
  const authorization = bearer(tokens, AUDIENCE)
  console.log(`client: ${await (await fetch(url)).text()}`)
  const refused = await fetch(`${url}/orders`)
  console.log(`client: ${refused.status} ${refused.headers.get('www-authenticate')}`)
  await refused.text()
  console.log(`client: ${await (await fetch(`${url}/orders`, { headers: { ...(await authorization()) } })).text()}`)

  await fetch.close()
  await app.close()
  source.close()
  tokens.close()
}

main().catch((error) => {
  console.log(`${error.code}: ${error.message}`)
  process.exit(1)
})
