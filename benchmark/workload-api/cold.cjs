'use strict'
/** A fresh process: from `require` to the first SVID, in milliseconds. `node cold.cjs ours|grpc ENDPOINT` */
const [which, endpoint] = process.argv.slice(2)
const start = process.hrtime.bigint()
const client =
  which === 'ours'
    ? new (require('../..').WorkloadApiClient)({ endpoint })
    : new (require('./grpc-client.cjs').GrpcClient)(endpoint)
client.fetchX509Svid().then(() => {
  console.log(Number(process.hrtime.bigint() - start) / 1e6)
  client.close()
})
