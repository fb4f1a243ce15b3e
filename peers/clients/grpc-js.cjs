'use strict'
/**
 * node grpc-js.cjs MODULES ENDPOINT: a workload on @grpc/grpc-js, as people write it by hand. Prints one line for each
 * thing it is told: `jwt ID`, `svid ID SERIAL`, `denied`. Ends with its standard input.
 */
const { X509Certificate } = require('node:crypto')
const path = require('node:path')
const [modules, endpoint] = process.argv.slice(2)
const grpc = require(path.join(modules, '@grpc/grpc-js'))
const loader = require(path.join(modules, '@grpc/proto-loader'))

const { SpiffeWorkloadAPI } = grpc.loadPackageDefinition(
  loader.loadSync(path.join(__dirname, 'workload.proto'), { keepCase: true })
)
const client = new SpiffeWorkloadAPI(endpoint, grpc.credentials.createInsecure())
const metadata = new grpc.Metadata()
metadata.set('workload.spiffe.io', 'true')

client.FetchJWTSVID({ audience: ['shop'] }, metadata, (error, response) => {
  if (error) throw error
  const [{ spiffe_id: id, svid }] = response.svids
  client.ValidateJWTSVID({ audience: 'shop', svid }, metadata, (error, judged) => {
    if (error) throw error
    if (judged.spiffe_id !== id || judged.claims.fields.aud.listValue.values[0].stringValue !== 'shop')
      throw new Error('the agent judges otherwise')
    client.ValidateJWTSVID({ audience: 'shop', svid: `${svid}A` }, metadata, (error) => {
      if (error?.code !== grpc.status.INVALID_ARGUMENT) throw new Error('a forged token is taken')
      console.log(`jwt ${id}`)
      watch()
    })
  })
})

function watch() {
  const stream = client.FetchX509SVID({}, metadata)
  stream.on('data', ({ svids: [{ spiffe_id: id, x509_svid: der }] }) =>
    console.log(`svid ${id} ${new X509Certificate(der).serialNumber}`)
  )
  stream.on('error', (error) => {
    if (error.code === grpc.status.PERMISSION_DENIED) console.log('denied')
    setTimeout(watch, 50)
  })
}
process.stdin.resume().on('end', () => process.exit())
