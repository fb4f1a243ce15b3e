/**
 * Principals: every way of authentication ends in one type that authorization and audit can use. Exported by
 * `countersign/principal`.
 *
 * Names and JSON are those of the crate `axess-identity`, 0.10 and newer.
 *
 * @example
 * const { OidcResolver, githubActions, requirePrincipal } = require('countersign/principal')
 *
 * const runs = new OidcResolver({
 *   ...githubActions({ owners: ['acme'] }),
 *   audience: 'https://deploy.acme.example',
 *   trustDomain: 'acme.example',
 *   tenantId: ACME,
 * })
 * app.use(requirePrincipal(runs, { kind: 'workload' }))   // 401, 403, or req.principal
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type {
  BundleSet,
  CertificateLike,
  Identity,
  JwsAlgorithm,
  JwtBundle,
  JwtSvid,
  PeerPolicies,
  PeerProcess,
  PeerTarget,
  SpiffeBundle,
  SpiffeId,
  SpiffeIdString,
  TrustDomain as SpiffeTrustDomain,
  VerifyJwtSvidOptions,
  X509Bundle
} from '../index.js'

export { CountersignError } from '../index.js'

// ---------------------------------------------------------------------------------------------------------------------
// IDs

declare const brand: unique symbol

/** A UUID in lower case with hyphens, of a type no other ID can be passed for. */
export type Id<Kind extends string> = string & { readonly [brand]: Kind }

/** The type of the IDs of a kind: `type AccountId = IdOf<typeof AccountId>`. */
export type IdOf<T> = T extends IdKind<infer Kind> ? Id<Kind> : never

/** How one kind of ID is read and made. */
export interface IdKind<Kind extends string> {
  /** Its name, for messages. */
  readonly kind: Kind
  /** All zeros. */
  readonly NIL: Id<Kind>
  /**
   * Read an ID, of any version: hyphenated, 32 digits, `{hyphenated}` or `urn:uuid:hyphenated`, in any case.
   * @throws {@link CountersignError} `ERR_INVALID_ID` with `kind` and `reason`
   */
  parse(text: string): Id<Kind>
  /** Whether it is an ID in the form {@link IdKind.parse} gives. */
  is(value: unknown): value is Id<Kind>
  /** A fresh one (UUID v4). */
  random(): Id<Kind>
  /**
   * The ID that stands for a name in a namespace (UUID v5, RFC 9562 5.5): the same at every call.
   *
   * @example
   * TenantId.fromName('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'acme')
   */
  fromName(namespace: string, name: string): Id<Kind>
  /** The 16 bytes as they are. */
  fromBytes(bytes: Uint8Array): Id<Kind>
  /** 16 random bytes; version 4 and its variant are put in. */
  fromRandomBytes(bytes: Uint8Array): Id<Kind>
  /** The 16 bytes. */
  toBytes(id: Id<Kind>): Uint8Array
  /** Whether it is all zeros. */
  isNil(id: Id<Kind>): boolean
}

/** A kind of ID of which one stands for the system itself. */
export interface IdKindWithSystem<Kind extends string> extends IdKind<Kind> {
  /** The one that stands for the system itself. */
  readonly SYSTEM: Id<Kind>
  /** Whether it is that one. */
  isSystem(id: Id<Kind>): boolean
}

/** A tenant. */
export type TenantId = Id<'TenantId'>
/** Tenants. {@link IdKindWithSystem.SYSTEM} is all zeros. */
export const TenantId: IdKindWithSystem<'TenantId'>

/** A user. */
export type UserId = Id<'UserId'>
/** Users. {@link IdKindWithSystem.SYSTEM} is `00000000-0000-0000-0000-000000000001`, and not all zeros. */
export const UserId: IdKindWithSystem<'UserId'>

/** A device. */
export type DeviceId = Id<'DeviceId'>
/** Devices. */
export const DeviceId: IdKind<'DeviceId'>

/** A session. Anyone who knows a live one may be able to use it: treat it as a credential in logs. */
export type SessionId = Id<'SessionId'>
/** Sessions. */
export const SessionId: IdKind<'SessionId'>

/** An event. */
export type EventId = Id<'EventId'>
/** Events. */
export const EventId: IdKind<'EventId'>

/**
 * A kind of ID of your own.
 *
 * @example
 * const AccountId = defineId('AccountId')
 * type AccountId = IdOf<typeof AccountId>
 * const id: AccountId = AccountId.random()
 */
export function defineId<const Kind extends string>(kind: Kind): IdKind<Kind>

/**
 * A check for code that creates users: refuses the user, then the tenant, that stand for the system itself.
 * @throws {@link CountersignError} `ERR_INVALID_ID` with the reason `reserved`
 */
export function ensureUserIdNotReserved(userId: UserId, tenantId: TenantId): void

// ---------------------------------------------------------------------------------------------------------------------
// Names

/** The name of a trust domain. */
export type TrustDomain = string & { readonly [brand]: 'TrustDomain' }

/**
 * Names of trust domains: 1 to 255 of `[a-z0-9.-]`, the first a letter or a digit. Narrower than SPIFFE's rules, which
 * allow underscores. Never lower-cased or trimmed.
 */
