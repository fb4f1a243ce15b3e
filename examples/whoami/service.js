'use strict'
// A service that learns who it is, and then who listens at the socket it asked.
//   WHOAMI_SOCKET=... EXPECT_EXE=... node service.js
const { getIdentity } = require('countersign')

async function main() {
  const me = await getIdentity({
    // The daemon must be the one we know, or not a byte is sent.
    expectServer: { uid: process.getuid(), exe: process.env.EXPECT_EXE },
    runner: { instanceId: 42n, timestamp: new Date(), extra: { zone: 'eu-1' } }
  })
  console.log(`I am ${me.identity}`)
  console.log(me)
  console.log(`for a config server: ${JSON.stringify(me.runner)}`)
}

main().catch((error) => {
  console.log(`${error.code}${error.daemonCode ? ` (${error.daemonCode})` : ''}: ${error.message}`)
  process.exitCode = 1
})
