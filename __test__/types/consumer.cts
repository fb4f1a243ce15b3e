// What a CommonJS module sees of the package. Compiled, never run.
import countersign = require('countersign')

async function main(): Promise<string> {
  const me: countersign.Identity = await countersign.getIdentity({ retry: true, runner: { instanceId: 1 } })
  const same: countersign.Identity = countersign.getIdentitySync()
  const peer: countersign.PeerProcess = countersign.authorizePeer(0, (it) => it.uid === 0)
  // @ts-expect-error: the token is read, never written
  me.token = 'x'
  try {
    await new countersign.IdentityClient().getIdentity()
  } catch (error) {
    if (countersign.CountersignError.is(error) && error.code === 'ERR_DAEMON') return error.daemonCode
  }
  return me.identity + same.runner.toWire() + peer.exe
}

export = main