export const TrustDomain: {
  /** @throws {@link CountersignError} `ERR_INVALID_TRUST_DOMAIN` with `reason` */
  parse(value: string | SpiffeTrustDomain): TrustDomain
  /** Whether it is the name of a trust domain. */
  is(value: unknown): value is TrustDomain
}

/** The ID of a workload: `spiffe://acme.example/billing/blue`. */
export type WorkloadId = SpiffeIdString & { readonly [brand]: 'WorkloadId' }

/** Which rules a name is read by. */
export interface RulesOptions {
  /**
   * Refuse what SPIFFE's rules refuse too: `~` in a path. Of a document, also fields that do not agree. Default
   * `false`.
   */
  strict?: boolean
}

/**
 * IDs of workloads: `spiffe://` + a {@link TrustDomain} + segments of `[A-Za-z0-9._~-]`, at most 2048 bytes. Kept as
 * they are written, compared byte by byte.
 */
export const WorkloadId: {
  /**
   * @throws {@link CountersignError} `ERR_INVALID_SPIFFE_ID`, for a segment `ERR_INVALID_COMPONENT`; both with `reason`
   */
  parse(value: string | SpiffeId, options?: RulesOptions): WorkloadId
  /** `spiffe://<trust domain>/<service>/<tenant slug>`. Fails as `parse` does, naming the component. */
  build(trustDomain: string | SpiffeTrustDomain, serviceName: string, tenantSlug: string): WorkloadId
  /** Whether it is the ID of a workload. */
  is(value: unknown): value is WorkloadId
  /** The trust domain it lives in. */
  trustDomain(id: string | SpiffeId): TrustDomain
}

/** Who vouched for a workload. Frozen; `toString()` is the name for policies and logs. */
export type Issuer = BuiltInIssuer | CustomIssuer

/** An issuer there is a name for. */
export interface BuiltInIssuer {
  readonly kind: 'cli' | 'jwt_svid' | 'mtls' | 'oauth'
  readonly label?: never
  /** Whether both are the same issuer. */
  equals(other: unknown): boolean
  /** The kind. */
  toString(): string
}

/** Any other issuer. */
export interface CustomIssuer {
  readonly kind: 'custom'
  /** `[a-z0-9_]{1,32}`, and none that a built-in issuer has. */
  readonly label: string
  /** Whether both are the same issuer. */
  equals(other: unknown): boolean
  /** The label. */
  toString(): string
}

/** The issuers. */
export const Issuer: {
  /** The command line or environment of the process. */
  readonly cli: BuiltInIssuer
  /** A trust domain, through a JWT-SVID. */
  readonly jwtSvid: BuiltInIssuer
  /** A trust domain, through the certificate of a TLS connection. */
  readonly mtls: BuiltInIssuer
  /** An OAuth or OIDC provider, through a token. */
  readonly oauth: BuiltInIssuer
  /** @throws {@link CountersignError} `ERR_INVALID_COMPONENT` with `reason` */
  custom(label: string): CustomIssuer
  /** Whether it is an issuer. */
  is(value: unknown): value is Issuer
}

// ---------------------------------------------------------------------------------------------------------------------
// Principals

/** What else is known, as JSON. Without prototypes, frozen all the way down; integers beyond 2^53-1 are `bigint`. */
export type Attributes = Readonly<Record<string, unknown>>

/** What both kinds of principal can do. */
interface Written {
  /** The JSON as text, byte for byte as the crate writes it, on every runtime. Holds the session of a human. */
  toWire(): string
  /** Whether both say the same. */
  equals(other: unknown): boolean
}

/** A human, as JSON. */
export interface HumanPrincipalJson {
  readonly kind: 'human'
  readonly user_id: string
  readonly tenant_id: string
  readonly session_id: string | null
  readonly attributes: Record<string, unknown>
}

/** A workload, as JSON. */
export interface WorkloadPrincipalJson {
  readonly kind: 'workload'
  readonly workload_id: string
  readonly trust_domain: string
  readonly issuer: { readonly kind: string; readonly label?: string }
  readonly tenant_id: string
  readonly tenant_slug: string
  readonly service_name: string
  readonly attributes: Record<string, unknown>
}

/**
 * A user behind an authenticated session. Frozen. The session is shown by its own name and in JSON, and not by
 * `util.inspect`.
 */
export class HumanPrincipal implements Written {
  /**
   * @example
   * new HumanPrincipal({ userId, tenantId, sessionId, attributes: { amr: ['pwd', 'otp'] } })
   *
   * @throws {@link CountersignError} `ERR_INVALID_ID`, `ERR_INVALID_ARGUMENT`
   */
  constructor(fields: {
    readonly kind?: 'human'
    readonly userId: string
    readonly tenantId: string
    readonly sessionId?: string | undefined
    readonly attributes?: Readonly<Record<string, unknown>> | undefined
  })
  readonly kind: 'human'
  readonly userId: UserId
  /** The tenant the user acts in. */
  readonly tenantId: TenantId
  /** The session that authenticated the user; none for what is done on the user's behalf outside of one. */
  readonly sessionId: SessionId | undefined
  readonly attributes: Attributes
  toWire(): string
  equals(other: unknown): boolean
  /**
   * For `JSON.stringify`. Where the runtime has no `JSON.rawJSON` (Node.js 20), a `bigint` is `ERR_INVALID_ARGUMENT`.
   */
  toJSON(): HumanPrincipalJson
  /** The user. */
  toString(): string
}

