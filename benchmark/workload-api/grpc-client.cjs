'use strict'
/** What people write by hand: @grpc/grpc-js over the proto file. It reads the response and verifies nothing. */

const path = require('node:path')
const { createRequire } = require('node:module')
const peers = createRequire(path.join(__dirname, '..', '..', 'peers', 'node', 'package.json'))

/** The library, and the service that it makes of the proto file. */
function loadService() {
  const grpc = peers('@grpc/grpc-js')
  const definition = peers('@grpc/proto-loader').loadSync(path.join(__dirname, 'workload.proto'), {
    keepCase: true,
    longs: Number,
    defaults: true
  })
  const { SpiffeWorkloadAPI } = /** @type {any} */ (grpc.loadPackageDefinition(definition))
  return { grpc, SpiffeWorkloadAPI }
}

class GrpcClient {
  /** @param {string} endpoint */
  constructor(endpoint) {
    const { grpc, SpiffeWorkloadAPI } = loadService()
    this.client = new SpiffeWorkloadAPI(endpoint, grpc.credentials.createInsecure())
    this.metadata = new grpc.Metadata()
    this.metadata.set('workload.spiffe.io', 'true')
  }

  fetchX509Svid() {
    return new Promise((resolve, reject) => {
      const stream = this.client.FetchX509SVID({}, this.metadata)
      stream.once('data', (/** @type {any} */ response) => {
        stream.on('error', () => {})
        stream.cancel()
        resolve(response.svids[0])
      })
      stream.once('error', reject)
    })
  }

  /** @param {string} audience */
  fetchJwtSvid(audience) {
    return new Promise((resolve, reject) => {
      this.client.FetchJWTSVID(
        { audience: [audience] },
        this.metadata,
        (/** @type {any} */ error, /** @type {any} */ response) => (error ? reject(error) : resolve(response.svids[0]))
      )
    })
  }

  close() {
    this.client.close()
  }
}

module.exports = { GrpcClient, loadService }
