/**
 * `countersign/tls`: TLS whose both ends prove who they are with SPIFFE identities, which rotate while connections go
 * on.
 *
 * A server takes three lines, a client one:
 *
 * ```js
 * const server = https.createServer(serverOptions(source, authorize.memberOf('example.org')), app)
 * secureServer(server, source, authorize.memberOf('example.org'))
 * server.listen(8443)
 *
 * const fetch = createFetch(source, authorize.id('spiffe://example.org/billing'))
 * ```
 *
 * What holds everywhere:
 * - A peer is verified with the bundle of the trust domain in its own name, in native code, over the bytes of its
 *   certificates (SPIFFE X.509-SVID 5). The verification by node:tls comes before that.
 * - Sessions are not resumed: a resumed session shows no certificate, so no peer could be verified.
 * - A source without a usable identity (not there yet, withdrawn, expired) accepts and makes no connection, and says
 *   why.
 * - New handshakes take what the source holds at that moment. Connections that are open go on, unless asked otherwise.
 * - TLS 1.2 and 1.3, no renegotiation. `NODE_TLS_REJECT_UNAUTHORIZED=0` and `NODE_EXTRA_CA_CERTS` change nothing.
 */
import type { Agent, AgentOptions as HttpsAgentOptions } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ClientHttp2Session, SecureClientSessionOptions } from 'node:http2'
import type { X509Certificate } from 'node:crypto'
import type {
  DetailedPeerCertificate,
  PeerCertificate,
  SecureContext,
  SecureVersion,
  Server as TlsServer,
  TLSSocket
} from 'node:tls'
import type {
  Authorizer,
  BundleSet,
  CountersignError,
  CountersignErrorCode,
  JwtBundle,
  JwtSvid,
  SpiffeBundle,
  SpiffeId,
  VerifiedX509Svid,
  X509Svid
} from '../index.js'
import type { Principal } from './principal.js'

export { authorize } from '../index.js'
export type { Authorizer, DescribedAuthorizer } from '../index.js'

// ---------------------------------------------------------------------------------------------------------------------
// Sources

/** What a source holds at one moment. A new object whenever anything in it changes, the same one until then. */
export interface TlsSourceContext {
  /** The own identity. */
  readonly svid: X509Svid
  /** Who vouches for peers, by trust domain. */
  readonly bundles: BundleSet
}

/**
 * Where the own identity and the bundles come from: an `X509Source`, or anything of this shape.
 *
 * @example
 * // An identity that never changes.
 * const context = Object.freeze({ svid: X509Svid.load('svid.pem', 'key.pem'), bundles: new BundleSet([bundle]) })
 * const source = { context: () => context, subscribe: () => () => {} }
 */
export interface TlsSource {
  /** What it holds now. Throws when there is no identity that may be used. Called for each handshake. */
  context(): TlsSourceContext
  /** Calls the listener after every change, until the function it returns is called. */
  subscribe(listener: (event: { readonly type: string }) => void): () => void
}

// ---------------------------------------------------------------------------------------------------------------------
// Peers

/** Who is at the other end of a connection: proven by certificates. Frozen. */
export interface X509Peer {
  readonly kind: 'x509'
  /** The name. */
  readonly spiffeId: SpiffeId
  /** Last second of the SVID's validity. The connection does not end with it, unless `maxConnectionAge` is `'svid'`. */
  readonly expiresAt: Date
  /** The verified SVID. */
  readonly svid: VerifiedX509Svid
  /** The leaf, and the certificates sent with it as far as they were needed. */
  readonly certificates: readonly X509Certificate[]
  /** What `options.principal` makes of it, made once, when it is looked at. `undefined` without that option. */
  readonly principal: Principal | undefined
}