/** A service, a batch job, an agent, a CI run: everything that authenticates without a person. Frozen. */
export class WorkloadPrincipal implements Written {
  /**
   * Without a `workloadId` it is `spiffe://<trustDomain>/<serviceName>/<tenantSlug>`; with one, a `trustDomain` must be
   * the one it lives in.
   *
   * @throws {@link CountersignError} `ERR_INVALID_SPIFFE_ID`, `ERR_INVALID_TRUST_DOMAIN`, `ERR_INVALID_COMPONENT`,
   *   `ERR_INVALID_ID`, `ERR_INVALID_ARGUMENT`
   */
  constructor(
    fields: {
      readonly kind?: 'workload'
      readonly issuer: Issuer
      readonly tenantId: string
      readonly tenantSlug: string
      readonly serviceName: string
      readonly attributes?: Readonly<Record<string, unknown>> | undefined
    } & (
      | { readonly workloadId: string | SpiffeId; readonly trustDomain?: string | SpiffeTrustDomain | undefined }
      | { readonly workloadId?: undefined; readonly trustDomain: string | SpiffeTrustDomain }
    )
  )
  readonly kind: 'workload'
  readonly workloadId: WorkloadId
  /** Of a document that was read without `strict`, it need not be the one the ID lives in. */
  readonly trustDomain: TrustDomain
  /** Who vouched. */
  readonly issuer: Issuer
  /** The tenant it works for. */
  readonly tenantId: TenantId
  /** That tenant's readable name. */
  readonly tenantSlug: string
  /** What it does: `billing`. */
  readonly serviceName: string
  readonly attributes: Attributes
  toWire(): string
  equals(other: unknown): boolean
  /** For `JSON.stringify`. Fails as {@link HumanPrincipal.toJSON} does. */
  toJSON(): WorkloadPrincipalJson
  /** The ID. */
  toString(): string
}

/** An authenticated user or workload; `kind` says which. */
export type Principal = HumanPrincipal | WorkloadPrincipal

/** Principals of both kinds. */
export const Principal: {
  /**
   * Read the JSON of a principal. A member that is there twice is refused, and so is a name or an ID that is none;
   * members that are not known are passed over. An OAuth issuer as releases before 0.10 wrote it (`o_auth`) is read.
   *
   * @throws {@link CountersignError} `ERR_INVALID_PRINCIPAL`, `ERR_INVALID_ID`, `ERR_INVALID_SPIFFE_ID`,
   *   `ERR_INVALID_TRUST_DOMAIN`, `ERR_INVALID_COMPONENT`
   */
  parse(text: string, options?: RulesOptions): Principal
  /** A principal as it is; JSON that was parsed already, or not. Fails as `parse` does. */
  from(value: Principal | string | object, options?: RulesOptions): Principal
  /** Whether it is a principal. */
  is(value: unknown): value is Principal
}

/** How a proven SPIFFE ID becomes a principal. */
export interface PrincipalOfOptions {
  /** Who vouched: {@link Issuer.mtls}, {@link Issuer.jwtSvid}. */
  issuer: Issuer
  /** The tenant the workload works for. */
  tenantId: string
  /** The trust domain the ID must live in. Default: any. */
  trustDomain?: string | SpiffeTrustDomain
  /** As for {@link SplitOptions.split}. */
  split?: SplitOptions['split']
  /** What else is known. */
  attributes?: Readonly<Record<string, unknown>>
}

/**
 * The principal of a SPIFFE ID that was **proven** to be the peer's.
 *
 * @example
 * const { spiffeId } = verifyX509Svid(chain, bundles)
 * const principal = principalOf(spiffeId, { issuer: Issuer.mtls, tenantId, trustDomain: 'acme.example' })
 *
 * @throws {@link CountersignError} `ERR_INVALID_SPIFFE_ID` (`wrong_path_shape`, `trust_domain_mismatch`, ...),
 *   `ERR_INVALID_ID`
 */
export function principalOf(spiffeId: SpiffeId | string, options: PrincipalOfOptions): WorkloadPrincipal

// ---------------------------------------------------------------------------------------------------------------------
// Resolvers

/** Limits of one call. */
export interface ResolveOptions {
  /** Takes the call back; it rejects with the signal's `reason`. */
  signal?: AbortSignal | undefined
  /** Milliseconds; `ERR_TIMEOUT` after that. `null`: none of its own. Default `null`. */
  timeout?: number | null | undefined
}

/** The one interface of everything that ends in a principal. */
export interface PrincipalResolver<P extends Principal = Principal> {
  /**
   * @throws {@link CountersignError} with
   * - `ERR_NOT_AUTHENTICATED`: the request is not authenticated (`reason`, the refusal in `cause`)
   * - `ERR_INVALID_SPIFFE_ID`, `ERR_INVALID_TRUST_DOMAIN`, `ERR_INVALID_COMPONENT`, `ERR_INVALID_ID`: somebody is, with
   *   a name that is none
   */
  resolve(options?: ResolveOptions): Promise<P>
}

/** A resolver that verifies the credentials of requests: what {@link requirePrincipal} takes. */
export interface RequestResolver<P extends Principal = Principal> {
  /** The same rules for the sender of a request: Node's own, Express's or Fastify's. */
  forRequest(req: RequestLike): PrincipalResolver<P>
}

