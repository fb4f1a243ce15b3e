// What an ES module sees of principals. Compiled, never run.
import {
  CliResolver,
  CountersignError,
  defineId,
  DeviceId,
  getPrincipal,
  githubActions,
  HumanPrincipal,
  Issuer,
  JwtSvidResolver,
  kubernetes,
  MtlsResolver,
  OidcResolver,
  PeerResolver,
  Principal,
  principalOf,
  ReplayGuard,
  requirePrincipal,
  SessionId,
  SessionResolver,
  statusOf,
  TenantId,
  toAttributeMap,
  toCedarEntity,
  TrustDomain,
  UserId,
  WhoamiResolver,
  WorkloadId,
  WorkloadPrincipal
} from 'countersign/principal'
import type {
  Attributes,
  CedarEntity,
  Claims,
  Id,
  IdOf,
  OidcPreset,
  PrincipalGuard,
  PrincipalResolver,
  PrincipalSource,
  RequestResolver,
  TokenLedger
} from 'countersign/principal'
import type { BundleSet, JwtSource, SpiffeId, X509Source } from 'countersign'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function same<A, B>(_: Same<A, B>): void {}

// --- IDs ---
const tenantId = TenantId.parse('9a36b1fe-3cf2-4ba5-8846-e1476509c712')
same<typeof tenantId, TenantId>(true)
same<TenantId, Id<'TenantId'>>(true)
const text: string = tenantId
// @ts-expect-error: a tenant is no user
const user: UserId = tenantId
// @ts-expect-error: a text is no tenant
const tenant: TenantId = text
// @ts-expect-error: bytes of a device, not of a session
SessionId.toBytes(DeviceId.random())
const AccountId = defineId('AccountId')
type AccountId = IdOf<typeof AccountId>
same<AccountId, Id<'AccountId'>>(true)
const account: AccountId = AccountId.random()
// @ts-expect-error: only tenants and users have one
AccountId.SYSTEM
declare const unknown: unknown
if (UserId.is(unknown)) same<typeof unknown, UserId>(true)
same<typeof UserId.SYSTEM, UserId>(true)

// --- names ---
const domain = TrustDomain.parse('acme.example')
const id = WorkloadId.build(domain, 'a', 'b')
const uri: `spiffe://${string}` = WorkloadId.parse(id, { strict: true })
// @ts-expect-error: a trust domain is no workload
const wrong: WorkloadId = domain
const issuers: Issuer[] = [Issuer.cli, Issuer.custom('k8s')]
for (const issuer of issuers) {
  if (issuer.kind === 'custom') same<typeof issuer.label, string>(true)
  else same<typeof issuer.label, undefined>(true)
}
// @ts-expect-error: made by Issuer
const made: Issuer = { kind: 'spire' }

// --- principals ---
const human = new HumanPrincipal({ userId: text, tenantId, sessionId: undefined, attributes: { a: 1 } })
const workload = new WorkloadPrincipal({
  trustDomain: domain,
  issuer: Issuer.oauth,
  tenantId,
  tenantSlug: 'b',
  serviceName: 'a'
})
new WorkloadPrincipal({ workloadId: id, issuer: Issuer.oauth, tenantId, tenantSlug: 'b', serviceName: 'a' })
new WorkloadPrincipal({ ...workload, attributes: {} })
// @ts-expect-error: neither an ID nor a trust domain
new WorkloadPrincipal({ issuer: Issuer.oauth, tenantId, tenantSlug: 'b', serviceName: 'a' })
// @ts-expect-error: frozen
human.userId = UserId.random()
function describe(principal: Principal): string {
  switch (principal.kind) {
    case 'human':
      return (same<typeof principal, HumanPrincipal>(true), principal.userId)
    case 'workload':
      return (same<typeof principal.issuer, Issuer>(true), principal.workloadId)
    default: {
      const never: never = principal
      return never
    }
  }
}
// @ts-expect-error: a human has none
Principal.parse('{}').workloadId
same<typeof human.attributes, Attributes>(true)
same<typeof human.sessionId, SessionId | undefined>(true)
declare const spiffeId: SpiffeId
same<ReturnType<typeof principalOf>, WorkloadPrincipal>(true)
principalOf(spiffeId, {
  issuer: Issuer.mtls,
  tenantId,
  trustDomain: 'acme.example',
  split: (it) => ({ serviceName: it.path, tenantSlug: '' })
})
// @ts-expect-error: whose tenant?
principalOf(spiffeId, { issuer: Issuer.mtls })

