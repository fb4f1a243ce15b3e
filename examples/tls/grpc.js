'use strict'
// gRPC between services that authenticate each other.
//   npm install @grpc/grpc-js
//   SPIFFE_ENDPOINT_SOCKET=unix:/run/spire/agent.sock node grpc.js
const grpc = require('@grpc/grpc-js')
const { X509Source } = require('countersign')
const { authorize, bindServer, channelCredentials, peerOf } = require('countersign/grpc')

// A service definition as a generator would write it, with strings for messages.
const text = { serialize: (value) => Buffer.from(value), deserialize: (bytes) => bytes.toString() }
const Greeter = grpc.makeGenericClientConstructor(
  {
    greet: {
      path: '/example.Greeter/Greet',
      requestStream: false,
      responseStream: false,
      requestSerialize: text.serialize,
      requestDeserialize: text.deserialize,
      responseSerialize: text.serialize,
      responseDeserialize: text.deserialize
    }
  },
  'Greeter'
)

async function main() {
  const source = await X509Source.open({ timeout: 5000 })
  const { spiffeId } = source.svid()

  const server = new grpc.Server()
  server.addService(Greeter.service, {
    greet: (call, callback) => callback(null, `hello ${call.request}, said ${peerOf(call).spiffeId}`)
  })
  // Instead of server.bindAsync. The authorizer may query a database.
  const bound = await bindServer(grpc, server, '127.0.0.1:0', source, async (id) => id.equals(spiffeId))

  const client = new Greeter(`localhost:${bound.port}`, channelCredentials(grpc, source, authorize.id(spiffeId)))
  const answer = await new Promise((resolve, reject) =>
    client.greet('world', (error, answer) => (error ? reject(error) : resolve(answer)))
  )
  console.log(`client: ${answer}`)

  const wary = new Greeter(
    `localhost:${bound.port}`,
    channelCredentials(grpc, source, authorize.id('spiffe://example.org/somebody-else'))
  )
  await new Promise((resolve) =>
    wary.greet('world', (error) => {
      console.log(`client: ${error.details}`)
      resolve()
    })
  )

  client.close()
  wary.close()
  await bound.close()
  source.close()
}

main().catch((error) => {
  console.log(`${error.code}: ${error.message}`)
  process.exit(1)
})