/** A request of `node:http`, `node:http2` (compatibility), Express, or Fastify. */
export type RequestLike =
  | IncomingMessage
  | { readonly raw: unknown }
  | { readonly headers: unknown; readonly socket?: unknown }

/** Which tenant it is. */
export type TenantOptions =
  | {
      /** Always this one. */
      tenantId: string
      tenantOf?: undefined
    }
  | {
      tenantId?: undefined
      /**
       * Looks the tenant up by its readable name. `undefined`: there is none (`ERR_NOT_AUTHENTICATED`,
       * `unknown_tenant`).
       */
      tenantOf: (slug: string) => string | null | undefined | Promise<string | null | undefined>
    }

/** How a SPIFFE ID is read. */
export interface SplitOptions {
  /**
   * What the ID says of its workload. Default: the path must be `/service/tenant`, or it is `ERR_INVALID_SPIFFE_ID`
   * (`wrong_path_shape`).
   *
   * @example
   * split: (id) => ({ serviceName: id.segments.at(-1), tenantSlug: id.segments[1] })   // /ns/blue/sa/billing
   */
  split?:
    | ((id: SpiffeId) => { serviceName: string; tenantSlug: string; attributes?: Record<string, unknown> })
    | undefined
}

/** What {@link CliResolver} is made of. */
export interface CliFields {
  trustDomain: string | SpiffeTrustDomain
  serviceName: string
  tenantId: string
  tenantSlug: string
  attributes?: Readonly<Record<string, unknown>>
}

/**
 * This process's own principal, as its command line and environment say. Issuer `cli`.
 *
 * | field | command line | environment |
 * |---|---|---|
 * | `trustDomain` | `--trust-domain` | `COUNTERSIGN_TRUST_DOMAIN` |
 * | `serviceName` | `--service-name` | `COUNTERSIGN_SERVICE_NAME` |
 * | `tenantId` | `--tenant-id` | `COUNTERSIGN_TENANT_ID` |
 * | `tenantSlug` | `--tenant-slug` | `COUNTERSIGN_TENANT_SLUG` |
 * | `attributes` | `--attribute name=text`, repeatable | `COUNTERSIGN_ATTRIBUTES`, a JSON object |
 *
 * @example
 * const me = await CliResolver.read({ defaults: { serviceName: 'billing' } }).resolve()
 */
export class CliResolver implements PrincipalResolver<WorkloadPrincipal> {
  /**
   * @throws {@link CountersignError} `ERR_INVALID_COMPONENT` with the reason `not_set` for what is missing, in the
   *   order of the table; else as {@link WorkloadPrincipal} does
   */
  constructor(fields: CliFields)
  /**
   * What the command line says (`--name value` or `--name=value`, up to `--`; the program's own options are passed
   * over) before what the environment says before the defaults. An option that is there twice, and one that is empty,
   * is an error. Fails as the constructor does, and with `ERR_INVALID_ARGUMENT`.
   */
  static read(options?: {
    /** Default: `process.argv.slice(2)`. */
    argv?: readonly string[]
    /** Default: `process.env`. */
    env?: Record<string, string | undefined>
    defaults?: Partial<CliFields>
  }): CliResolver
  /** What {@link CliResolver.resolve} gives, each time. */
  readonly principal: WorkloadPrincipal
  resolve(options?: ResolveOptions): Promise<WorkloadPrincipal>
}

/** What a mapper makes of a proof. */
export interface WorkloadMapping {
  /** Default: `spiffe://<trustDomain>/<serviceName>/<tenantSlug>`. It must live in the pinned trust domain. */
  workloadId?: string
  serviceName: string
  tenantSlug: string
  /** In place of those that are there by default. */
  attributes?: Record<string, unknown>
}

/** How this process's identity becomes a principal. */
export type WhoamiResolverOptions = TenantOptions & {
  /** Whom to ask. Default: `new IdentityClient()`. */
  client?: { getIdentity(options?: { signal?: AbortSignal }): Promise<Identity> }
  trustDomain: string | SpiffeTrustDomain
} & (
    | {
        /** The readable name of the tenant; the service is called as the identity is. */ tenantSlug: string
        map?: undefined
      }
    | { tenantSlug?: undefined; map: (identity: Identity) => WorkloadMapping | Promise<WorkloadMapping> }
  )

/**
 * This process's own principal, on the word of the identity-by-PID daemon. Issuer `whoami`; attributes `config_url`,
 * `gid`, `hostname`, `idm_url`, `pid`, `uid`, and never the token.
 *
 * @example
 * const me = await new WhoamiResolver({ trustDomain: 'acme.example', tenantId, tenantSlug: 'blue' }).resolve()
 * me.workloadId   // 'spiffe://acme.example/BILLING_PROD/blue'
 */
export class WhoamiResolver implements PrincipalResolver<WorkloadPrincipal> {
  /** @throws {@link CountersignError} `ERR_INVALID_ARGUMENT`, `ERR_INVALID_TRUST_DOMAIN`, `ERR_INVALID_ID` */
  constructor(options: WhoamiResolverOptions)
  resolve(options?: ResolveOptions): Promise<WorkloadPrincipal>
}