/** Who is behind a request: proven by a token that {@link requireBearer} accepted. Frozen. */
export interface JwtPeer {
  readonly kind: 'jwt'
  /** The name. */
  readonly spiffeId: SpiffeId
  /** When the token expires. */
  readonly expiresAt: Date
  /** The verified SVID. Its `token` is secret. */
  readonly svid: JwtSvid
  readonly certificates: undefined
  /** What `options.principal` of {@link requireBearer} makes of it. `undefined` without that option. */
  readonly principal: Principal | undefined
}

/** A peer with a verified and authorized name. */
export type Peer = X509Peer | JwtPeer

/**
 * Who is at the other end of a socket, a request, an HTTP/2 session or stream; of a request that {@link requireBearer}
 * let through, the peer behind it. `undefined`: no peer was asked for or verified.
 *
 * It takes a `TLSSocket`; requests and responses of node:http, node:http2, Express and Fastify; `Http2Session` and
 * `Http2Stream`. Sockets of servers that {@link secureServer} secured have a peer, and so have those of clients with
 * {@link clientOptions} and everything made of it.
 *
 * @example
 * const app = (req, res) => res.end(`hello ${peerOf(req).spiffeId}`)
 *
 * @throws {@link CountersignError} `ERR_INVALID_ARGUMENT` when the target is no object
 */
export function peerOf(target: object): Peer | undefined

/**
 * Makes the principal of a peer whose name is proven: a SPIFFE ID alone does not say which tenant it works for. It is
 * asked when `peer.principal` is first looked at, and what it throws is thrown there; so is `ERR_INVALID_ARGUMENT` when
 * it returns anything else, such as a promise. A tenant that must be looked up is for `requirePrincipal` of
 * `countersign/principal`.
 *
 * @example
 * const principal = (id) => principalOf(id, { issuer: Issuer.mtls, tenantId: ACME })
 * secureServer(server, source, authorize.memberOf('example.org'), { principal })
 * app.get('/', (req, res) => res.json(peerOf(req).principal))
 */
export type MakePrincipal = (spiffeId: SpiffeId, peer: Peer) => Principal

/** A peer that was refused. Frozen; also the message of the diagnostics channel `countersign:tls.reject`. */
export interface Rejection {
  /** Which side we are: a `server` refused a client. */
  readonly side: 'server' | 'client'
  /** What it was refused with: `ERR_UNTRUSTED_SVID`, `ERR_INVALID_TOKEN`, or what the source failed with. */
  readonly code: CountersignErrorCode
  /**
   * The rule that was broken: those of `verifyX509Svid` and `verifyJwtSvid`, and `no_certificate`, `session_reused`,
   * `tls_verification` (node:tls refused a chain that keeps all our rules), `authorizer_timeout`, `missing_token`,
   * `malformed_request`.
   */
  readonly rule: string | undefined
  /** The whole story. */
  readonly error: CountersignError
  /** The names the peer claimed: unverified, chosen by a stranger. Mind how you print them. */
  readonly claimedIds: readonly string[]
  /** Where it came from, or was looked for; `undefined` when the connection is gone or not ours. */
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
}

/** Hears of every peer that is refused. What it throws becomes a warning of the process. */
export type OnReject = (rejection: Rejection) => void

// ---------------------------------------------------------------------------------------------------------------------
// Common options

/** What can be said about TLS itself. */
export interface TlsSettings {
  /** The oldest version. Default `'TLSv1.2'`. */
  minVersion?: Extract<SecureVersion, 'TLSv1.2' | 'TLSv1.3'>
  /** The newest version. Default: the newest there is. */
  maxVersion?: Extract<SecureVersion, 'TLSv1.2' | 'TLSv1.3'>
  /** As in `tls.createSecureContext`. */
  ciphers?: string
  /** As in `tls.createSecureContext`. */
  sigalgs?: string
  /** As in `tls.createSecureContext`. */
  ecdhCurve?: string
}

