'use strict'
// A service that verifies the daemon at the whoami socket, and then learns its own identity.
//   WHOAMI_SOCKET=... EXPECT_EXE=... node service.js
const { getIdentity } = require('countersign')

async function main() {
  const me = await getIdentity({
    // The daemon must match this policy before the client sends a byte.
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
