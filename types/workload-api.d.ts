/** The Workload API: its client, and live sources. Exported by `countersign`. */
import type { KeyObject } from 'node:crypto'
import type {
  BundleSet,
  JwtBundle,
  JwtSvid,
  SpiffeId,
  SpiffeIdString,
  TrustDomain,
  VerifyJwtSvidOptions,
  X509Bundle,
  X509Svid
} from './spiffe.js'

// ---------------------------------------------------------------------------------------------------------------------
// What the Workload API tells

/** Something in a response that had to be ignored. */
export interface IgnoredPart {
  /** Which part of the response. */
  readonly what: string
  /** Why: a stable name, such as `duplicate_hint`, `private_key_mismatch`, `unknown_issuer`, `own_trust_domain`. */
  readonly reason: string
  /** The same for people. */
  readonly message: string
}

/**
 * Bundles from a Workload API. All callers share the same object: changing it is
 * `ERR_INVALID_ARGUMENT`; change a `clone()`.
 */
export interface WorkloadBundles extends BundleSet {
  /** Certificate revocation lists as DER. Nothing here looks into them. */
  readonly crls: readonly Buffer[]
  /** What had to be ignored in the response. */
  readonly ignored: readonly IgnoredPart[]
}

/**
 * What a workload is and whom it trusts, of one and the same message (Workload API 5). Frozen.
 *
 * Every SVID in it carries the name it is labelled with, matches its key, and leads to the bundle it came with.
 */
export class X509Context {
  private constructor()
  /** Grows with every change of the source it comes from; 0 for a single fetch. */
  readonly revision: number
  /** The identity that was picked; the default one when none was asked for. */
  readonly svid: X509Svid
  /** All identities; the first is the default. */
  get svids(): readonly X509Svid[]
  /** The bundles of the workload's own trust domains and of those they are federated with, never pooled. */
  get bundles(): WorkloadBundles
  /** Certificate revocation lists as DER. Nothing here looks into them. */
  get crls(): readonly Buffer[]
  /** What had to be ignored. */
  get ignored(): readonly IgnoredPart[]
  /** Without secrets. */
  toJSON(): { revision: number; svid: X509Svid; svids: readonly X509Svid[]; trustDomains: TrustDomain[] }
}

/** A token that is worth nothing without its key. Incubating: this may change with the standard. */
export interface WitSvid {
  /** The name it is labelled with. */
  readonly spiffeId: SpiffeId
  /** What an operator calls it. */
  readonly hint: string | undefined
  /** The token: `typ: wit+jwt`. Shown by its name only. */
  get token(): string
  /** The key whose possession has to be proven. */
  get privateKey(): KeyObject
  /** The SPIFFE ID. */
  toString(): SpiffeIdString
}

/** What a Workload API says of a token it found good. */
export interface ValidatedJwtSvid {
  /** The proven name. */
  readonly spiffeId: SpiffeId
  /** The claims. Numbers passed through doubles. */
  readonly claims: Readonly<Record<string, unknown>>
}

// ---------------------------------------------------------------------------------------------------------------------
// Options

/** Limits of one call. */
export interface CallOptions {
  /** Takes the call back; it rejects with the signal's `reason`. */
  signal?: AbortSignal
  /** Milliseconds for the whole call, connecting included, instead of the client's. `null`: wait for ever. */
  timeout?: number | null
}

/** How to wait for a source. */
export interface ReadyOptions {
  /** Ends the waiting; it rejects with the signal's `reason`. */
  signal?: AbortSignal
  /** Milliseconds to wait; the error says what is missing. `null`: for ever. Default 30000. */
  timeout?: number | null
}

/** How to follow a stream. */
export interface WatchOptions {
  /** Ends it; it rejects with the signal's `reason`. */
  signal?: AbortSignal
  /** Keep the process alive while a value is waited for. Default `false`: what runs in the background does not. */
  ref?: boolean
}

/**
 * Which of several identities is meant; one of these at a time. Without any, the default one. When none is offered that
 * fits, that is `ERR_SVID_NOT_FOUND` with what is `offered`: another identity is never used in its place.
 */
export interface SvidSelector {
  /** The one with this hint (Workload API 5.2.1). */
  hint?: string
  /** The first of this name. */
  spiffeId?: SpiffeId | string
  /** The first with this path, in whichever trust domain: `'/billing'`. */
  path?: string
  /** A function that gets all of them and returns one. */
  pick?: (svids: readonly X509Svid[]) => X509Svid | undefined
}