/** How long connections that were let in may stay. By default, until one side ends them. */
export interface Lifetimes {
  /**
   * Milliseconds after which a connection is ended gently: HTTP/2 sessions are closed, an HTTP/1 connection takes one
   * more request within 10 s, anything else is half-closed and ended after 10 s. Up to a tenth earlier, so that not all
   * connections go at once. `'svid'`: when the SVID of the peer expires.
   */
  maxConnectionAge?: number | 'svid'
  /** End all connections at once when the own identity is withdrawn. Default `false`. */
  closeOnWithdraw?: boolean
  /**
   * Verify the chains of open connections again when the bundles change, and end those that fail;
   * `onReject` is called for them. Default `false`.
   */
  closeOnBundleRemoval?: boolean
}

// ---------------------------------------------------------------------------------------------------------------------
// Servers

/** A certificate and its key as PEM. */
export interface CertificatePem {
  cert: string | Buffer
  key: string | Buffer
}

/** How a server is secured. {@link serverOptions} and {@link secureServer} take the same. */
export interface ServerOptions extends TlsSettings, Lifetimes {
  /**
   * Whom the server asks for a certificate.
   * - `'required'` (default): every client must show a certificate.
   * - `'optional'`: a certificate must be verified and authorized; clients without one are accepted, and `peerOf` says
   *   `undefined`. For browsers beside workloads, or mTLS beside {@link requireBearer}.
   * - `'none'`: only the server proves who it is; `authorize` is `null`.
   */
  clients?: 'required' | 'optional' | 'none'
  /**
   * Show this certificate instead of the SVID: one of the Web PKI, for clients that know the server by its host name. A
   * function is asked again with every rotation of the source.
   */
  certificate?: CertificatePem | (() => CertificatePem)
  /** Hears of every client that is refused. */
  onReject?: OnReject
  /** What `peerOf(...).principal` is. */
  principal?: MakePrincipal
}

/** What {@link serverOptions} returns. It holds no secret. */
export interface ServerTlsOptions {
  requestCert: boolean
  rejectUnauthorized: boolean
  secureOptions: number
  ca: string[]
  minVersion?: SecureVersion
  maxVersion?: SecureVersion
  ciphers?: string
  sigalgs?: string
  ecdhCurve?: string
}

/**
 * The options to make a server with: `https.createServer`, `http2.createSecureServer`, `tls.createServer`, Fastify's
 * `https`. These options reject every client until {@link secureServer} installs the real context, so
 * that a server which was never secured accepts no client.
 *
 * @example
 * const app = fastify({ http2: true, https: serverOptions(source, authorize.memberOf('example.org')) })
 * secureServer(app.server, source, authorize.memberOf('example.org'))
 *
 * @throws {@link CountersignError} `ERR_INVALID_ARGUMENT`
 */
export function serverOptions(source: TlsSource, authorize: Authorizer, options?: ServerOptions): ServerTlsOptions
export function serverOptions(
  source: TlsSource,
  authorize: null,
  options: ServerOptions & { clients: 'none' }
): ServerTlsOptions

/** What keeps a server secured. */
export interface SecuredServer extends Disposable {
  /** Open connections that something may end: 0 unless one of {@link Lifetimes} is used. */
  readonly connections: number
  /**
   * Accept no new connection, and follow the source no longer. Connections that are open go on. Closing the server is
   * up to you, and makes this unnecessary.
   */
  close(): void
}

/**
 * Take over a server that was made with {@link serverOptions}: certificate, rotation, and the verification of every
 * client before a byte of application data reaches a handler. Before or after `listen`.
 *
 * The authorizer decides at once. An asynchronous one needs {@link createFrontServer}.
 *
 * @example
 * const server = https.createServer(serverOptions(source, authorize.memberOf('example.org')), app)
 * const onReject = (one) => log.warn(one.rule, one.claimedIds)
 * secureServer(server, source, authorize.memberOf('example.org'), { onReject })
 * server.listen(8443)
 *
 * @throws {@link CountersignError} `ERR_INVALID_ARGUMENT`: not such a server, made with other options, or secured
 *   already
 */
