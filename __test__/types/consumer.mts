// What an ES module sees of the package. Compiled, never run.
import * as face from 'countersign'
import {
  authorizePeer,
  connectVerified,
  CountersignError,
  DEFAULT_SOCKET_PATH,
  getIdentity,
  getIdentitySync,
  getPeerCredentials,
  getPeerProcess,
  Identity,
  IdentityClient,
  Runner
} from 'countersign'
import type {
  ConnectVerifiedOptions,
  CountersignErrorCode,
  CountersignErrorOf,
  GetIdentityOptions,
  GetIdentitySyncOptions,
  IdentityClientOptions,
  PeerCredentials,
  PeerDenial,
  PeerPolicies,
  PeerPolicy,
  PeerProcess,
  PeerTarget,
  RunnerContext
} from 'countersign'
import type { IncomingMessage } from 'node:http'
import type { Server, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function same<A, B>(_: Same<A, B>): void {}

// --- who am I ---
same<typeof DEFAULT_SOCKET_PATH, '/var/run/whoami.sock'>(true)
const me = await getIdentity()
same<typeof me, Identity>(true)
same<typeof me.token, string>(true)
same<typeof me.runner, Runner>(true)
same<typeof me.runner.uid, number | undefined>(true)
same<typeof me.runner.instanceId, number | bigint | undefined>(true)
same<ReturnType<typeof getIdentitySync>, Identity>(true)
same<ReturnType<Runner['toWire']>, string>(true)

const clientOptions: IdentityClientOptions = {
  socketPath: '/run/a.sock',
  timeout: null,
  expectServer: { uid: 0 },
  verifySelf: true,
  retry: true
}
const runner: RunnerContext = {
  instanceId: 2n ** 64n - 1n,
  timestamp: new Date(),
  extra: { zone: 'b', nested: [1, { k: null }] }
}
const callOptions: GetIdentityOptions = { runner, signal: AbortSignal.timeout(5), timeout: 100 }
const syncOptions: GetIdentitySyncOptions = { runner, timeout: 100 }
const client = new IdentityClient(clientOptions)
same<typeof client.timeout, number | null>(true)
same<Awaited<ReturnType<typeof client.getIdentity>>, Identity>(true)
await client.getIdentity(callOptions)
client.getIdentitySync(syncOptions)
await getIdentity({ ...clientOptions, ...callOptions })

// @ts-expect-error: a blocking call cannot be aborted
getIdentitySync({ signal: AbortSignal.timeout(5) })
// @ts-expect-error: milliseconds, not text
await getIdentity({ timeout: '5s' })
// @ts-expect-error: a misspelt option
await getIdentity({ socketpath: '/run/a.sock' })
// @ts-expect-error: the wire's name, not ours
await getIdentity({ runner: { instance_id: 1 } })
// @ts-expect-error: identities come from a daemon only
new Identity()
// @ts-expect-error: frozen
me.identity = 'ROOT'
// @ts-expect-error: frozen
me.runner.uid = 0
// @ts-expect-error: a uid that was not told must be looked at
const uid: number = getIdentitySync().runner.uid

// --- who are you ---
declare const socket: Socket
declare const secure: TLSSocket
declare const request: IncomingMessage
declare const server: Server
const targets: PeerTarget[] = [socket, secure, request.socket, 3]
same<ReturnType<typeof getPeerCredentials>, PeerCredentials>(true)
same<ReturnType<typeof getPeerProcess>, PeerProcess>(true)
same<ReturnType<typeof authorizePeer>, PeerProcess>(true)
same<PeerProcess['startTime'], Date | undefined>(true)
same<PeerCredentials['groups'], readonly number[] | undefined>(true)
for (const target of targets) getPeerProcess(target, { sha256: true })

const policy: PeerPolicy = {
  uid: 0,
  gid: 0,
  group: 'adm',
  exe: '/usr/lib/acme/*',
  exeSha256: '00',
  process: 'acmed',
  pid: 1,
  cgroup: '/a/*',
  unit: 'acmed.service',
  allowSpoofable: false
}
const policies: PeerPolicies[] = [
  policy,
  [policy, { group: 4 }] as const,
  (peer) => peer.uid === 0 && peer.exe === '/usr/bin/acmed'
]
for (const each of policies) authorizePeer(socket, each)
const connectOptions: ConnectVerifiedOptions = { signal: AbortSignal.timeout(5), timeout: null, allowHalfOpen: true }
same<Awaited<ReturnType<typeof connectVerified>>, Socket>(true)
await connectVerified('/run/acme.sock', policy, connectOptions)

// @ts-expect-error: a typo must never widen access
authorizePeer(socket, { uids: 0 })
// @ts-expect-error: a promise is truthy
authorizePeer(socket, async (peer) => peer.uid === 0)
// @ts-expect-error: a policy is not optional
await connectVerified('/run/acme.sock')
// @ts-expect-error: pass request.socket
getPeerCredentials(request)
// @ts-expect-error: a server has no peer
getPeerCredentials(server)

// --- what can go wrong ---
function explain(error: unknown): string {
  if (!CountersignError.is(error)) return 'not ours'
  same<typeof error, CountersignError>(true)
  same<typeof error.code, CountersignErrorCode>(true)
  same<typeof error.name, 'CountersignError'>(true)
  const asError: Error = error
  // @ts-expect-error: only an answer of the daemon has it
  error.daemonCode
  switch (error.code) {
    case 'ERR_DAEMON':
      return error.daemonCode + error.daemonMessage
    case 'ERR_SOCKET_NOT_FOUND':
      return error.path ?? error.endpoint ?? ''
    case 'ERR_CONNECTION_FAILED':
      return (error.path ?? '') + (error.syscallError ?? '') + (error.errno ?? 0)
    case 'ERR_READ':
    case 'ERR_WRITE':
    case 'ERR_PEER_UNREADABLE':
      return String(error.syscallError)
    case 'ERR_MISSING_FIELD':
      return error.field
    case 'ERR_TIMEOUT':
      return (error.timeout / 1000).toFixed(1)
    case 'ERR_UNTRUSTED_SERVER':
      return `${error.path} ${error.field ?? ''} ${error.peer?.pid ?? ''}`
    case 'ERR_PEER_DENIED': {
      same<typeof error.denials, readonly PeerDenial[] | undefined>(true)
      return error.field + (error.peer.uid ?? '')
    }
    case 'ERR_IDENTITY_MISMATCH':
      return (same<typeof error.field, 'pid' | 'uid' | 'gid'>(true), error.field)
    case 'ERR_INVALID_SPIFFE_ID':
    case 'ERR_INVALID_TRUST_DOMAIN':
      return error.reason
    case 'ERR_INVALID_SVID':
    case 'ERR_INVALID_BUNDLE':
    case 'ERR_UNTRUSTED_SVID':
    case 'ERR_INVALID_TOKEN':
      return error.rule
    case 'ERR_INVALID_ENDPOINT':
    case 'ERR_INVALID_RESPONSE':
      return error.rule
    case 'ERR_WORKLOAD_API':
      return error.grpcCode
    case 'ERR_NO_IDENTITY':
    case 'ERR_IDENTITY_WITHDRAWN':
    case 'ERR_SOURCE_NOT_READY':
    case 'ERR_SVID_EXPIRED':
      return String(error.state)
    case 'ERR_SVID_NOT_FOUND':
      return error.offered.join()
    case 'ERR_BUNDLE_NOT_FOUND':
      return error.trustDomain
    case 'ERR_NOT_AUTHENTICATED':
    case 'ERR_INVALID_COMPONENT':
    case 'ERR_INVALID_ID':
      return error.reason
    case 'ERR_INVALID_PRINCIPAL':
      return error.rule + (error.member ?? '')
    case 'ERR_KEYS_UNAVAILABLE':
      return error.url
    case 'ERR_PRINCIPAL_DENIED':
      return error.actual
    case 'ERR_EMPTY_REPLY':
    case 'ERR_INVALID_LOG':
      return error.path
    case 'ERR_SOURCE_FAILED':
    case 'ERR_NO_PRINCIPAL':
      return asError.message
    case 'ERR_INVALID_ARGUMENT':
    case 'ERR_INVALID_JSON':
    case 'ERR_RESPONSE_TOO_LARGE':
    case 'ERR_PEER_GONE':
    case 'ERR_NOT_A_UNIX_SOCKET':
    case 'ERR_CLOSED':
    case 'ERR_UNSUPPORTED_PLATFORM':
    case 'ERR_NATIVE_UNAVAILABLE':
      return asError.message
    default: {
      // Every code has been looked at.
      const never: never = error
      return never
    }
  }
}
function narrow(error: unknown): void {
  if (error instanceof CountersignError && error.code === 'ERR_DAEMON') same<typeof error.daemonCode, string>(true)
  // @ts-expect-error: no such code
  if (CountersignError.is(error) && error.code === 'ERR_NO_SUCH_CODE') explain(error)
}
const refused: CountersignErrorOf<'ERR_DAEMON'> | undefined = undefined
// @ts-expect-error: errors are made by the package only
new CountersignError('ERR_DAEMON', 'made up')
export { explain, face, narrow, refused, uid }
