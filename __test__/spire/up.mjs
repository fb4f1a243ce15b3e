// scripts/spire up: SPIRE on this machine for as long as you like, to try things out.
import { startSpire } from './harness.mjs'

const spire = await startSpire({ x509SvidTtl: 120 })
for (const [domain, other] of [
  [spire.local, spire.foreign],
  [spire.foreign, spire.local]
]) {
  await domain.createEntry({ spiffeId: `spiffe://${domain.name}/me`, federatesWith: [other.name] })
  console.log(`spiffe://${domain.name}/me\n  export SPIFFE_ENDPOINT_SOCKET=${domain.endpoint}`)
}
console.log(`\nPrograms of user ${process.getuid?.()} have these identities, renewed every minute. More entries:
  ${spire.directory}/bin/spire-server entry create -socketPath ${spire.directory}/local/server.sock \\
    -parentID ${spire.local.node} -spiffeID spiffe://${spire.local.name}/billing -selector unix:uid:1001
Ctrl-C ends it all.`)
const done = () => spire.stop().then(() => process.exit())
process.on('SIGINT', done).on('SIGTERM', done)
setInterval(() => {}, 1 << 30)