export function secureServer(
  server: TlsServer,
  source: TlsSource,
  authorize: Authorizer,
  options?: ServerOptions
): SecuredServer
export function secureServer(
  server: TlsServer,
  source: TlsSource,
  authorize: null,
  options: ServerOptions & { clients: 'none' }
): SecuredServer

/** Decides, possibly asynchronously, whether a verified name is authorized. Everything but `true` refuses. */
export type AsyncAuthorizer = (id: SpiffeId, peer: X509Peer) => boolean | Promise<boolean>

/**
 * Takes connections that were let in: a server without TLS of its own, a connection injector of grpc-js, a function.
 */
export type FrontTarget =
  | import('node:net').Server
  | { injectConnection(connection: import('node:stream').Duplex): void }
  | ((socket: TLSSocket) => void)

/** How a front server is made. */
export interface FrontServerOptions extends Omit<ServerOptions, 'clients'> {
  /** Milliseconds for the authorizer; `null`: as long as it likes. Default 5000. */
  authorizeTimeout?: number | null
  /** Protocols to agree on. Default: those of the target. */
  ALPNProtocols?: string[]
}

/**
 * A TLS server in front of another one, for asynchronous authorizers: a connection is handed on when the
 * answer is there, and what the client sends meanwhile waits. Call `listen` and `close` on what it returns.
 *
 * @example
 * const app = http.createServer((req, res) => res.end(`hello ${peerOf(req).spiffeId}`))
 * createFrontServer(app, source, async (id) => (await db.lookUp(`${id}`)).active).listen(8443)
 *
 * @throws {@link CountersignError} `ERR_INVALID_ARGUMENT`
 */
export function createFrontServer(
  target: FrontTarget,
  source: TlsSource,
  authorize: AsyncAuthorizer,
  options?: FrontServerOptions
): TlsServer

// ---------------------------------------------------------------------------------------------------------------------
// Clients

/** How a client proves who it is, and whom it trusts. */
export interface ClientOptions extends TlsSettings {
  /** `'svid'` (default): show the own identity when asked. `'none'`: only the server proves who it is. */
  certificate?: 'svid' | 'none'
  /**
   * `'spiffe'` (default): the server proves a SPIFFE ID. `'web'`: it is known by its host name (Web PKI), and only this
   * side has a SPIFFE ID; `authorize` is `null`.
   */
  servers?: 'spiffe' | 'web'
  /** With `servers: 'web'`: the roots, as PEM. Default: those of the runtime. */
  ca?: string | Buffer | ReadonlyArray<string | Buffer>
  /** Hears of every server that is refused. */
  onReject?: OnReject
  /** What `peerOf(...).principal` is. */
  principal?: MakePrincipal
}

/** Options for a server that is known by its host name. */
export type WebClientOptions<Options> = Options & { servers: 'web' }

/** What {@link clientOptions} returns. Nothing in it needs to be replaced when the source rotates. */
export interface ClientTlsOptions {
  readonly secureContext: SecureContext
  readonly rejectUnauthorized: true
  readonly maxCachedSessions: 0
  readonly checkServerIdentity?: (
    host: string,
    certificate: PeerCertificate | DetailedPeerCertificate
  ) => Error | undefined
}

/**
 * Options for whatever hands them to `tls.connect`: node:tls, `https.Agent`, undici, ws, pg, ioredis, node-redis,
 * kafkajs, mqtt, nats, mongodb. Made once; every new connection shows the newest identity and verifies with the newest
 * bundles.
 *
 * The error of a server that is refused is an `ERR_UNTRUSTED_SVID` with its `rule`; or one of node:tls when no
 * authority of the server's trust domain vouches for it at all.
 *
 * @example
 * const ssl = clientOptions(source, authorize.id('spiffe://example.org/db'))
 * const pool = new pg.Pool({ host: 'db.internal', ssl })
 *
 * @throws {@link CountersignError} `ERR_INVALID_ARGUMENT`
 */
