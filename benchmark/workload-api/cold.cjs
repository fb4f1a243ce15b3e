'use strict'
/** A fresh process: from `require` to the first SVID, in milliseconds. `node cold.cjs CHECKOUT ours|grpc ENDPOINT` */
const { createRequire } = require('node:module')
const path = require('node:path')

const [checkout, which, endpoint] = process.argv.slice(2)
const load = createRequire(path.join(checkout, 'package.json'))
const start = process.hrtime.bigint()
const client =
  which === 'ours'
    ? new (load('countersign').WorkloadApiClient)({ endpoint })
    : new (require('./grpc-client.cjs').GrpcClient)(endpoint)
client.fetchX509Svid().then(() => {
  console.log(Number(process.hrtime.bigint() - start) / 1e6)
  client.close()
})
