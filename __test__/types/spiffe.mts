// What an ES module sees of the SPIFFE part. Compiled, never run.
import {
  authorize,
  BundleMap,
  BundleSet,
  CountersignError,
  JwtBundle,
  JwtSvid,
  SpiffeBundle,
  SpiffeId,
  TrustDomain,
  VerifiedX509Svid,
  verifyJwtSvid,
  verifyX509Svid,
  X509Bundle,
  X509Svid
} from 'countersign'
import type {
  Authorizer,
  BundleRemark,
  CertificatesLike,
  DescribedAuthorizer,
  JwsAlgorithm,
  KeyAlgorithm,
  SpiffeIdReason,
  SpiffeIdString,
  VerifyJwtSvidOptions,
  VerifyX509SvidOptions
} from 'countersign'
import type { KeyObject, X509Certificate } from 'node:crypto'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function same<A, B>(_: Same<A, B>): void {}

declare const certificate: X509Certificate
declare const key: KeyObject

// --- names ---
const id = SpiffeId.parse('spiffe://example.org/a')
same<typeof id.uri, SpiffeIdString>(true)
same<typeof id.trustDomain, TrustDomain>(true)
same<ReturnType<typeof id.toJSON>, SpiffeIdString>(true)
SpiffeId.fromSegments('example.org', ['a', 'b'])
  .appendPath('/c')
  .replacePath('')
  .appendSegments(new Set(['d']))
// @ts-expect-error: made by parse
new SpiffeId('spiffe://example.org')
// @ts-expect-error: frozen
id.uri = 'spiffe://evil'
// @ts-expect-error: made by parse
new TrustDomain()

const authorizers: Authorizer[] = [
  authorize.any(),
  authorize.id(id),
  authorize.oneOf(['spiffe://example.org/a', id]),
  authorize.memberOf('example.org'),
  authorize.idPrefix(id),
  authorize.anyOf([authorize.any(), (one) => one.path === '/a']),
  authorize.allOf([authorize.any()]),
  authorize.not(authorize.any()),
  authorize.custom('my own', (one) => one.equals(id)),
  (one) => one.memberOf('example.org')
]
same<ReturnType<typeof authorize.any>, DescribedAuthorizer>(true)
// @ts-expect-error: a promise is truthy
authorize.not(async () => true)
// @ts-expect-error: not made yet
verifyX509Svid(certificate, new BundleSet(), { authorize: authorize.oneOf })

// --- SVIDs ---
const svid = X509Svid.fromPem('pem', undefined, { hint: 'internal' })
X509Svid.fromDer([certificate, new Uint8Array()], key)
X509Svid.load('/svid.pem', '/key.pem')
same<typeof svid.certificates, readonly X509Certificate[]>(true)
same<typeof svid.privateKey, KeyObject>(true)
same<typeof svid.expiresAt, Date>(true)
same<typeof svid.keyAlgorithm, KeyAlgorithm>(true)
const rotate: boolean = svid.needsRotation(new Date())
const token = JwtSvid.parseInsecure('a.b.c')
same<typeof token.algorithm, JwsAlgorithm>(true)
same<typeof token.issuedAt, Date | undefined>(true)
same<typeof token.claims, Readonly<Record<string, unknown>>>(true)
// @ts-expect-error: read, never written
token.token = 'x'

// --- bundles ---
const x509 = X509Bundle.fromPem('example.org', 'pem')
const jwt = JwtBundle.fromJwks(TrustDomain.parse('example.org'), '{"keys":[]}', { lazy: true })
jwt.add('k', key)
jwt.add('k', { kty: 'EC' })
const bundle = new SpiffeBundle('example.org', {
  x509Bundle: x509,
  jwtBundle: jwt,
  sequence: 2n ** 63n,
  refreshHint: 1000
})
same<typeof bundle.sequence, number | bigint | undefined>(true)
same<typeof bundle.skipped, readonly BundleRemark[]>(true)
bundle.with({ sequence: undefined })
const bundles = new BundleSet([x509, jwt, bundle])
new BundleMap([bundle]).toBundleSet().equals(bundles)
// @ts-expect-error: a map holds whole documents
new BundleMap([x509])

// --- judges ---
const chains: (CertificatesLike | string)[] = ['pem', certificate, [certificate], new Uint8Array(), [new Uint8Array()]]
const x509Options: VerifyX509SvidOptions = {
  now: new Date(),
  authorize: (one) => one.memberOf('example.org'),
  usage: 'serverAuth'
}
const jwtOptions: VerifyJwtSvidOptions = {
  audience: ['a'],
  leeway: 0,
  now: new Date(),
  requireKid: true,
  allowExtraHeaders: true
}
for (const chain of chains)
  same<ReturnType<typeof verifyX509Svid>, VerifiedX509Svid>(true), verifyX509Svid(chain, x509, x509Options)
same<ReturnType<typeof verifyJwtSvid>, JwtSvid>(true)
verifyJwtSvid('t', bundle, jwtOptions)
// @ts-expect-error: an audience is not optional
verifyJwtSvid('t', bundles)
// @ts-expect-error: an audience is not optional
verifyJwtSvid('t', bundles, {})
// @ts-expect-error: no X.509 authorities vouch for tokens
verifyJwtSvid('t', x509, jwtOptions)
// @ts-expect-error: a Date
verifyX509Svid(certificate, bundles, { now: 5 })

function explain(error: unknown): string {
  if (!CountersignError.is(error)) return ''
  if (error.code === 'ERR_INVALID_SPIFFE_ID') return (same<typeof error.reason, SpiffeIdReason>(true), error.reason)
  if (error.code === 'ERR_UNTRUSTED_SVID') return error.rule + (error.expected ?? '') + (error.trustDomain ?? '')
  return error.code
}
export { authorizers, explain, rotate }