// --- resolvers ---
declare const bundles: BundleSet
declare const jwtSource: JwtSource
declare const x509Source: X509Source
declare const socket: TLSSocket
const common = { trustDomain: 'acme.example', tenantId }
const cli: PrincipalResolver<WorkloadPrincipal> = CliResolver.read({
  argv: [],
  env: process.env,
  defaults: { serviceName: 'a' }
})
const whoami: PrincipalResolver = new WhoamiResolver({ ...common, tenantSlug: 'b' })
const peer: RequestResolver<WorkloadPrincipal> = new PeerResolver({
  ...common,
  policy: { uid: 0 },
  map: (it) => ({ serviceName: `u${it.uid}`, tenantSlug: 'b' })
})
const svids = new JwtSvidResolver({ source: jwtSource, audience: 'a', trustDomain: domain })
new JwtSvidResolver({
  bundles,
  audience: ['a'],
  trustDomain: domain,
  tenantOf: async () => undefined,
  leeway: 0,
  token: async () => 'x'
})
const mtls = new MtlsResolver({ ...common, source: x509Source })
new MtlsResolver({ trustDomain: 'td', tenantOf: (slug) => slug, bundles }).for(socket)
const runs = new OidcResolver({
  ...githubActions({ owners: ['acme'] }),
  ...common,
  audience: 'a',
  once: new ReplayGuard()
})
new OidcResolver({
  ...kubernetes({ issuer: 'https://k8s' }),
  ...common,
  audience: 'a',
  jwksUri: 'https://k8s/keys',
  ca: 'pem',
  headers: () => ({ a: 'b' })
})
new OidcResolver({
  ...common,
  issuer: 'https://a',
  audience: ['b'],
  algorithms: ['PS256'],
  map: ({ sub }: Claims) => ({ userId: sub }),
  jwks: { keys: [{}] }
})
const users = new SessionResolver({ session: async (req) => req?.session })
same<Awaited<ReturnType<typeof users.resolve>>, HumanPrincipal>(true)
same<Awaited<ReturnType<typeof runs.resolve>>, Principal>(true)
same<ReturnType<typeof githubActions>, OidcPreset>(true)
const ledger: TokenLedger = { use: async (key, expiresAt) => key.length > expiresAt.getTime() }
await svids.for('token').resolve({ signal: AbortSignal.timeout(5), timeout: 5 })
// @ts-expect-error: whose runs?
githubActions()
// @ts-expect-error: whose tenant?
new MtlsResolver({ trustDomain: 'td' })
// @ts-expect-error: one of the two
new MtlsResolver({ trustDomain: 'td', tenantId, tenantOf: () => tenantId })
// @ts-expect-error: judged by whom?
new JwtSvidResolver({ audience: 'a', trustDomain: 'td' })
// @ts-expect-error: for whom?
new OidcResolver({ ...githubActions({ owners: ['acme'] }), ...common })
// @ts-expect-error: not an algorithm that is taken
new OidcResolver({ ...githubActions({ owners: ['acme'] }), ...common, audience: 'a', algorithms: ['HS256'] })
// @ts-expect-error: a policy is not optional
new PeerResolver({ ...common, serviceName: 'a', tenantSlug: 'b' })
// @ts-expect-error: a session has an ID
new SessionResolver({ session: () => ({ userId: text, tenantId }) })

// --- requests ---
declare const req: IncomingMessage
declare const res: ServerResponse
const sources: PrincipalSource[] = [peer, svids, mtls, runs, users, (it) => it.principal, async () => undefined]
const guard = requirePrincipal(sources)
same<typeof guard, PrincipalGuard>(true)
same<Awaited<ReturnType<typeof guard>>, void | undefined>(false)
const found: Principal | undefined = await guard(req, res)
guard(req, res, () => {})
const only = requirePrincipal(svids, {
  kind: 'workload',
  authorize: (principal) => principal.serviceName === 'billing',
  onRefuse: (error, { status }) => console.log(error, status)
})
const onlyWorkload: WorkloadPrincipal | undefined = await only(req, res)
// @ts-expect-error: says who this process is, not who sends a request
requirePrincipal(cli)
// @ts-expect-error: a workload has no user
requirePrincipal(svids, { kind: 'workload', authorize: (principal) => principal.userId === text })
same<ReturnType<typeof statusOf>, 401 | 403 | 500>(true)
same<ReturnType<typeof getPrincipal>, Principal>(true)

// --- policies ---
const entity: CedarEntity = toCedarEntity(workload)
same<typeof entity.parents, []>(true)
const kind: 'human' | 'workload' = toAttributeMap(human).kind

function explain(error: unknown): string {
  if (!CountersignError.is(error)) return ''
  if (error.code === 'ERR_NOT_AUTHENTICATED') return error.reason === 'replayed' ? 'again' : error.reason
  if (error.code === 'ERR_INVALID_ID') return error.kind + error.reason
  if (error.code === 'ERR_PRINCIPAL_DENIED') return error.expected ?? error.actual
  return error.code
}
export { account, describe, entity, explain, found, kind, ledger, made, onlyWorkload, tenant, uri, user, whoami, wrong }