/** How a local peer becomes a principal. */
export type PeerResolverOptions = TenantOptions & {
  /** What the peer must be; another peer is no principal. */
  policy: PeerPolicies
  trustDomain: string | SpiffeTrustDomain
  /** Whose principal {@link PeerResolver.resolve} gives. */
  peer?: PeerTarget | (() => PeerTarget | undefined | Promise<PeerTarget | undefined>)
} & (
    | { serviceName: string; tenantSlug: string; map?: undefined }
    | {
        serviceName?: undefined
        tenantSlug?: undefined
        map: (peer: PeerProcess) => WorkloadMapping | Promise<WorkloadMapping>
      }
  )

/**
 * The principal of the process at the other end of a Unix socket, on the word of the kernel. Issuer `peer_cred`;
 * attributes `exe`, `gid`, `pid`, `uid`.
 *
 * @example
 * const local = new PeerResolver({
 *   policy: { uid: 1001, exe: '/usr/bin/billing' },
 *   trustDomain: 'acme.example', tenantId, tenantSlug: 'blue', serviceName: 'billing',
 * })
 * http.createServer(app).listen('/run/acme/api.sock')
 * app.use(requirePrincipal(local))
 */
export class PeerResolver implements PrincipalResolver<WorkloadPrincipal>, RequestResolver<WorkloadPrincipal> {
  /** @throws {@link CountersignError} `ERR_INVALID_ARGUMENT`, `ERR_INVALID_TRUST_DOMAIN`, `ERR_INVALID_ID` */
  constructor(options: PeerResolverOptions)
  resolve(options?: ResolveOptions): Promise<WorkloadPrincipal>
  /** The same rules for another peer. */
  for(peer: PeerTarget): PrincipalResolver<WorkloadPrincipal>
  forRequest(req: RequestLike): PrincipalResolver<WorkloadPrincipal>
}

/** How JWT-SVIDs become principals. */
export type JwtSvidResolverOptions = SplitOptions &
  Omit<VerifyJwtSvidOptions, 'now'> & {
    /** The trust domain the workload must live in. */
    trustDomain: string | SpiffeTrustDomain
    /** Who must have issued the token (`iss`). Default: any that the trust domain signs for. */
    issuer?: string
    /**
     * Always this tenant. Without it and `tenantOf`, the token names its own (`tid`), or the request is not
     * authenticated.
     */
    tenantId?: string
    /** Looks the tenant up by the slug in the ID. A token that names another one (`tid`) proves nothing. */
    tenantOf?: (slug: string) => string | null | undefined | Promise<string | null | undefined>
    /** Whose principal {@link JwtSvidResolver.resolve} gives. */
    token?: string | (() => string | undefined | Promise<string | undefined>)
  } & (
    | { /** What to verify with. */ bundles: BundleSet | JwtBundle | SpiffeBundle; source?: undefined }
    | { bundles?: undefined /** The verifier: a {@link JwtSource}, or anything like it. */; source: JwtSvidJudge }
  )

/** Verifies JWT-SVIDs. */
export interface JwtSvidJudge {
  validate(
    token: string,
    options: VerifyJwtSvidOptions
  ): Pick<JwtSvid, 'spiffeId' | 'claims'> | Promise<Pick<JwtSvid, 'spiffeId' | 'claims'>>
}

/**
 * The principals of JWT-SVIDs. Issuer `jwt_svid`.
 *
 * @example
 * const source = await JwtSource.open()
 * const callers = new JwtSvidResolver({ source, audience: 'spiffe://acme.example/api', trustDomain: 'acme.example' })
 * app.use(requirePrincipal(callers))
 * const principal = await callers.for(token).resolve()
 */
export class JwtSvidResolver implements PrincipalResolver<WorkloadPrincipal>, RequestResolver<WorkloadPrincipal> {
  /** @throws {@link CountersignError} `ERR_INVALID_ARGUMENT`, `ERR_INVALID_TRUST_DOMAIN`, `ERR_INVALID_ID` */
  constructor(options: JwtSvidResolverOptions)
  resolve(options?: ResolveOptions): Promise<WorkloadPrincipal>
  /** The same rules for another token. */
  for(token: string): PrincipalResolver<WorkloadPrincipal>
  /** The same rules for the bearer token of a request (RFC 6750 2.1). */
  forRequest(req: RequestLike): PrincipalResolver<WorkloadPrincipal>
}

/** A TLS socket, or certificates, leaf first. */
export type MtlsPeer = TLSSocket | CertificateLike | readonly CertificateLike[]

/** How TLS peers become principals. */
export type MtlsResolverOptions = SplitOptions &
  TenantOptions & {
    /** The trust domain the workload must live in. */
    trustDomain: string | SpiffeTrustDomain
    /**
     * What to verify with. Without them and a `source`, TLS must have verified the peer: `socket.authorized`, no
     * resumed session.
     */
    bundles?: BundleSet | X509Bundle | SpiffeBundle
    /** An {@link X509Source}, or anything like it: verify with its present bundles. */
    source?: { context(): { readonly bundles: BundleSet } }
    /**
     * Certificates without a socket: say that their chain was verified, and that the peer has the key. Default `false`.
     */
    verified?: boolean
    /** Whose principal {@link MtlsResolver.resolve} gives. */
    peer?: MtlsPeer | (() => MtlsPeer | undefined | Promise<MtlsPeer | undefined>)
  }

