/**
 * `countersign/testing`: test your own services against a Workload API that can be told to misbehave, and with SVIDs
 * that break exactly one rule. Nothing in it knows a test runner: `node:test`, vitest and jest all do.
 */
import type { BundleSet, JwtBundle, SpiffeBundle, SpiffeId, TrustDomain, X509Bundle, X509Svid } from '../index.js'
import type { AgentEventMap, AgentStats, RuleConfig, RuleMatch } from './agent.js'

/** An identity a test agent gives. */
export interface TestIdentity {
  spiffeId: SpiffeId | string
  hint?: string
  /** Milliseconds an X509-SVID lives. */
  ttl?: number
  /** Milliseconds a JWT-SVID lives. */
  jwtTtl?: number
  dnsNames?: readonly string[]
  /** Foreign trust domains of `federatesWith` it is given; default all. */
  federatesWith?: readonly string[]
  /** Who gets it. Default: every process of this user. */
  match?: RuleMatch
}

/** How a test agent runs. */
export interface TestAgentOptions {
  /** What every process of this user gets, the first being the default identity. Default none: `PERMISSION_DENIED`. */
  identities?: readonly (SpiffeId | string | TestIdentity)[]
  /** Milliseconds an X509-SVID lives; a new one comes half-way. Default 1 hour; 1000 is the least. */
  ttl?: number
  /** Milliseconds a JWT-SVID lives. Default 5 minutes. */
  jwtTtl?: number
  /** Default: that of the first identity, else `example.org`. */
  trustDomain?: TrustDomain | string
  /** The identity in answers to `getIdentity`. */
  whoami?: string
  /** Further rules, before those of `identities`. */
  rules?: readonly RuleConfig[]
  /** Bundles of foreign trust domains every workload is given. */
  federatesWith?: readonly SpiffeBundle[]
}

/** The methods of the Workload API. */
export type WorkloadApiMethod =
  | 'FetchX509SVID'
  | 'FetchX509Bundles'
  | 'FetchJWTSVID'
  | 'FetchJWTBundles'
  | 'ValidateJWTSVID'
  | 'FetchWITSVID'
  | 'FetchWITBundles'

/** The statuses of gRPC. */
export type GrpcStatus =
  | 'CANCELLED'
  | 'UNKNOWN'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'OUT_OF_RANGE'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'DATA_LOSS'
  | 'UNAUTHENTICATED'

/** Which calls or messages a fault strikes. */
export interface FaultOptions {
  /** Only of this method. Default: of any. */
  method?: WorkloadApiMethod
  /** How often. Default 1; `Infinity`: until `clear()`. */
  times?: number
}

/**
 * What goes wrong. Faults wait for the next call or message they are about, in the order they were planned: a status, a
 * reset, an end and slowness strike when a call arrives, the others when a message is sent.
 */
export class Faults {
  private constructor()
  /** The call ends with this status. */
  status(code: GrpcStatus, options?: FaultOptions & { message?: string }): void
  /** The workload has no identity. */
  permissionDenied(options?: FaultOptions & { message?: string }): void
  /** The agent is not ready. */
  unavailable(options?: FaultOptions & { message?: string }): void
  /** The client did something it must not do again. */
  invalidArgument(options?: FaultOptions & { message?: string }): void
  /** The stream is reset without a status. */
  reset(options?: FaultOptions): void
  /** The stream ends in good order before the first message. */
  end(options?: FaultOptions): void
  /** The call is answered that many milliseconds later. */
  slow(milliseconds: number, options?: FaultOptions): void
  /** A message that is none. */
  garbage(options?: FaultOptions): void
  /** Bytes that are no gRPC. */
  badFrame(options?: FaultOptions): void
  /** A message of so many bytes. Default 32 MiB, more than is read. */
  huge(bytes?: number, options?: FaultOptions): void
  /** A message in which a field is empty, in every SVID or bundle of it. */
  blank(
    field:
      | 'svids'
      | 'spiffe_id'
      | 'x509_svid'
      | 'x509_svid_key'
      | 'bundle'
      | 'bundles'
      | 'federated_bundles'
      | 'hint'
      | 'svid'
      | 'claims',
    options?: FaultOptions
  ): void
  /** A message in which all SVIDs have the same hint; an only one comes twice. */
  duplicateHints(options?: FaultOptions): void
  /** A message with the private keys, or the signatures, of a stranger. */
  wrongKey(options?: FaultOptions): void
  /** This message instead, such as one of `encodeX509Response`. */
  respond(message: Uint8Array, options?: FaultOptions): void
  /** Answer nothing. Calls arrive and wait. */
  freeze(): void
  /** Go on. */
  thaw(): void
  /** Take every fault back, and thaw. */
  clear(): void
  /** End every open stream now: without a status, with this one, or in good order (`OK`). */
  dropStreams(code?: GrpcStatus | 'OK', message?: string): void
  /** Have every open stream send again what it sent last: faults about messages strike it. */
  resend(): void
}