export function clientOptions(source: TlsSource, authorize: Authorizer, options?: ClientOptions): ClientTlsOptions
export function clientOptions(
  source: TlsSource,
  authorize: null,
  options: WebClientOptions<ClientOptions>
): ClientTlsOptions

/** How an agent is made. */
export interface AgentOptions extends ClientOptions, Lifetimes {
  /** For `https.Agent`. `keepAlive` is `true` unless told. */
  agent?: HttpsAgentOptions
}

/**
 * An agent for node:https, axios, got and everything else that takes one. TLS options of single requests change nothing
 * of what it checks.
 *
 * @example
 * const agent = createAgent(source, authorize.id('spiffe://example.org/billing'))
 * https.get('https://billing.internal:8443/', { agent }, onResponse)
 *
 * @throws {@link CountersignError} `ERR_INVALID_ARGUMENT`
 */
export function createAgent(source: TlsSource, authorize: Authorizer, options?: AgentOptions): Agent
export function createAgent(source: TlsSource, authorize: null, options: WebClientOptions<AgentOptions>): Agent

/** How connections for undici are made. */
export interface UndiciConnectOptions extends ClientOptions, Omit<Lifetimes, 'maxConnectionAge'> {
  /** Milliseconds for one connection; `null`: as long as it takes. Default 10000. */
  connectTimeout?: number | null
  /** Offer HTTP/2 as well; say the same to undici. Default `false`. */
  allowH2?: boolean
}

/** The `connect` option of undici. */
export interface UndiciConnect {
  (options: any, callback: (...args: any[]) => void): any
  /** Follow the source no longer: needed only with `closeOnWithdraw` or `closeOnBundleRemoval`. */
  close(): void
}

/**
 * The `connect` option of an Agent, Pool or Client of undici 6, 7 or 8. It refuses `http:` URLs.
 *
 * @example
 * const dispatcher = new undici.Agent({ connect: undiciConnect(source, authorize.memberOf('example.org')) })
 *
 * @throws {@link CountersignError} `ERR_INVALID_ARGUMENT`
 */
export function undiciConnect(source: TlsSource, authorize: Authorizer, options?: UndiciConnectOptions): UndiciConnect
export function undiciConnect(
  source: TlsSource,
  authorize: null,
  options: WebClientOptions<UndiciConnectOptions>
): UndiciConnect

/** How {@link createFetch} makes its connections. */
export interface FetchOptions extends ClientOptions, Omit<Lifetimes, 'maxConnectionAge'> {
  /** Milliseconds for one connection; `null`: as long as it takes. Default 10000. */
  connectTimeout?: number | null
  /** Milliseconds after which connections get no further requests. */
  maxConnectionAge?: number
  /** The module undici, to use its `fetch` and `Agent` instead of those of the host. */
  undici?: { fetch: (...args: any[]) => Promise<any>; Agent: new (options: any) => any }
}

/** A `fetch` with an identity. */
export interface SpiffeFetch extends AsyncDisposable {
  (input: string | URL | Request, init?: RequestInit): Promise<Response>
  /** Finish the requests that are in flight, and close all connections. */
  close(): Promise<void>
}

/**
 * The host's own `fetch`, with an identity: same arguments, same answers. It needs no package on Node.js 20 to 26;
 * where the host's fetch is not undici's (Bun, Deno), it fails with `ERR_UNSUPPORTED_PLATFORM` unless `undici` is
 * passed. It refuses `http:` URLs, also in redirects. A failure is the `TypeError` of fetch with the reason as its
 * `cause`.
 *
 * @example
 * const fetch = createFetch(source, authorize.id('spiffe://example.org/billing'))
 * const answer = await (await fetch('https://billing.internal:8443/invoices')).json()
 *
 * @throws {@link CountersignError} `ERR_INVALID_ARGUMENT`
 */
export function createFetch(source: TlsSource, authorize: Authorizer, options?: FetchOptions): SpiffeFetch
export function createFetch(source: TlsSource, authorize: null, options: WebClientOptions<FetchOptions>): SpiffeFetch

