/**
 * `countersign/grpc`: SPIFFE identities for `@grpc/grpc-js`, which you pass in: nothing is installed beside yours.
 * Everything said about `countersign/tls` holds here.
 *
 * ```js
 * const grpc = require('@grpc/grpc-js')
 * const { bindServer, channelCredentials, authorize, peerOf } = require('countersign/grpc')
 *
 * const server = new grpc.Server()
 * server.addService(Billing.service,
 * { charge: (call, callback) => callback(null, { by: `${peerOf(call).spiffeId}` }) }) await bindServer(grpc, server,
 * '0.0.0.0:50051', source, authorize.memberOf('example.org'))
 *
 * const client = new Billing('billing.internal:50051', channelCredentials(grpc, source,
 * authorize.id('spiffe://example.org/billing'))) ```
 */
import type { AddressInfo } from 'node:net'
import type {
  AsyncAuthorizer,
  BearerSource,
  ClientOptions,
  FrontServerOptions,
  Lifetimes,
  TlsSource,
  WebClientOptions
} from './tls.js'
import type { Authorizer } from '../index.js'

export { authorize } from '../index.js'
export { peerOf } from './tls.js'
export type { AsyncAuthorizer, MakePrincipal, Peer, Rejection, TlsSource } from './tls.js'

/** The module `@grpc/grpc-js`, as far as it is used. */
export interface GrpcModule {
  readonly credentials: {
    createFromSecureContext(...args: any[]): any
    createFromMetadataGenerator(...args: any[]): any
  }
  readonly Metadata: new (...args: any[]) => any
  readonly ServerCredentials: { createInsecure(): any }
}

/** How a channel proves its identity, and verifies its server. */
export interface ChannelOptions extends ClientOptions, Omit<Lifetimes, 'maxConnectionAge'> {}

/**
 * Credentials for a channel. Made once: every new connection shows the newest identity. Calls say who the server is to
 * `peerOf`, once there is an answer. A server that is refused makes calls fail with `UNAVAILABLE`; the reason is told
 * to `onReject`, and in the text of the error.
 *
 * @example
 * const credentials = channelCredentials(grpc, source, authorize.memberOf('example.org'))
 * const client = new Billing('billing.internal:50051', credentials)
 *
 * @throws `CountersignError` `ERR_INVALID_ARGUMENT`
 */
export function channelCredentials<Grpc extends GrpcModule>(
  grpc: Grpc,
  source: TlsSource,
  authorize: Authorizer,
  options?: ChannelOptions
): ReturnType<Grpc['credentials']['createFromSecureContext']>
export function channelCredentials<Grpc extends GrpcModule>(
  grpc: Grpc,
  source: TlsSource,
  authorize: null,
  options: WebClientOptions<ChannelOptions>
): ReturnType<Grpc['credentials']['createFromSecureContext']>

/**
 * Credentials for calls: a JWT-SVID in the metadata `authorization` of each. They go over secure channels only.
 *
 * @example
 * const channel = channelCredentials(grpc, source, authorize.any())
 * const call = callCredentials(grpc, jwtSource, 'billing')
 * const both = grpc.credentials.combineChannelCredentials(channel, call)
 *
 * @throws `CountersignError` `ERR_INVALID_ARGUMENT`
 */
export function callCredentials<Grpc extends GrpcModule>(
  grpc: Grpc,
  source: BearerSource,
  audience: string
): ReturnType<Grpc['credentials']['createFromMetadataGenerator']>

/** How a server is bound. For the age of connections, grpc-js has `grpc.max_connection_age_ms`. */
export interface BindOptions extends Omit<FrontServerOptions, 'maxConnectionAge' | 'ALPNProtocols'> {}

/** A place where a server listens. */
export interface BoundServer extends AsyncDisposable {
  /** The port; `undefined` for a Unix socket, and when it is closed. */
  readonly port: number | undefined
  /** As `net.Server#address` has it. */
  readonly address: AddressInfo | string | null
  /** Take no new connections, and finish the calls that are open within 10 s. */
  close(): Promise<void>
}

/**
 * Let a server listen, in place of `server.bindAsync`. Clients are verified before a byte of theirs reaches the server;
 * the authorizer may take its time. `peerOf(call)` says who is calling.
 *
 * @example
 * const bound = await bindServer(grpc, server, '0.0.0.0:50051', source, authorize.memberOf('example.org'))
 * process.once('SIGTERM', () => bound.close())
 *
 * @throws `CountersignError` `ERR_INVALID_ARGUMENT`, or what `listen` fails with
 */
export function bindServer(
  grpc: GrpcModule,
  server: { createConnectionInjector(credentials: any): any },
  address: string,
  source: TlsSource,
  authorize: AsyncAuthorizer,
  options?: BindOptions
): Promise<BoundServer>
