// What an ES module sees of countersign/tls and countersign/grpc. Compiled, never run.
import { bindServer, callCredentials, channelCredentials } from 'countersign/grpc'
import type { BoundServer, GrpcModule } from 'countersign/grpc'
import {
  authorize,
  bearer,
  clientOptions,
  createAgent,
  createFetch,
  createFrontServer,
  http2Connect,
  peerOf,
  requireBearer,
  secureServer,
  serverOptions,
  undiciConnect
} from 'countersign/tls'
import type { BearerHandler, Peer, Rejection, SecuredServer, ServerOptions, TlsSource } from 'countersign/tls'
import {
  BundleSet,
  CountersignError,
  JwtSource,
  JwtSvid,
  SpiffeId,
  VerifiedX509Svid,
  X509Source,
  X509Svid
} from 'countersign'
import type { DescribedAuthorizer } from 'countersign'
import type { X509Certificate } from 'node:crypto'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import tls from 'node:tls'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function same<A, B>(_: Same<A, B>): void {}

// --- sources ---
declare const svid: X509Svid
const context = { revision: 1, svid, svids: [svid], bundles: new BundleSet() }
const source: TlsSource = { context: () => context, subscribe: (listener) => () => listener({ type: 'update' }) }
const live: TlsSource = new X509Source()
// @ts-expect-error: no way to hear of changes
const half: TlsSource = { context: () => context }
const welcome = authorize.memberOf('example.org')
same<typeof welcome, DescribedAuthorizer>(true)

// --- servers ---
const options: ServerOptions = {
  minVersion: 'TLSv1.3',
  ciphers: 'HIGH',
  clients: 'optional',
  maxConnectionAge: 'svid',
  closeOnWithdraw: true,
  certificate: () => ({ cert: 'c', key: 'k' }),
  onReject: (rejection) => {
    same<typeof rejection, Rejection>(true)
  }
}
const app: http.RequestListener = (request, response) => {
  response.end(`${peerOf(request)?.spiffeId}`)
}
const servers = [
  https.createServer(serverOptions(source, welcome), app),
  https.createServer({ ...serverOptions(source, welcome, options), keepAliveTimeout: 5 }, app),
  http2.createSecureServer({ ...serverOptions(source, welcome), allowHTTP1: true }),
  tls.createServer(serverOptions(source, (id) => id.memberOf('example.org')))
]
for (const server of servers)
  same<ReturnType<typeof secureServer>, SecuredServer>(true), secureServer(server, source, welcome, options).close()
serverOptions(source, null, { clients: 'none' })
secureServer(servers[0]!, source, null, { clients: 'none' })
// @ts-expect-error: whom to let in is not optional
serverOptions(source)
// @ts-expect-error: nobody is asked only where that was said
serverOptions(source, null)
// @ts-expect-error: a promise is truthy; ask createFrontServer
secureServer(servers[0]!, source, async () => true)
// @ts-expect-error: too old
serverOptions(source, welcome, { minVersion: 'TLSv1.1' })
// @ts-expect-error: not a server with TLS
secureServer(http.createServer(), source, welcome)
// @ts-expect-error: unknown
serverOptions(source, welcome, { client: 'none' })

same<ReturnType<typeof createFrontServer>, tls.Server>(true)
createFrontServer(
  http.createServer(app),
  source,
  async (id, peer) => peer.certificates.length > 0 && id.path === '/a',
  { authorizeTimeout: null }
).listen(1)
createFrontServer(
  (socket) => {
    socket.end()
  },
  source,
  welcome
)
// @ts-expect-error: true or false
createFrontServer(http.createServer(app), source, async () => 'yes')
// @ts-expect-error: a front server always asks
createFrontServer(http.createServer(app), source, welcome, { clients: 'none' })

