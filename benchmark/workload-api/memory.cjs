'use strict'
/**
 * A service of some kind, without or with live sources: what is left of the difference is what they cost. RSS in MiB.
 *   node --expose-gc memory.cjs ENDPOINT SOURCES
 */
const http = require('node:http')

const [endpoint, sources] = process.argv.slice(2)

async function main() {
  const held = []
  if (Number(sources) > 0) {
    const { X509Source } = require('../..')
    held.push(await X509Source.open({ endpoint }))
    while (held.length < Number(sources)) held.push(new X509Source({ endpoint }))
    await Promise.all(held.map((source) => source.ready()))
  }
  const server = http.createServer((request, response) => response.end(JSON.stringify({ url: request.url })))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  for (let index = 0; index < 500; index++) {
    await new Promise((resolve, reject) =>
      http.get({ port, path: `/${index}` }, (response) => response.resume().once('end', resolve)).once('error', reject)
    )
  }
  globalThis.gc?.()
  await new Promise((resolve) => setTimeout(resolve, 100))
  globalThis.gc?.()
  console.log(process.memoryUsage.rss() / 1048576)
  process.exit()
}

main()
