'use strict'
/** The responses of the Workload API that answers at once, as files. */
const fs = require('node:fs')
const path = require('node:path')

const AUDIENCE = 'spiffe://example.org/shop'

/**
 * One SVID, two to rotate between, tokens; and directories with large messages.
 * @param {string} directory
 * @returns {Promise<{ count: number, directory: string }[]>} the large ones
 */
async function writeResponses(directory) {
  const { domain, jwtBundlesResponse, jwtResponse, x509BundlesResponse, x509Response } = await import(
    '../../__test__/workload-stub.mjs'
  )
  const home = domain('example.org')
  const [first, second, third] = [1, 2, 3].map(() => home.svid('/billing'))
  const id = 'spiffe://example.org'
  const many = (/** @type {number} */ count) =>
    x509Response({
      svids: Array.from({ length: count }, (_, index) => ({ ...first, hint: `h${index}` })),
      federated: Object.fromEntries(
        Array.from({ length: count }, (_, index) => [`spiffe://d${index}.org`, home.ca.der])
      )
    })
  const files = {
    x509: x509Response({ svids: [first] }),
    'x509-2': x509Response({ svids: [second] }),
    'x509-3': x509Response({ svids: [third] }),
    'x509-bundles': x509BundlesResponse({ [id]: home.ca.der }),
    jwt: jwtResponse([home.token('/billing', [AUDIENCE], 24 * 3600)]),
    'jwt-bundles': jwtBundlesResponse({ [id]: home.jwks })
  }
  const write = (/** @type {string} */ target, /** @type {Record<string, Uint8Array>} */ contents) => {
    for (const [name, bytes] of Object.entries(contents)) fs.writeFileSync(path.join(target, name), bytes)
  }
  write(directory, files)
  return [1, 100, 1000].map((count) => {
    const large = path.join(directory, `large-${count}`)
    fs.mkdirSync(large)
    write(large, { ...files, x509: many(count) })
    return { count, directory: large }
  })
}

module.exports = { AUDIENCE, writeResponses }