/** How {@link http2Connect} makes its session. */
export interface Http2ConnectOptions extends ClientOptions, Lifetimes {
  /** For `http2.connect`. */
  http2?: Omit<SecureClientSessionOptions, 'createConnection'>
}

/**
 * `http2.connect` with an identity. A session keeps the identity it was made with: make a new one and `close()` the old
 * one to go on with another.
 *
 * @example
 * const session = http2Connect('https://billing.internal:8443', source, authorize.id('spiffe://example.org/billing'))
 * session.once('connect', () => console.log(`${peerOf(session).spiffeId}`))
 *
 * @throws {@link CountersignError} `ERR_INVALID_ARGUMENT`
 */
export function http2Connect(
  authority: string | URL,
  source: TlsSource,
  authorize: Authorizer,
  options?: Http2ConnectOptions
): ClientHttp2Session
export function http2Connect(
  authority: string | URL,
  source: TlsSource,
  authorize: null,
  options: WebClientOptions<Http2ConnectOptions>
): ClientHttp2Session

// ---------------------------------------------------------------------------------------------------------------------
// Tokens over HTTP

/** Where JWT-SVIDs come from: a `JwtSource`, or anything of this shape. It is expected to keep them. */
export interface BearerSource {
  fetch(options: { audience: string; signal?: AbortSignal }): Promise<JwtSvid>
}

/**
 * Headers that prove who is asking with a JWT-SVID (JWT-SVID 4.1). The server must be known by other means: a token
 * that is sent to an impostor is the impostor's.
 *
 * @example
 * const authorization = bearer(jwtSource, 'spiffe://example.org/billing')
 * await fetch('https://billing.internal/', { headers: { ...await authorization() } })
 *
 * @throws {@link CountersignError} `ERR_INVALID_ARGUMENT`; later, what the source fails with
 */
export function bearer(
  source: BearerSource,
  audience: string
): (options?: { signal?: AbortSignal }) => Promise<{ authorization: string }>

/** Whom {@link requireBearer} lets in. */
export interface RequireBearerOptions {
  /** The names this server answers to: a token must be meant for one of them. */
  audience: string | readonly string[]
  /** Which verified names are authorized. Default: every one. */
  authorize?: Authorizer
  /** How much clocks may differ, milliseconds: 0 to 120000. Default 5000. */
  leeway?: number
  /** Hears of every request that is refused. Tokens are never told. */
  onReject?: OnReject
  /** What `peerOf(...).principal` is. */
  principal?: MakePrincipal
}

/** Verifies tokens: a `JwtSource`, or anything of this shape. */
export interface BearerVerifier {
  validate(
    token: string,
    options: { audience: string | readonly string[]; leeway?: number }
  ): JwtSvid | Promise<JwtSvid>
}

/** A handler for node:http, Express (`app.use`) and Fastify (`addHook('onRequest')`). */
export interface BearerHandler {
  (
    request: IncomingMessage | { raw: IncomingMessage },
    response: ServerResponse | { raw: ServerResponse },
    next: (error?: any) => void
  ): void
}

/**
 * Let requests pass that have a valid JWT-SVID in the Authorization header; {@link peerOf} then names their sender.
 * Others get an answer of RFC 6750: 401 with `WWW-Authenticate`, 403 when the name is verified but not authorized, 400
 * when the header is malformed, 503 when the token cannot be verified now.
 *
 * @example
 * app.use(requireBearer(bundles, { audience: 'spiffe://example.org/billing' }))
 * app.get('/', (req, res) => res.send(`hello ${peerOf(req).spiffeId}`))
 *
 * @throws {@link CountersignError} `ERR_INVALID_ARGUMENT`
 */
export function requireBearer(
  verifier: BundleSet | JwtBundle | SpiffeBundle | BearerVerifier,
  options: RequireBearerOptions
): BearerHandler