/** Where the Workload API is. */
export interface WorkloadApiClientOptions {
  /**
   * `unix:/path`, `unix:///path`, `tcp://IP:port`, or `npipe:NAME` on Windows (SPIFFE Workload Endpoint 4). Default:
   * the environment variable `SPIFFE_ENDPOINT_SOCKET`, read when the client is made. No place is guessed. Nothing need
   * be there yet.
   */
  endpoint?: string
  /** Milliseconds for each fetch. `null`: wait for ever. Default 10000. */
  timeout?: number | null
}

/** One X509-SVID. */
export interface FetchX509SvidOptions extends CallOptions, SvidSelector {}

/** Tokens. */
export interface FetchJwtSvidsOptions extends CallOptions {
  /** Whom the tokens shall be for: at least one, none empty. */
  audience: string | readonly string[]
  /** Only for this identity. */
  spiffeId?: SpiffeId | string
}

/** One token. */
export interface FetchJwtSvidOptions extends FetchJwtSvidsOptions {
  /** The one with this hint (Workload API 6.2.1). */
  hint?: string
}

/** A token to be verified. */
export interface ValidateJwtSvidOptions extends CallOptions {
  /** The name you answer to. */
  audience: string
  /** The token. */
  token: string
}

/** WIT-SVIDs. */
export interface FetchWitSvidsOptions extends CallOptions {
  /** Only for this identity. */
  spiffeId?: SpiffeId | string
}

// ---------------------------------------------------------------------------------------------------------------------
// The client

/**
 * The Workload API, method by method (SPIFFE Workload API 5 to 7). Fetches ask once; only when the connection they went
 * over had died meanwhile, or the server refused to look at them, are they asked once more. For what has to stay fresh
 * there are {@link X509Source} and {@link JwtSource}. All clients and sources of a process share one connection to an
 * endpoint.
 *
 * @example
 * const client = new WorkloadApiClient()                   // $SPIFFE_ENDPOINT_SOCKET
 * const { svid, bundles } = await client.fetchX509Context()
 * const token = await client.fetchJwtSvid({ audience: 'spiffe://example.org/shop' })
 *
 * @throws {@link CountersignError} from every fetch
 * - `ERR_SOCKET_NOT_FOUND`, `ERR_CONNECTION_FAILED`: no Workload API answers (`endpoint`), the connection broke, or the
 *   call was reset
 * - `ERR_TIMEOUT`: no answer in time (`timeout`, and as `stage` what it was doing: `connecting`,
 *   `waiting for the response`, `reading the response`)
 * - `ERR_NO_IDENTITY`: the Workload API has no identity for this process
 * - `ERR_WORKLOAD_API`: it answered another error (`grpcCode`, `grpcMessage`)
 * - `ERR_INVALID_RESPONSE`, `ERR_RESPONSE_TOO_LARGE`: its answer cannot be used (`rule`, `field`, `ignored`)
 * - `ERR_CLOSED`: the client is closed
 */
export class WorkloadApiClient {
  /**
   * @throws {@link CountersignError} `ERR_INVALID_ENDPOINT` with the broken rule as `rule`, or `ERR_INVALID_ARGUMENT`
   */
  constructor(options?: WorkloadApiClientOptions)
  /** The endpoint in its canonical form. */
  readonly endpoint: string
  /** Milliseconds for each fetch; `null` for no limit. */
  readonly timeout: number | null

  /** The present SVIDs and bundles. */
  fetchX509Context(options?: CallOptions): Promise<X509Context>
  /** One X509-SVID: the default identity, or the one that is asked for. */
  fetchX509Svid(options?: FetchX509SvidOptions): Promise<X509Svid>
  /** All X509-SVIDs; the first is the default identity. */
  fetchX509Svids(options?: CallOptions): Promise<readonly X509Svid[]>
  /** The X.509 bundles of all trust domains this workload may know. */
  fetchX509Bundles(options?: CallOptions): Promise<WorkloadBundles>
  /** A token: that of the default identity, or the one that is asked for. */
  fetchJwtSvid(options: FetchJwtSvidOptions): Promise<JwtSvid>
  /** Tokens of all identities; the first is the default one's. */
  fetchJwtSvids(options: FetchJwtSvidsOptions): Promise<readonly JwtSvid[]>
  /** The JWT bundles of all trust domains this workload may know. They are read on first use. */
  fetchJwtBundles(options?: CallOptions): Promise<WorkloadBundles>
  /**
   * Have the Workload API verify a token (JWT-SVID 4 prefers that to verifying it here).
   * @throws {@link CountersignError} `ERR_INVALID_TOKEN` with rule `refused_by_workload_api`: it found the token bad
   */
  validateJwtSvid(options: ValidateJwtSvidOptions): Promise<ValidatedJwtSvid>
  /**
   * WIT-SVIDs.
   * @experimental the profile is incubating; a Workload API without it answers `ERR_WORKLOAD_API`, `UNIMPLEMENTED`
   */
  fetchWitSvids(options?: FetchWitSvidsOptions): Promise<readonly WitSvid[]>
  /**
   * WIT bundles: JWKS documents by trust domain.
   * @experimental the profile is incubating; a Workload API without it answers `ERR_WORKLOAD_API`, `UNIMPLEMENTED`
   */
  fetchWitBundles(options?: CallOptions): Promise<Map<string, string>>