/**
 * The principals of TLS peers with an X509-SVID. Issuer `mtls`. The leaf must keep every rule of X.509-SVID.
 *
 * @example
 * const callers = new MtlsResolver({ source, trustDomain: 'acme.example', tenantOf: (slug) => tenants.get(slug) })
 * https.createServer({ ...tls, requestCert: true }, app)
 * app.use(requirePrincipal(callers))
 */
export class MtlsResolver implements PrincipalResolver<WorkloadPrincipal>, RequestResolver<WorkloadPrincipal> {
  /** @throws {@link CountersignError} `ERR_INVALID_ARGUMENT`, `ERR_INVALID_TRUST_DOMAIN`, `ERR_INVALID_ID` */
  constructor(options: MtlsResolverOptions)
  resolve(options?: ResolveOptions): Promise<WorkloadPrincipal>
  /** The same rules for another peer. */
  for(peer: MtlsPeer): PrincipalResolver<WorkloadPrincipal>
  /** The same rules for the peer at the other end of a request's connection. */
  forRequest(req: RequestLike): PrincipalResolver<WorkloadPrincipal>
}

/** The claims of a token, proven. Without prototypes, frozen all the way down. */
export type Claims = Readonly<Record<string, any>>

/** What a mapper makes of the claims of a human's token. */
export interface HumanMapping {
  userId: string
  sessionId?: string
  /** For `tenantOf`. */
  tenantSlug?: string
  attributes?: Record<string, unknown>
}

/** How tokens of an OIDC provider become principals. */
export type OidcResolverOptions = TenantOptions & {
  /**
   * Whose tokens (`iss`), letter by letter. Without `jwks` and `jwksUri`, its configuration is looked up below this
   * URL.
   */
  issuer: string
  /** The names you answer to: the token must be meant for one of them. */
  audience: string | readonly string[]
  /** The trust domain of the principals. */
  trustDomain: string | SpiffeTrustDomain
  /** What the claims say. With a `userId`, it is a human. It may throw to refuse. */
  map: (claims: Claims) => WorkloadMapping | HumanMapping | Promise<WorkloadMapping | HumanMapping>
  /** Who is said to have vouched. Default {@link Issuer.oauth}. */
  principalIssuer?: Issuer
  /** Default: RS256, RS384, RS512, ES256, ES384. */
  algorithms?: readonly JwsAlgorithm[]
  /** How much clocks may differ, milliseconds: 0 to 120000. Default 60000. */
  leeway?: number
  /** Accept each token (`jti`) once: a {@link ReplayGuard}, or a store that several processes share. */
  once?: TokenLedger
  /** The provider's keys, as a JWKS. */
  jwks?: string | Uint8Array | { readonly keys: readonly object[] }
  /** Where they are: https. */
  jwksUri?: string
  /** The certificates to trust there, as for `node:tls`. Default: those Node.js trusts. */
  ca?: string | Uint8Array | readonly (string | Uint8Array)[]
  /** Headers for the provider, not sent to hosts it points to: `authorization` for a Kubernetes API server. */
  headers?: Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>)
  /** Milliseconds for one document. Default 5000. */
  fetchTimeout?: number
  /** Whose principal {@link OidcResolver.resolve} gives. */
  token?: string | (() => string | undefined | Promise<string | undefined>)
}

/** Remembers which tokens were used. */
export interface TokenLedger {
  /** Whether this is the first use: only `true` is. The key may be forgotten at `expiresAt`. */
  use(key: string, expiresAt: Date): boolean | Promise<boolean>
}

/**
 * The principals of tokens of an OIDC provider, or of any other issuer of JWTs (RFC 7519, 8725). Issuer `oauth`, unless
 * said otherwise.
 *
 * The signature comes first, by the key the token names (`kid`) among the provider's; then issuer, audience, expiry.
 * Tokens of more than 8192 bytes, without `exp`, with `crit`, of another `typ` than `JWT` or `at+jwt`, and algorithms
 * that rest on a shared secret are refused.
 *
 * Keys are fetched when they are first needed, and again after ten minutes or when a token names one that is not known,
 * at most every 30 seconds. Keys that cannot be fetched again are believed for an hour. No redirect is followed.
 *
 * @example
 * const users = new OidcResolver({
 *   issuer: 'https://login.acme.example', audience: 'api', trustDomain: 'acme.example', tenantId,
 *   map: ({ sub, sid, amr }) => ({ userId: sub, sessionId: sid, attributes: { amr } }),
 * })
 * const principal = await users.for(token).resolve()
 */
export class OidcResolver implements PrincipalResolver, RequestResolver {
  /**
   * @throws {@link CountersignError} `ERR_INVALID_ARGUMENT`, `ERR_INVALID_BUNDLE` (the `jwks`),
   *   `ERR_INVALID_TRUST_DOMAIN`
   */
  constructor(options: OidcResolverOptions)
  resolve(options?: ResolveOptions): Promise<Principal>
  /** The same rules for another token. */
  for(token: string): PrincipalResolver
  /** The same rules for the bearer token of a request (RFC 6750 2.1). */
  forRequest(req: RequestLike): PrincipalResolver
}

/** The part of {@link OidcResolverOptions} that is known of a provider. */
export interface OidcPreset {
  readonly issuer: string
  readonly principalIssuer: CustomIssuer
  readonly map: (claims: Claims) => WorkloadMapping
}

