'use strict'
/** A registry with a handful of packages, on this machine only: what `npm install` meets once they are published. */
const { createHash } = require('node:crypto')
const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')

/**
 * @param {{ manifest: any, tarball?: string }[]} packages without a tarball: known, and in reach of nobody
 * @returns {Promise<{ url: string, asked: string[], close: () => void }>}
 */
async function startRegistry(packages) {
  /** @type {string[]} */
  const asked = []
  const server = http.createServer((request, response) => {
    const url = decodeURIComponent(String(request.url))
    asked.push(url)
    const file = packages.find(({ tarball }) => tarball && url === `/tarballs/${path.basename(tarball)}`)?.tarball
    if (file) return response.end(fs.readFileSync(file))
    const found = packages.find(({ manifest }) => url === `/${manifest.name}`)
    response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' })
    response.end(JSON.stringify(found ? packument(found, `http://${request.headers.host}`) : { error: 'not found' }))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  return {
    url: `http://127.0.0.1:${port}/`,
    asked,
    close: () => {
      server.close()
      server.closeAllConnections()
    }
  }
}

/** @param {{ manifest: any, tarball?: string }} known @param {string} base */
function packument({ manifest, tarball }, base) {
  const dist = tarball
    ? {
        tarball: `${base}/tarballs/${path.basename(tarball)}`,
        integrity: `sha512-${createHash('sha512').update(fs.readFileSync(tarball)).digest('base64')}`
      }
    : { tarball: `${base}/tarballs/none.tgz`, integrity: `sha512-${'A'.repeat(86)}==` }
  return {
    name: manifest.name,
    'dist-tags': { latest: manifest.version },
    versions: { [manifest.version]: { ...manifest, dist } }
  }
}

module.exports = { startRegistry }