/** A call that was made. */
export interface RecordedCall {
  readonly number: number
  /** The method, or the path of one that is unknown. */
  readonly method: WorkloadApiMethod | (string & {})
  readonly at: Date
  readonly pid: number | undefined
  readonly uid: number | undefined
  /** `workload.spiffe.io: true` was there, exactly once. */
  readonly securityHeader: boolean
  /** How it ended; `undefined` while it goes on, `CANCELLED` when the client had enough. */
  readonly status: 'OK' | GrpcStatus | undefined
  /** Messages it was sent. */
  readonly messages: number
  readonly audience: readonly string[]
  /** The identity it asked for. */
  readonly spiffeId: string | undefined
}

/**
 * An agent for tests, in memory, isolated from every other one. In everything but the faults it is the real agent.
 *
 * @example
 * test('my service survives a restart of the agent', async () => {
 *   await using agent = await startTestAgent({ identities: ['spiffe://example.org/billing'] })
 *   const service = await startService({ env: agent.env })
 *   agent.faults.unavailable({ times: 3 })
 *   agent.faults.dropStreams()
 *   await agent.waitForCall((call) => call.method === 'FetchX509SVID' && call.number > 3)
 *   assert.ok(service.isHealthy())
 * })
 */
export class TestAgent extends EventTarget {
  private constructor()
  /** Where the Workload API is: `unix:` and a path. */
  get endpoint(): string
  /** The path of the whoami socket. */
  get socketPath(): string
  get trustDomain(): TrustDomain
  /** The variables a program needs to find it. */
  get env(): { SPIFFE_ENDPOINT_SOCKET: string; WHOAMI_SOCKET: string }
  /** What goes wrong. */
  get faults(): Faults
  /** The present bundle of its authority. */
  get bundle(): SpiffeBundle
  /** Give these from now on. An empty list withdraws all identities. */
  setIdentities(identities: readonly (SpiffeId | string | TestIdentity)[]): void
  /** Issue new X509-SVIDs on every open stream now, as if half of their lifetime were over. */
  reissue(): void
  /** Change the keys: by step, or all at once, which no peer was prepared for. */
  rotateAuthority(step?: 'prepare' | 'activate' | 'forget'): void
  /** The calls so far, the newest 10,000. */
  get calls(): readonly RecordedCall[]
  /**
   * The first call that fits, now or when it comes.
   * @throws {@link CountersignError} `ERR_TIMEOUT` after `timeout` ms, by default 5000
   */
  waitForCall(
    wanted: WorkloadApiMethod | ((call: RecordedCall) => boolean),
    options?: { signal?: AbortSignal; timeout?: number | null }
  ): Promise<RecordedCall>
  get stats(): AgentStats
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
  addEventListener<T extends keyof AgentEventMap>(type: T, listener: (event: AgentEventMap[T]) => void): void
  addEventListener(type: string, listener: ((event: Event) => void) | null): void
}

/** Start a test agent. It takes milliseconds; every test can have one of its own. */
export function startTestAgent(options?: TestAgentOptions): Promise<TestAgent>