  /**
   * SVIDs and bundles as they change, the newest only. Broken connections are made anew; it ends by an error when the
   * Workload API has no identity (any more) or refuses for good.
   *
   * @example
   * for await (const { svid } of client.watchX509Context({ ref: true })) console.log(`${svid}`, svid.expiresAt)
   */
  watchX509Context(options?: WatchOptions): AsyncIterableIterator<X509Context>
  /** X.509 bundles as they change, as {@link WorkloadApiClient.watchX509Context} does it. */
  watchX509Bundles(options?: WatchOptions): AsyncIterableIterator<WorkloadBundles>
  /** JWT bundles as they change, as {@link WorkloadApiClient.watchX509Context} does it. */
  watchJwtBundles(options?: WatchOptions): AsyncIterableIterator<WorkloadBundles>

  /**
   * No more calls and watches; calls in flight fail with `ERR_CLOSED`. Watches that are there go on until they are
   * left.
   */
  close(): void
  [Symbol.dispose](): void
  [Symbol.asyncDispose](): Promise<void>
}

// ---------------------------------------------------------------------------------------------------------------------
// Live sources

/**
 * Where a source stands.
 * - `connecting`: there was no message yet
 * - `ready`: there is something to work with
 * - `noIdentity`: the Workload API has no identity for this process, and never had one
 * - `withdrawn`: it took the identity back
 * - `closed`: it is over
 */
export type SourceState = 'connecting' | 'ready' | 'noIdentity' | 'withdrawn' | 'closed'

/** Something that happened to a source. */
export type SourceEvent =
  /** The stream is open. */
  | { readonly type: 'connect' }
  /** There was a message with something new. */
  | { readonly type: 'update'; readonly revision: number }
  /**
   * The stream or a message was no good; the last good message stays in force. `retryIn`: ms, `null` when the stream
   * goes on.
   */
  | { readonly type: 'error'; readonly error: Error; readonly retryIn: number | null }
  /**
   * The process has no identity. `withdrawn`: it had one, which must not be used any more; with `withdrawGrace` not
   * after `grace` milliseconds, and the event comes again, with `grace` 0, when they are over.
   */
  | {
      readonly type: 'withdraw'
      readonly error: Error
      readonly withdrawn: boolean
      readonly retryIn: number
      readonly revision: number
      readonly grace?: number
    }
  /** Parts of a message had to be ignored. */
  | { readonly type: 'ignore'; readonly ignored: readonly IgnoredPart[] }
  /** 70 % of a lifetime went by without anything new. The stream is opened anew: it may have died unnoticed. */
  | { readonly type: 'overdue'; readonly expiresAt: Date }
  /** The lifetime is over, and nothing new came. The stream is opened anew once more. */
  | { readonly type: 'expire'; readonly expiresAt: Date }
  /** It is over: closed, or (with an `error`) refused for good. */
  | { readonly type: 'close'; readonly error?: Error | null; readonly revision?: number }

/** What a source's stream did so far. Shared by all sources of the endpoint. */
export interface SourceCounters {
  /** Streams that were opened. */
  readonly connects: number
  /** Messages that told something new. */
  readonly updates: number
  /** Messages that told nothing new. */
  readonly unchanged: number
  /** Streams and messages that were no good. */
  readonly errors: number
  /** Times that what had been told was taken back. */
  readonly withdrawals: number
  /** Parts of messages that had to be ignored. */
  readonly ignored: number
}

/** What the cache of tokens did so far. */
export interface JwtCacheCounters {
  /** Askings that were answered at once. */
  readonly hits: number
  /** Askings that had to wait for a token. */
  readonly misses: number
  /** Tokens that were renewed ahead of time. */
  readonly refreshes: number
  /** Fetches that failed. */
  readonly failures: number
  /** Tokens that were dropped: not used, too many, withdrawn. */
  readonly evictions: number
  /** Tokens that are there now. */
  readonly size: number
}

