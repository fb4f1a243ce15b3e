'use strict'
/**
 * A small http service, without or with live sources: the difference is what they cost. Prints resident memory in MiB.
 *   node --expose-gc memory.cjs CHECKOUT ENDPOINT SOURCES
 */
const http = require('node:http')
const { createRequire } = require('node:module')
const path = require('node:path')

const [checkout, endpoint, sources] = process.argv.slice(2)

async function main() {
  const held = []
  if (Number(sources) > 0) {
    const { X509Source } = createRequire(path.join(checkout, 'package.json'))('countersign')
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
