'use strict'
// A service that gets its SVIDs from the Workload API, and authenticates with a token.
//   SPIFFE_ENDPOINT_SOCKET=unix:... node service.js
const { JwtSource, WorkloadApiClient, X509Source } = require('countersign')

async function main() {
  const source = await X509Source.open() // renewed for as long as it is open
  console.log(source.svid()) // the private key is a KeyObject, and is not printed

  const tokens = new JwtSource()
  const { token } = await tokens.fetch({ audience: 'spiffe://example.org/shop' })

  // How the shop verifies it: by the Workload API, or with the bundles (`tokens.validate`).
  const client = new WorkloadApiClient()
  const { spiffeId, claims } = await client.validateJwtSvid({ audience: 'spiffe://example.org/shop', token })
  console.log(`the token is good: ${spiffeId}, for ${claims.aud}, until ${new Date(claims.exp * 1000).toISOString()}`)
  for (const one of [source, tokens, client]) one.close()
}

main().catch((error) => {
  console.log(`${error.code}: ${error.message}`)
  process.exitCode = 1
})