/** What both live sources can do. */
export interface LiveSource {
  /** The endpoint in its canonical form. */
  readonly endpoint: string
  /** Where it stands. */
  get state(): SourceState
  /** What went wrong since something was last told. */
  get lastError(): Error | undefined
  /** When something was last told, changed or not. */
  get lastUpdate(): Date | undefined
  /** Whether all is well: there is something to work with, and it is renewed in time. */
  isHealthy(): boolean
  /**
   * Listen to events. Called from the event loop; a listener that throws does not affect the others.
   * @returns the way out
   */
  subscribe(listener: (event: SourceEvent) => void): () => void
  /** Close it. All waiting calls fail with `ERR_CLOSED`. */
  close(): void
  [Symbol.dispose](): void
  [Symbol.asyncDispose](): Promise<void>
}

/** How a live source of X509-SVIDs is made. */
export interface X509SourceOptions extends SvidSelector {
  /** As for {@link WorkloadApiClientOptions.endpoint}. */
  endpoint?: string
  /**
   * Milliseconds for which an identity may still be used after the Workload API withdrew it (never beyond its expiry).
   * Default 0. SPIRE withdraws identities for some milliseconds while it replaces those of an authority that was
   * tainted: a few seconds are enough not to notice.
   */
  withdrawGrace?: number
}

/**
 * A workload's X509-SVID and the bundles to verify peers, kept fresh. It is there at once and connects by itself,
 * for as long as it is not closed; it keeps no process alive. An expired SVID is never handed out.
 *
 * @example
 * const source = await X509Source.open()                // or new X509Source(), and ready() later
 * source.svid().spiffeId                                // the newest, each time
 * const { svid, bundles } = source.context()            // of one revision
 * source.subscribe((event) => { if (event.type === 'withdraw') alarm(event.error) })
 */
export class X509Source implements LiveSource {
  /** @throws {@link CountersignError} `ERR_INVALID_ENDPOINT`, `ERR_INVALID_ARGUMENT` */
  constructor(options?: X509SourceOptions)
  /** Make one, and wait until it is ready. When it does not get ready, it is closed. */
  static open(options?: X509SourceOptions & ReadyOptions): Promise<X509Source>
  readonly endpoint: string
  /**
   * Wait for the identity that is asked for.
   * @throws {@link CountersignError} `ERR_TIMEOUT` with what is missing as `cause`; `ERR_CLOSED`
   */
  ready(options?: ReadyOptions): Promise<X509Context>
  /**
   * The present SVID and bundles, of one revision: the same object until something changes.
   * @throws {@link CountersignError} `ERR_SOURCE_NOT_READY`, `ERR_NO_IDENTITY`, `ERR_IDENTITY_WITHDRAWN`,
   *   `ERR_SVID_EXPIRED`, `ERR_SVID_NOT_FOUND`, `ERR_CLOSED`
   */
  context(): X509Context
  /** The present SVID. Fails as {@link X509Source.context} does. */
  svid(): X509Svid
  /** The X.509 bundle of a trust domain. Fails as {@link X509Source.context} does, and with `ERR_BUNDLE_NOT_FOUND`. */
  bundle(trustDomain: TrustDomain | string): X509Bundle
  /**
   * What {@link X509Source.context} gives, whenever it is another one; the newest only. Ends when the source is closed,
   * and fails when the Workload API refuses for good.
   */
  updates(options?: WatchOptions): AsyncIterableIterator<X509Context>
  /** Whether half of the SVID's lifetime is over: a healthy Workload API has sent a new one by then. */
  needsRotation(): boolean
  get counters(): SourceCounters
  get state(): SourceState
  get lastError(): Error | undefined
  get lastUpdate(): Date | undefined
  isHealthy(): boolean
  subscribe(listener: (event: SourceEvent) => void): () => void
  close(): void
  [Symbol.dispose](): void
  [Symbol.asyncDispose](): Promise<void>
}

/** How a live source of tokens is made. */
export interface JwtSourceOptions {
  /** As for {@link WorkloadApiClientOptions.endpoint}. */
  endpoint?: string
  /**
   * Milliseconds for which bundles, and tokens that are kept, may still be used after they were withdrawn. Default 0.
   */
  withdrawGrace?: number
  /** How many tokens are kept. Default 1000. */
  cacheSize?: number
  /** Milliseconds for fetching one token. `null`: wait for ever. Default 10000. */
  fetchTimeout?: number | null
}

/**
 * A workload's tokens, and the bundles to verify the tokens of others, kept fresh.
 *
 * Tokens are fetched once for each set of audiences, and renewed at half of their life if they were used since.
 *
 * @example
 * const source = await JwtSource.open()
 * const { token } = await source.fetch({ audience: 'spiffe://example.org/shop' })
 * const { spiffeId } = source.validate(theirToken, { audience: 'spiffe://example.org/billing' })
 */