/** Whose runs are accepted. At least one of the lists; every one that is given must hold. */
export interface GithubActionsOptions {
  /** Users and organizations, by their names. Names can be taken over when they become free: `ownerIds` cannot. */
  owners?: readonly string[]
  /** The same by their IDs, as in the claim `repository_owner_id`. */
  ownerIds?: readonly string[]
  /** `owner/repository`. */
  repositories?: readonly string[]
  /** Default `https://token.actions.githubusercontent.com`; a GitHub Enterprise Server has one of its own. */
  issuer?: string
}

/**
 * Runs of GitHub Actions: service = the repository's name, tenant slug = its owner. Issuer `github_actions`; attributes
 * `repository`, `repository_id`, `repository_owner`, `repository_owner_id`, `actor`, `workflow`, `ref`, `sha`,
 * `event_name`, `environment`, `job_workflow_ref`, `run_id`, as far as the token has them.
 *
 * @example
 * const runs = githubActions({ ownerIds: ['65'] })
 * new OidcResolver({ ...runs, audience: 'https://deploy.acme.example', trustDomain: 'acme.example', tenantId })
 */
export function githubActions(options: GithubActionsOptions): OidcPreset

/** Which service accounts are accepted. */
export interface KubernetesOptions {
  /** The cluster's issuer: `kubectl get --raw /.well-known/openid-configuration`. */
  issuer: string
  /** Default: every namespace of the cluster. */
  namespaces?: readonly string[]
}

/**
 * Service accounts of a Kubernetes cluster: service = the account's name, tenant slug = its namespace. Issuer
 * `kubernetes`; attributes `sa_uid`, `pod_name`, `pod_uid`.
 *
 * @example
 * const token = () => readFileSync('/var/run/secrets/kubernetes.io/serviceaccount/token', 'utf8')
 * new OidcResolver({
 *   ...kubernetes({ issuer: 'https://kubernetes.default.svc.cluster.local' }),
 *   jwksUri: 'https://kubernetes.default.svc/openid/v1/jwks',
 *   ca: readFileSync('/var/run/secrets/kubernetes.io/serviceaccount/ca.crt'),
 *   headers: () => ({ authorization: `Bearer ${token()}` }),
 *   audience: 'api', trustDomain: 'acme.example', tenantOf,
 * })
 */
export function kubernetes(options: KubernetesOptions): OidcPreset

/**
 * Accepts each token once, in this process. When there is no room to remember another one, none is accepted.
 *
 * @example
 * new OidcResolver({ ..., once: new ReplayGuard() })
 */
export class ReplayGuard implements TokenLedger {
  /** `limit`: tokens that are remembered at a time. Default 100000. */
  constructor(options?: { limit?: number })
  /** How many are remembered. */
  get size(): number
  use(key: string, expiresAt: Date): boolean
}

/** An authenticated session. */
export interface Session {
  readonly userId: string
  readonly tenantId: string
  readonly sessionId: string
  readonly attributes?: Readonly<Record<string, unknown>> | undefined
}

/**
 * The principals of users behind a session of your own.
 *
 * @example
 * const users = new SessionResolver({ session: async (req) => {
 *   const session = await store.get(req.cookies.sid)
 *   if (!session?.authenticated) return undefined
 *   return { userId: session.user, tenantId: session.tenant, sessionId: session.id }
 * } })
 * app.use(requirePrincipal(users, { kind: 'human' }))
 */
export class SessionResolver implements PrincipalResolver<HumanPrincipal>, RequestResolver<HumanPrincipal> {
  /**
   * `session` gets the request, or nothing from {@link SessionResolver.resolve}. `undefined`: the request is not
   * authenticated.
   */
  constructor(options: { session: (req?: any) => Session | null | undefined | Promise<Session | null | undefined> })
  resolve(options?: ResolveOptions): Promise<HumanPrincipal>
  forRequest(req: RequestLike): PrincipalResolver<HumanPrincipal>
}

// ---------------------------------------------------------------------------------------------------------------------
// Requests

/** What a request's principal is taken from. */
export type PrincipalSource =
  | RequestResolver
  | ((
      req: any
    ) => Principal | PrincipalResolver | null | undefined | Promise<Principal | PrincipalResolver | null | undefined>)

/** Who may pass. */
export interface RequirePrincipalOptions<Kind extends Principal['kind'] = Principal['kind']> {
  /** Only this kind: 403 for the other. */
  kind?: Kind
  /** Only principals this accepts: `false` is 403; anything but `true` and `false`, and a throw, is 500. */
  authorize?: (principal: Extract<Principal, { kind: Kind }>, req: any) => boolean | Promise<boolean>
  /** Answers in our place, and may log. `answer` is what we would have said. */
  onRefuse?: (
    error: unknown,
    answer: { readonly status: 401 | 403 | 500; readonly headers: Readonly<Record<string, string>> },
    req: any,
    res: any
  ) => void | Promise<void>
}

/** A guard in front of a handler. */
export interface PrincipalGuard<P extends Principal = Principal> {
  /** For `node:http`: the principal, or `undefined` when the request was answered already. */
  (req: IncomingMessage, res: ServerResponse): Promise<P | undefined>
  /** For Express, Fastify and everything that calls back. */
  (req: any, res: any, next: (error?: any) => void): void
}