/** The rule an X509-SVID can be made to break. */
export type X509Flaw =
  | 'expired'
  | 'notYetValid'
  | 'caLeaf'
  | 'twoUris'
  | 'noUri'
  | 'notASpiffeId'
  | 'noPath'
  | 'noKeyUsage'
  | 'keyUsageNotCritical'
  | 'noDigitalSignature'
  | 'keyCertSign'
  | 'crlSign'
  | 'foreignIssuer'
  | 'weakKey'
  | 'wrongKey'
  | 'garbage'

/** The rule a JWT-SVID can be made to break. */
export type JwtFlaw =
  | 'expired'
  | 'notYetValid'
  | 'noExpiry'
  | 'noSubject'
  | 'notASpiffeId'
  | 'noAudience'
  | 'noKeyId'
  | 'unknownKeyId'
  | 'wrongSignature'
  | 'foreignIssuer'
  | 'algNone'
  | 'algHs256'
  | 'algMismatch'
  | 'wrongType'
  | 'extraHeader'
  | 'criticalHeader'
  | 'duplicateClaim'
  | 'notCompact'
  | 'badBase64'
  | 'notJson'
  | 'tooLong'

export interface MintX509Options {
  /** Milliseconds it lives. Default 1 hour. */
  ttl?: number
  dnsNames?: readonly string[]
  flaw?: X509Flaw
}

export interface MintJwtOptions {
  audience: string | readonly string[]
  /** Milliseconds it lives. Default 5 minutes. */
  ttl?: number
  flaw?: JwtFlaw
}

/** An X509-SVID that may be a wrong one, and so is only bytes. */
export class MintedX509Svid {
  private constructor()
  /** Concatenated DER, leaf first. */
  readonly chain: Buffer
  /** PKCS#8. Not enumerable. */
  readonly key: Buffer
  get chainPem(): string
  get keyPem(): string
  /** The SVID, if it is one. @throws {@link CountersignError} `ERR_INVALID_X509_SVID` with the broken rule */
  toSvid(): X509Svid
}

/**
 * An authority for tests.
 *
 * @example
 * const ca = new TestCa('example.org')
 * for (const flaw of TestCa.x509Flaws) {
 *   const { chain } = ca.x509Svid('spiffe://example.org/billing', { flaw })
 *   assert.throws(() => myServer.accept(chain))
 * }
 */
export class TestCa {
  /** Default `example.org`. */
  constructor(trustDomain?: TrustDomain | string)
  static readonly x509Flaws: readonly X509Flaw[]
  static readonly jwtFlaws: readonly JwtFlaw[]
  readonly trustDomain: TrustDomain
  /** Whom to trust. */
  get bundle(): SpiffeBundle
  x509Svid(spiffeId: SpiffeId | string, options?: MintX509Options): MintedX509Svid
  jwtSvid(spiffeId: SpiffeId | string, options: MintJwtOptions): string
}

/** Authorities, or bytes in the form of the protocol. */
export type X509BundleBytes = SpiffeBundle | X509Bundle | Uint8Array

/** An X509-SVID of a message that is made by hand. What is left out is left out of the message. */
export interface OfferedX509Svid {
  spiffeId?: SpiffeId | string
  /** Chain and key of a minted one. */
  svid?: MintedX509Svid
  chain?: Uint8Array
  key?: Uint8Array
  bundle?: X509BundleBytes
  hint?: string
}

export interface X509ResponseParts {
  svids?: readonly OfferedX509Svid[]
  federatedBundles?: Readonly<Record<string, X509BundleBytes>>
  crls?: readonly Uint8Array[]
}

/** A response to `FetchX509SVID`, for `faults.respond`. */
export function encodeX509Response(parts: X509ResponseParts): Buffer
/** A response to `FetchJWTSVID`. */
export function encodeJwtResponse(
  svids: readonly { spiffeId?: SpiffeId | string; token?: string; hint?: string }[]
): Buffer
/** A response to `FetchX509Bundles`. */
export function encodeX509BundlesResponse(bundles: Readonly<Record<string, X509BundleBytes>>): Buffer
/** A response to `FetchJWTBundles`. */
export function encodeJwtBundlesResponse(bundles: Readonly<Record<string, SpiffeBundle | JwtBundle | string>>): Buffer

export type { BundleSet }