export class JwtSource implements LiveSource {
  /** @throws {@link CountersignError} `ERR_INVALID_ENDPOINT`, `ERR_INVALID_ARGUMENT` */
  constructor(options?: JwtSourceOptions)
  /** Make one, and wait until it is ready. When it does not get ready, it is closed. */
  static open(options?: JwtSourceOptions & ReadyOptions): Promise<JwtSource>
  readonly endpoint: string
  /**
   * Wait for the bundles.
   * @throws {@link CountersignError} `ERR_TIMEOUT` with what is missing as `cause`; `ERR_CLOSED`
   */
  ready(options?: ReadyOptions): Promise<WorkloadBundles>
  /**
   * A token, perhaps one that was fetched before. It is good for a while yet: the last tenth of a life (30 s at most)
   * is never handed out, and none that was fetched before a withdrawal. Need not be `ready`. Fails as
   * {@link WorkloadApiClient.fetchJwtSvid} does.
   */
  fetch(options: FetchJwtSvidOptions): Promise<JwtSvid>
  /**
   * Verify a token with the present bundles, as {@link verifyJwtSvid} does. A token that was verified before costs a
   * hash.
   * @throws {@link CountersignError} also `ERR_SOURCE_NOT_READY`, `ERR_NO_IDENTITY`, `ERR_IDENTITY_WITHDRAWN`,
   *   `ERR_CLOSED`
   */
  validate(token: string, options: VerifyJwtSvidOptions): JwtSvid
  /** The present bundles. @throws {@link CountersignError} as {@link JwtSource.validate} does */
  get bundles(): WorkloadBundles
  /** The JWT bundle of a trust domain. Fails also with `ERR_BUNDLE_NOT_FOUND`. */
  bundle(trustDomain: TrustDomain | string): JwtBundle
  /**
   * The bundles, whenever they are others; the newest only. Ends when the source is closed, and fails when the Workload
   * API refuses for good.
   */
  updates(options?: WatchOptions): AsyncIterableIterator<WorkloadBundles>
  get counters(): SourceCounters & { readonly cache: JwtCacheCounters }
  get state(): SourceState
  get lastError(): Error | undefined
  get lastUpdate(): Date | undefined
  isHealthy(): boolean
  subscribe(listener: (event: SourceEvent) => void): () => void
  close(): void
  [Symbol.dispose](): void
  [Symbol.asyncDispose](): Promise<void>
}

// ---------------------------------------------------------------------------------------------------------------------
// What can go wrong

/** What gRPC says of a failed call. */
export interface GrpcDetails {
  /** The status code as a number: 7. */
  readonly grpcStatus: number
  /** Its name: `'PERMISSION_DENIED'`. */
  readonly grpcCode: string
  /** What the server says about it. */
  readonly grpcMessage: string
}

/** The details of errors of the Workload API, by code. */
export interface WorkloadApiErrorDetails {
  /** No place where a Workload API could be, or none was named: the rule, such as `not_set`, `relative_path`. */
  ERR_INVALID_ENDPOINT: { readonly rule: string }
  /** The Workload API answered an error. */
  ERR_WORKLOAD_API: GrpcDetails
  /** The Workload API has no identity for this process: it is not registered, or its selectors do not match. */
  ERR_NO_IDENTITY: Partial<GrpcDetails> & { readonly state?: SourceState; readonly endpoint?: string }
  /** The Workload API took the identity back. */
  ERR_IDENTITY_WITHDRAWN: { readonly state: SourceState; readonly endpoint: string }
  /**
   * The answer cannot be used: `missing_field` and `empty` with the `field`, `nothing_usable` with what was `ignored`,
   * `malformed` (also: more than 262144 fields), `ended`, `too_many_svids` (more than 4096).
   */
  ERR_INVALID_RESPONSE: { readonly rule: string; readonly field?: string; readonly ignored?: readonly IgnoredPart[] }
  /** There was no message yet. */
  ERR_SOURCE_NOT_READY: { readonly state: SourceState; readonly endpoint: string }
  /** The SVID expired, and no new one came. */
  ERR_SVID_EXPIRED: { readonly spiffeId: SpiffeIdString; readonly expiresAt: Date; readonly state: SourceState }
  /** None of the identities is the one that was asked for. */
  ERR_SVID_NOT_FOUND: { readonly offered: readonly string[] }
  /** There is no bundle of this trust domain: no name in it is trusted. */
  ERR_BUNDLE_NOT_FOUND: { readonly trustDomain: string }
}