/**
 * A guard that lets only authenticated requests pass, and leaves the principal at `req.principal`.
 *
 * Of several sources, the first that finds a credential decides: a bad one is not left to the next. Refused are: with
 * 401 requests that are not authenticated, with 403 principals of the wrong kind or not authorized, with 500 our own
 * fault. The answer does not say more than that; `onRefuse` gets the error.
 *
 * @example
 * app.use(requirePrincipal([mtls, tokens], { kind: 'workload' }))                       // Express
 * fastify.addHook('onRequest', requirePrincipal(tokens))                                // Fastify
 * http.createServer(async (req, res) => {
 *   const principal = await guard(req, res)                             // const guard = requirePrincipal(tokens)
 *   if (principal) res.end(`hello ${principal}`)
 * })
 *
 * @throws {@link CountersignError} `ERR_INVALID_ARGUMENT`: also for a resolver that says who this process is
 */
export function requirePrincipal<Kind extends Principal['kind'] = Principal['kind']>(
  source: PrincipalSource | readonly PrincipalSource[],
  options?: RequirePrincipalOptions<Kind>
): PrincipalGuard<Extract<Principal, { kind: Kind }>>

/**
 * The principal that {@link requirePrincipal} found for a request.
 * @throws {@link CountersignError} `ERR_NO_PRINCIPAL`: there was no guard in front of this handler (500)
 */
export function getPrincipal(req: RequestLike): Principal

/** The status of an answer to a request that failed with this error. */
export function statusOf(error: unknown): 401 | 403 | 500

// ---------------------------------------------------------------------------------------------------------------------
// Policies

/** An entity of Cedar, as its JSON format has it. */
export interface CedarEntity {
  uid: { type: 'axess::Human' | 'axess::Workload'; id: string }
  attrs: Record<string, string | number | boolean | object>
  parents: []
}

/**
 * The Cedar entity of a principal: `axess::Human::"<user id>"` or `axess::Workload::"<workload id>"`. Fields stand
 * under the names they have in JSON, the issuer by its name; no attribute can take their place. Integers of 64 bits are
 * longs; other numbers, null, lists and objects are strings of JSON.
 *
 * @throws {@link CountersignError} `ERR_INVALID_ARGUMENT` for a long beyond 2^53-1 where the runtime has no
 *   `JSON.rawJSON` (Node.js 20)
 */
export function toCedarEntity(principal: Principal): CedarEntity

/** A principal as a plain map, for OPA and everything else that takes JSON. */
export type AttributeMap = { readonly kind: Principal['kind']; readonly attributes: Attributes } & Readonly<
  Record<string, unknown>
>

/**
 * A principal as a plain map for `JSON.stringify`: its fields under the names they have in JSON, the issuer by its
 * name, the attributes in a map of their own. Fails as {@link HumanPrincipal.toJSON} does.
 *
 * @example
 * const body = JSON.stringify({ input: { principal: toAttributeMap(principal) } })
 * await fetch(`${opa}/v1/data/api/allow`, { method: 'POST', body })
 */
export function toAttributeMap(principal: Principal): AttributeMap

// ---------------------------------------------------------------------------------------------------------------------
// What can go wrong

/** Why a request is not authenticated. */
export type NotAuthenticatedReason =
  /** There is no token, certificate, session or local peer. */
  | 'no_credential'
  /** There are two. */
  | 'ambiguous_credential'
  /** The credential was refused; the error of the verification is in `cause`. */
  | 'refused'
  /** The token was used before. */
  | 'replayed'
  /** There is no tenant of that name. */
  | 'unknown_tenant'
  /** There is nothing to verify with: keys, bundles or a daemon cannot be reached; the error is in `cause`. */
  | 'unavailable'

/** The rule that a component of a name breaks. */
export type ComponentReason =
  | 'not_set'
  | 'empty'
  | 'empty_segment'
  | 'dot_segment'
  | 'bad_path_segment_char'
  | 'reserved_label'
  | 'label_length'
  | 'bad_label_char'

/** The details of errors of principals, by code. */
export interface PrincipalErrorDetails {
  /** The request is not authenticated. */
  ERR_NOT_AUTHENTICATED: { readonly reason: NotAuthenticatedReason }
  /** A part of a name cannot be one: `service`, `tenant_slug`, `path segment`, `label`, or a field of a resolver. */
  ERR_INVALID_COMPONENT: { readonly component: string; readonly reason: ComponentReason }
  /** Not an ID of that kind. */
  ERR_INVALID_ID: { readonly kind: string; readonly reason: 'empty' | 'not_a_uuid' | 'reserved' }
  /** Not a principal: the rule, and the `member` that is missing or of the wrong type. */
  ERR_INVALID_PRINCIPAL: {
    readonly rule:
      | 'too_large'
      | 'malformed_json'
      | 'duplicate_member'
      | 'missing_member'
      | 'wrong_type'
      | 'unknown_kind'
      | 'unknown_issuer'
    readonly member?: string
  }
  /** The keys of a provider cannot be had. `url` is without its query. */
  ERR_KEYS_UNAVAILABLE: { readonly url: string }
  /** The principal is of the wrong kind (`expected`), or not authorized. */
  ERR_PRINCIPAL_DENIED: { readonly expected?: Principal['kind']; readonly actual: Principal['kind'] }
  /** A handler asked for the principal of a request that no guard has seen. */
  ERR_NO_PRINCIPAL: {}
}