// --- peers ---
function tell(target: http.IncomingMessage | tls.TLSSocket | http2.Http2Session | http2.Http2Stream): string {
  const peer = peerOf(target)
  same<typeof peer, Peer | undefined>(true)
  if (peer === undefined) return 'nobody'
  same<typeof peer.spiffeId, SpiffeId>(true)
  if (peer.kind === 'jwt') return (same<typeof peer.svid, JwtSvid>(true), `${peer.svid.claims['x']}`)
  same<typeof peer.svid, VerifiedX509Svid>(true)
  same<typeof peer.certificates, readonly X509Certificate[]>(true)
  // @ts-expect-error: frozen
  peer.spiffeId = SpiffeId.parse('spiffe://evil/x')
  return peer.expiresAt.toISOString()
}
function explain({ side, code, rule, error, claimedIds, remoteAddress }: Rejection): string {
  if (code === 'ERR_UNTRUSTED_SVID' && error.code === code) return error.rule
  return (
    side + (rule ?? '') + claimedIds.join() + (remoteAddress ?? '') + (CountersignError.is(error) ? error.code : '')
  )
}

// --- clients ---
const client = clientOptions(source, welcome, { certificate: 'none', onReject: explain })
tls.connect({ host: 'a', port: 1, ...client })
new https.Agent({ ...client, keepAlive: true })
http2.connect('https://a', client)
clientOptions(source, null, { servers: 'web', ca: ['pem'] })
// @ts-expect-error: everybody only where that was said
clientOptions(source, null)
// @ts-expect-error: raw options own no connections
clientOptions(source, welcome, { maxConnectionAge: 5 })
https.get('https://a', { agent: createAgent(source, welcome, { maxConnectionAge: 1000, agent: { maxSockets: 5 } }) })
undiciConnect(source, welcome, { allowH2: true }).close()
// @ts-expect-error: undici alone knows when a connection is idle
undiciConnect(source, welcome, { maxConnectionAge: 5 })
async function ask(): Promise<string> {
  const spiffeFetch = createFetch(source, authorize.id('spiffe://example.org/billing'), { maxConnectionAge: 60_000 })
  const ordinary: typeof fetch = spiffeFetch
  const response = await spiffeFetch(new URL('https://a'), { method: 'POST', body: 'x' })
  await spiffeFetch.close()
  await ordinary('https://a')
  return response.text()
}
// @ts-expect-error: a pool has many peers
createFetch(source, welcome, { maxConnectionAge: 'svid' })
http2Connect(new URL('https://a'), source, welcome, { http2: { settings: { enablePush: false } } }).close()

// --- tokens ---
declare const jwt: JwtSvid
const authorization = bearer({ fetch: async ({ audience }) => (audience === 'shop' ? jwt : jwt) }, 'shop')
async function headers(): Promise<Headers> {
  return new Headers(await authorization({ signal: AbortSignal.timeout(5) }))
}
const handler: BearerHandler = requireBearer(new BundleSet(), {
  audience: ['shop'],
  authorize: welcome,
  leeway: 0,
  onReject: explain
})
http.createServer((request, response) => handler(request, response, () => app(request, response)))
requireBearer({ validate: async () => jwt }, { audience: 'shop' })
requireBearer(new JwtSource(), { audience: 'shop' })
bearer(new JwtSource(), 'shop')
// @ts-expect-error: an audience is not optional
requireBearer(new BundleSet(), {})

// --- gRPC ---
declare const grpc: GrpcModule & {
  credentials: { createFromSecureContext(): 'channel'; createFromMetadataGenerator(): 'call' }
}
same<ReturnType<typeof channelCredentials<typeof grpc>>, 'channel'>(true)
const both: ['channel', 'call'] = [
  channelCredentials(grpc, source, welcome),
  callCredentials(grpc, { fetch: async () => jwt }, 'shop')
]
async function bind(): Promise<BoundServer> {
  const bound = await bindServer(
    grpc,
    { createConnectionInjector: () => ({}) },
    '0.0.0.0:0',
    source,
    async (id) => id.path !== '/x',
    { closeOnWithdraw: true }
  )
  return (same<typeof bound.port, number | undefined>(true), bound)
}
// @ts-expect-error: not the module
channelCredentials({}, source, welcome)

export { live, ask, bind, both, explain, half, headers, tell }
