/** SPIFFE: names, the documents that prove them, and their verification. Exported by `countersign`. */
import type { KeyObject, X509Certificate } from 'node:crypto'

// ---------------------------------------------------------------------------------------------------------------------
// Names

/** The text of a SPIFFE ID. */
export type SpiffeIdString = `spiffe://${string}`

/** A rule of SPIFFE-ID 2 that a text breaks; in the last line, those of `countersign/principal`. */
export type SpiffeIdReason =
  | 'empty'
  | 'too_long'
  | 'wrong_scheme'
  | 'missing_trust_domain'
  | 'bad_trust_domain_char'
  | 'trust_domain_too_long'
  | 'missing_leading_slash'
  | 'empty_segment'
  | 'dot_segment'
  | 'trailing_slash'
  | 'bad_path_segment_char'
  | 'query_or_fragment'
  | 'user_info'
  | 'port'
  | 'bad_first_char'
  | 'wrong_path_shape'
  | 'trust_domain_mismatch'

/**
 * The name of a workload: `spiffe://example.org/billing`. Frozen; in canonical form (scheme and trust domain in lower
 * case, the path as it is).
 *
 * @example
 * const id = SpiffeId.parse('spiffe://Example.org/billing')
 * `${id}`                              // 'spiffe://example.org/billing'
 * id.memberOf('example.org')           // true
 * id.appendSegments(['db']).path       // '/billing/db'
 */
export class SpiffeId {
  private constructor()
  /**
   * Read a SPIFFE ID.
   * @throws {@link CountersignError} `ERR_INVALID_SPIFFE_ID` with the broken rule as `reason`
   */
  static parse(text: string): SpiffeId
  /**
   * The ID of a trust domain with a path made of segments. None makes the trust domain's own ID.
   * @throws {@link CountersignError} `ERR_INVALID_SPIFFE_ID`, `ERR_INVALID_TRUST_DOMAIN`
   */
  static fromSegments(trustDomain: TrustDomain | string, segments: Iterable<string>): SpiffeId
  /** A `SpiffeId` as it is, a text parsed. `name` is what messages call the argument. */
  static from(value: SpiffeId | string, name?: string): SpiffeId
  /** The canonical text. */
  readonly uri: SpiffeIdString
  /** The trust domain the ID lives in. */
  get trustDomain(): TrustDomain
  /** The path: empty, or starting with a slash. */
  get path(): string
  /** The segments of the path. */
  get segments(): string[]
  /** This ID with a path, such as `/db`, put behind its own. Fails as {@link SpiffeId.parse} does. */
  appendPath(path: string): SpiffeId
  /** This ID with segments put behind its path. Fails as {@link SpiffeId.parse} does. */
  appendSegments(segments: Iterable<string>): SpiffeId
  /** The ID in the same trust domain with another path. An empty one makes the trust domain's own ID. */
  replacePath(path: string): SpiffeId
  /** Whether the ID lives in the trust domain. */
  memberOf(trustDomain: TrustDomain | SpiffeId | string): boolean
  /** Whether the other value is the same name. A text that is no name is not. */
  equals(other: unknown): boolean
  /** The canonical text. */
  toString(): SpiffeIdString
  /** The canonical text. */
  toJSON(): SpiffeIdString
}

/**
 * The name of a trust domain: `example.org`. Frozen, in lower case.
 *
 * @example
 * TrustDomain.parse('example.org').equals('spiffe://Example.org')  // true
 */
export class TrustDomain {
  private constructor()
  /**
   * Read a bare name, a trust domain's own ID, or any ID in it.
   * @throws {@link CountersignError} `ERR_INVALID_TRUST_DOMAIN` with the broken rule as `reason`
   */
  static parse(text: string): TrustDomain
  /** A `TrustDomain` as it is, that of a `SpiffeId`, a text parsed. `name` is what messages call the argument. */
  static from(value: TrustDomain | SpiffeId | string, name?: string): TrustDomain
  /** The bare name. */
  readonly name: string
  /** The trust domain's own ID. Signing certificates carry it, workloads never do. */
  get id(): SpiffeId
  /** Whether the other value is the same trust domain. */
  equals(other: unknown): boolean
  /** The bare name. */
  toString(): string
  /** The bare name. */
  toJSON(): string
}

/**
 * Decides whether a verified name is authorized. It must answer `true` or `false` at once: a promise, any other value
 * and a throw refuse (`ERR_UNTRUSTED_SVID`, rule `authorizer_failed`).
 */
export type Authorizer = (id: SpiffeId) => boolean

/** An authorizer made by {@link authorize}: it also takes texts, and describes the names it authorizes. */
export interface DescribedAuthorizer {
  (id: SpiffeId | string): boolean
  /** The names it authorizes, in words. */
  readonly description: string
  /** The description. */
  toString(): string
}

/**
 * Which names are authorized. Everything made here composes, and takes functions of your own.
 *
 * @example
 * const authorizer = authorize.allOf([
 *   authorize.idPrefix('spiffe://example.org/shop'),
 *   authorize.not(authorize.id('spiffe://example.org/shop/test')),
 * ])
 * authorizer('spiffe://example.org/shop/web')     // true
 * authorizer('spiffe://example.org/shopkeeper')   // false
 * `${authorizer}`                                 // for logs
 */
export const authorize: {
  /** Every verified name in any trust domain there is a bundle for. */
  any(): DescribedAuthorizer
  /** Exactly this name. */
  id(id: SpiffeId | string): DescribedAuthorizer
  /** These names. An empty list authorizes no name. */
  oneOf(ids: Iterable<SpiffeId | string>): DescribedAuthorizer
  /** Every name in the trust domain. */
  memberOf(trustDomain: TrustDomain | SpiffeId | string): DescribedAuthorizer
  /** This name and the names below it, segment by segment: `/shop` covers `/shop/web`, and not `/shopkeeper`. */
  idPrefix(prefix: SpiffeId | string): DescribedAuthorizer
  /** Names that at least one authorizes. An empty list authorizes no name. */
  anyOf(authorizers: Iterable<Authorizer>): DescribedAuthorizer
  /** Names that every one authorizes. An empty list authorizes no name: that is a configuration that got lost. */
  allOf(authorizers: Iterable<Authorizer>): DescribedAuthorizer
  /** Names the other one refuses. A failure of the other one stays a failure. */
  not(authorizer: Authorizer): DescribedAuthorizer
  /** A function of your own with a description for error messages. */
  custom(description: string, accepts: Authorizer): DescribedAuthorizer
}

// ---------------------------------------------------------------------------------------------------------------------
// SVIDs

/** The kind of key a certificate is about. `other`: one that is verified, but not used for serving. */
export type KeyAlgorithm = 'rsa' | 'ecdsa_p256' | 'ecdsa_p384' | 'ecdsa_p521' | 'ed25519' | 'other'

/** An algorithm a JWT-SVID may be signed with (JWT-SVID 2.1). There are no others. */
export type JwsAlgorithm = 'RS256' | 'RS384' | 'RS512' | 'ES256' | 'ES384' | 'ES512' | 'PS256' | 'PS384' | 'PS512'

/** A certificate, or its DER. */
export type CertificateLike = X509Certificate | Uint8Array

/** Certificates: concatenated DER, one certificate, or a list, leaf first. */
export type CertificatesLike = CertificateLike | readonly CertificateLike[]

/**
 * A workload's certificate chain and private key (X.509-SVID). Frozen. The leaf keeps every rule of the profile,
 * further certificates are signing certificates, the key matches. The key is shown nowhere but under its own names, and
 * is kept outside of JavaScript's memory until it is asked for.
 *
 * @example
 * const svid = X509Svid.load('/run/spiffe/svid.pem', '/run/spiffe/key.pem')
 * `${svid}`                 // 'spiffe://example.org/billing'
 * tls.createSecureContext({ cert: svid.chainPem(), key: svid.keyPem() })
 */
export class X509Svid {
  private constructor()
  /**
   * From DER. The key is unencrypted PKCS#8, or a `KeyObject`.
   * @throws {@link CountersignError} `ERR_INVALID_SVID` with `rule`
   */
  static fromDer(chain: CertificatesLike, privateKey: Uint8Array | KeyObject, options?: { hint?: string }): X509Svid
  /**
   * From PEM, the key in the same text or in one of its own.
   * @throws {@link CountersignError} `ERR_INVALID_SVID` with `rule`
   */
  static fromPem(chain: string | Uint8Array, privateKey?: string | Uint8Array, options?: { hint?: string }): X509Svid
  /**
   * From PEM files, read at once. With one path, the file holds the key as well.
   * @throws {@link CountersignError} `ERR_INVALID_SVID` with `rule` (`unreadable_file` with `path`)
   */
  static load(chainPath: string, keyPath?: string, options?: { hint?: string }): X509Svid
  /** The name of the workload. */
  readonly spiffeId: SpiffeId
  /** The label an operator gave it. */
  readonly hint: string | undefined
  /** First second of the leaf's validity. */
  readonly notBefore: Date
  /** Last second of the leaf's validity. */
  readonly expiresAt: Date
  /** The leaf's serial number in lower-case hexadecimal. */
  readonly serialNumber: string
  /** The kind of key. */
  readonly keyAlgorithm: KeyAlgorithm
  /** The chain, leaf first. Made on first use. */
  get certificates(): readonly X509Certificate[]
  /** The private key. Made on first use. Secret. */
  get privateKey(): KeyObject
  /** The chain as PEM, leaf first. */
  chainPem(): string
  /** The private key as PEM. Secret. */
  keyPem(): string
  /** Whether half of the lifetime is over, now or at the given time. */
  needsRotation(now?: Date): boolean
  /** Whether chain, key and hint are the same. */
  equals(other: unknown): boolean
  /** The SPIFFE ID. */
  toString(): string
  /** Everything that is no secret. */
  toJSON(): Record<string, unknown>
}

/**
 * A token that names a workload (JWT-SVID). Frozen. The token is shown nowhere but under its own name.
 *
 * @example
 * const svid = verifyJwtSvid(token, bundles, { audience: 'billing' })
 * svid.spiffeId.memberOf('example.org')
 */
export class JwtSvid {
  private constructor()
  /**
   * Read a token without looking at its signature or at the clock: nothing it says is proven. Every other rule is kept.
   * @throws {@link CountersignError} `ERR_INVALID_TOKEN` with `rule`
   */
  static parseInsecure(token: string, options?: { hint?: string }): JwtSvid
  /** The name of the workload: `sub`. */
  readonly spiffeId: SpiffeId
  /** Whom the token is meant for: `aud`. */
  readonly audience: readonly string[]
  /** When it expires: `exp`. */
  readonly expiresAt: Date
  /** When it was issued: `iat`, when there is one. */
  readonly issuedAt: Date | undefined
  /** The algorithm it is signed with. */
  readonly algorithm: JwsAlgorithm
  /** The ID of the key it says it is signed with. */
  readonly keyId: string | undefined
  /** The label an operator gave it. */
  readonly hint: string | undefined
  /** The token itself. Secret. */
  get token(): string
  /** All claims. Without prototypes, frozen all the way down. */
  get claims(): Readonly<Record<string, unknown>>
  /** Whether half of the lifetime is over, now or at the given time. Without `iat` it counts from when it was read. */
  needsRotation(now?: Date): boolean
  /** The SPIFFE ID. */
  toString(): string
  /** Everything but the claims, the token redacted. */
  toJSON(): Record<string, unknown>
}

// ---------------------------------------------------------------------------------------------------------------------
// Bundles

/** A key or certificate of a bundle that was left out, or taken with reservations. */
export interface BundleRemark {
  /** Its place in the document, from 0. */
  readonly index: number
  /** Why: `unknown_key_type`, `missing_use`, `other_use`, `missing_key_id`, `extra_certificates`, ... */
  readonly reason: string
}

/**
 * The X.509 authorities of one trust domain. Without any, no name is trusted.
 *
 * @example
 * const bundle = X509Bundle.fromPem('example.org', fs.readFileSync('bundle.pem'))
 */
export class X509Bundle {
  /** A bundle with these authorities: none, unless told. */
  constructor(trustDomain: TrustDomain | string, authorities?: CertificatesLike)
  /**
   * From DER. With `lazy`, certificates are read on first use, and those that can be no authority are then left out.
   * @throws {@link CountersignError} `ERR_INVALID_BUNDLE` with `rule`, `index`
   */
  static fromDer(
    trustDomain: TrustDomain | string,
    certificates: CertificatesLike,
    options?: { lazy?: boolean }
  ): X509Bundle
  /**
   * From PEM, with at least one certificate.
   * @throws {@link CountersignError} `ERR_INVALID_BUNDLE` with `rule`, `index`
   */
  static fromPem(trustDomain: TrustDomain | string, text: string | Uint8Array): X509Bundle
  /** The trust domain these authorities issue for. */
  get trustDomain(): TrustDomain
  /** How many authorities there are. */
  get size(): number
  /** The certificates. */
  get authorities(): X509Certificate[]
  /** Certificates of a lazy bundle that can be no authority. */
  get skipped(): readonly BundleRemark[]
  /** Whether the certificate is an authority. */
  has(certificate: CertificateLike): boolean
  /** Add an authority. Whether it is new. Fails as {@link X509Bundle.fromDer} does. */
  add(certificate: CertificateLike): boolean
  /** Remove an authority. Whether it was there. */
  remove(certificate: CertificateLike): boolean
  /** Concatenated DER. */
  toDer(): Uint8Array
  /** PEM. */
  toPem(): string
  /** Whether both trust the same certificates for the same trust domain. */
  equals(other: unknown): boolean
  /** One of its own that says the same. */
  clone(): X509Bundle
  /** Trust domain and size. */
  toJSON(): Record<string, unknown>
}

/**
 * The authorities for the tokens of one trust domain. Without any, no name is trusted.
 *
 * @example
 * const bundle = JwtBundle.fromJwks('example.org', await (await fetch(url)).text())
 * bundle.skipped   // keys that were left out, and why
 */
export class JwtBundle {
  /** A bundle without authorities. */
  constructor(trustDomain: TrustDomain | string)
  /**
   * From a JWKS as the Workload API has it (`use` may be missing). Keys that cannot be used are skipped one by one.
   * With `lazy`, it is read on first use; what is wrong with it comes out then.
   * @throws {@link CountersignError} `ERR_INVALID_BUNDLE` with `rule`
   */
  static fromJwks(trustDomain: TrustDomain | string, json: string | Uint8Array, options?: { lazy?: boolean }): JwtBundle
  /** The trust domain whose tokens these authorities sign. */
  get trustDomain(): TrustDomain
  /** How many authorities there are. */
  get size(): number
  /** The key IDs, in order. */
  get keyIds(): string[]
  /** The keys that were left out. */
  get skipped(): readonly BundleRemark[]
  /** Whether there is an authority with this key ID. */
  has(keyId: string): boolean
  /** The public key with this key ID. */
  get(keyId: string): KeyObject | undefined
  /**
   * Add an authority, or replace the one with this key ID. Whether that changed anything. Of a private key or a private
   * JWK, only the public half is taken.
   * @throws {@link CountersignError} `ERR_INVALID_BUNDLE` with `rule`
   */
  add(
    keyId: string,
    key: KeyObject | { readonly kty?: string | undefined; readonly [member: string]: unknown }
  ): boolean
  /** Remove an authority. Whether it was there. */
  remove(keyId: string): boolean
  /** A plain JWKS, in the form the Workload API has. */
  toJwks(): string
  /** Whether both trust the same keys for the same trust domain. */
  equals(other: unknown): boolean
  /** One of its own that says the same. */
  clone(): JwtBundle
  /** The JWKS. */
  toJSON(): Record<string, unknown>
}

/** What a SPIFFE bundle is made of. */
export interface SpiffeBundleParts {
  /** The authorities for X509-SVIDs. They must be of the same trust domain. */
  x509Bundle?: X509Bundle
  /** The authorities for JWT-SVIDs. They must be of the same trust domain. */
  jwtBundle?: JwtBundle
  /** The number that grows with every change: 64 bits, a `bigint` beyond 2^53-1. `undefined`: none. */
  sequence?: number | bigint | undefined
  /** How often to look for updates, milliseconds; written rounded up to seconds. `undefined`: no hint. */
  refreshHint?: number | undefined
}

/**
 * A trust domain's authorities of every kind, as one document (SPIFFE Trust Domain and Bundle 4). It never changes.
 *
 * @example
 * const bundle = SpiffeBundle.parse('example.org', text)
 * bundle.with({ sequence: 8, refreshHint: 300_000 }).toJwks()
 */
export class SpiffeBundle {
  /** A bundle with these parts: none, unless told. */
  constructor(trustDomain: TrustDomain | string, parts?: SpiffeBundleParts)
  /**
   * Read a document. It does not say whose it is: that is for you to know. Keys that are for something else, unknown or
   * broken are left out one by one. No keys at all is legal: everything is revoked.
   * @throws {@link CountersignError} `ERR_INVALID_BUNDLE` with `rule`
   */
  static parse(trustDomain: TrustDomain | string, json: string | Uint8Array): SpiffeBundle
  /** The trust domain. */
  get trustDomain(): TrustDomain
  /** The authorities for X509-SVIDs: a copy of its own. */
  get x509Bundle(): X509Bundle
  /** The authorities for JWT-SVIDs: a copy of its own. */
  get jwtBundle(): JwtBundle
  /** The number that grows with every change. A `bigint` beyond 2^53-1. */
  get sequence(): number | bigint | undefined
  /** How often to look for updates, milliseconds. */
  get refreshHint(): number | undefined
  /** The keys that were left out. */
  get skipped(): readonly BundleRemark[]
  /** The keys that were taken, though the publisher should mend something. */
  get warnings(): readonly BundleRemark[]
  /** The same bundle with other parts. */
  with(parts: SpiffeBundleParts): SpiffeBundle
  /** The document as text, exact on every runtime. */
  toJwks(): string
  /** Whether both trust the same keys under the same sequence and refresh hint. */
  equals(other: unknown): boolean
  /** One of its own that says the same. */
  clone(): SpiffeBundle
  /**
   * The document, for `JSON.stringify`.
   * @throws {@link CountersignError} `ERR_INVALID_ARGUMENT` for a sequence beyond 2^53-1 where the runtime has no
   * `JSON.rawJSON` (Node.js 20): {@link SpiffeBundle.toJwks} writes it everywhere
   */
  toJSON(): Record<string, unknown>
}

/**
 * The bundles a verifier trusts, by trust domain. They are looked up, never pooled: an authority of one trust domain
 * can never vouch for a name in another. What is added is a snapshot: changing the bundle later does not change the
 * set.
 *
 * @example
 * const bundles = new BundleSet([x509Bundle, jwtBundle])
 * bundles.add(federated)
 */
export class BundleSet {
  /** A set of these bundles. */
  constructor(bundles?: Iterable<X509Bundle | JwtBundle | SpiffeBundle>)
  /** The bundles of a bundle map. Fails as {@link BundleMap.parse} does. */
  static fromMap(json: string | Uint8Array): BundleSet
  /** The trust domains, in order. */
  get trustDomains(): TrustDomain[]
  /** How many trust domains there are. */
  get size(): number
  /** Take authorities in place of those of their kind and trust domain. Whether that changed anything. */
  add(bundle: X509Bundle | JwtBundle | SpiffeBundle): boolean
  /** Forget a trust domain. Whether it was there. */
  remove(trustDomain: TrustDomain | string): boolean
  /** Forget the X.509 authorities of a trust domain. Whether there were any. */
  removeX509(trustDomain: TrustDomain | string): boolean
  /** Forget the JWT authorities of a trust domain. Whether there were any. */
  removeJwt(trustDomain: TrustDomain | string): boolean
  /** Whether there are authorities of any kind for the trust domain. */
  has(trustDomain: TrustDomain | string): boolean
  /** The X.509 authorities of the trust domain: a copy of its own. */
  x509Bundle(trustDomain: TrustDomain | string): X509Bundle | undefined
  /** The JWT authorities of the trust domain: a copy of its own. */
  jwtBundle(trustDomain: TrustDomain | string): JwtBundle | undefined
  /** Whether both trust the same authorities. */
  equals(other: unknown): boolean
  /** One of its own that says the same. */
  clone(): BundleSet
  /** The trust domains. */
  toJSON(): Record<string, unknown>
}

/**
 * The bundle documents of several trust domains in one: `{"trust_domains": {"example.org": {"keys": [...]}}}`.
 *
 * @example
 * const map = BundleMap.parse(fs.readFileSync('bundles.json'))
 * const bundles = map.toBundleSet()
 */
export class BundleMap {
  /** A map of these bundles. Refresh hints are dropped: the file is read again when it changes. */
  constructor(bundles?: Iterable<SpiffeBundle>)
  /**
   * Read a bundle map, as a whole or not at all.
   * @throws {@link CountersignError} `ERR_INVALID_BUNDLE` with `rule`, and `trustDomain` of the one that is broken
   */
  static parse(json: string | Uint8Array): BundleMap
  /** The trust domains, in order. */
  get trustDomains(): TrustDomain[]
  /** How many bundles there are. */
  get size(): number
  /** Take a bundle in place of the one its trust domain had. */
  add(bundle: SpiffeBundle): void
  /** Remove the bundle of a trust domain. Whether it was there. */
  remove(trustDomain: TrustDomain | string): boolean
  /** The bundle of a trust domain. */
  get(trustDomain: TrustDomain | string): SpiffeBundle | undefined
  /** The same bundles as a set to verify with. */
  toBundleSet(): BundleSet
  /** The document as text, exact on every runtime. */
  toText(): string
  /** Whether both say the same. */
  equals(other: unknown): boolean
  /** One of its own that says the same. */
  clone(): BundleMap
  /** The document, for `JSON.stringify`. Fails as {@link SpiffeBundle.toJSON} does. */
  toJSON(): Record<string, unknown>
}

// ---------------------------------------------------------------------------------------------------------------------
// Verification

/** How to verify a chain. */
export interface VerifyX509SvidOptions {
  /** The time of the verification. Default: now. */
  now?: Date
  /** Which verified names are authorized. Default: every one. */
  authorize?: Authorizer
  /**
   * What an extended key usage, if there is one, must allow: `serverAuth` to verify a server. Default: one of the two.
   */
  usage?: 'serverAuth' | 'clientAuth'
}

/** A verified and authorized name. Frozen. */
export class VerifiedX509Svid {
  private constructor()
  /** The name. */
  readonly spiffeId: SpiffeId
  /** First second of the leaf's validity. */
  readonly notBefore: Date
  /** Last second of the leaf's validity. */
  readonly expiresAt: Date
  /** The leaf's serial number in lower-case hexadecimal. */
  readonly serialNumber: string
  /** The kind of key. */
  readonly keyAlgorithm: KeyAlgorithm
  /** DNS names in the leaf. They play no part in SPIFFE authentication. */
  readonly dnsNames: readonly string[]
  /** The certificates as they were shown, leaf first. Those that the path did not need are not verified. */
  get certificates(): readonly X509Certificate[]
  /** The SPIFFE ID. */
  toString(): string
}

/**
 * Verify a chain: leaf, name, the bundle of that name's own trust domain, path validation (RFC 5280), leaf profile,
 * authorizer. With a {@link BundleSet}, a chain that was verified with the same bundle before costs a hash.
 *
 * @example
 * const { spiffeId } = verifyX509Svid(chain, bundles, { authorize: authorize.memberOf('example.org') })
 *
 * @param chain leaf first: `X509Certificate[]`, DER (concatenated, or a list), or PEM text
 * @throws {@link CountersignError} `ERR_UNTRUSTED_SVID` with `rule`
 */
export function verifyX509Svid(
  chain: CertificatesLike | string,
  bundles: BundleSet | X509Bundle | SpiffeBundle,
  options?: VerifyX509SvidOptions
): VerifiedX509Svid

/** How to verify a token. */
export interface VerifyJwtSvidOptions {
  /** The names you answer to: the token must be meant for one of them. At least one. */
  audience: string | readonly string[]
  /** How much clocks may differ, milliseconds: 0 to 120000, whole seconds count. Default 5000. */
  leeway?: number
  /** The time of the verification. Default: now. */
  now?: Date
  /** Refuse tokens without a key ID. By default one is accepted when exactly one authority suits it. */
  requireKid?: boolean
  /** Bear headers beyond `alg`, `kid` and `typ`. Critical ones are refused all the same. Default `false`. */
  allowExtraHeaders?: boolean
}

/**
 * Verify a token: its form, audience, times, and its signature by an authority of its subject's own trust domain.
 *
 * @example
 * const { spiffeId } = verifyJwtSvid(token, bundles, { audience: 'spiffe://example.org/billing' })
 *
 * @throws {@link CountersignError} `ERR_INVALID_TOKEN` with `rule`; `ERR_INVALID_ARGUMENT` without an audience
 */
export function verifyJwtSvid(
  token: string,
  bundles: BundleSet | JwtBundle | SpiffeBundle,
  options: VerifyJwtSvidOptions
): JwtSvid

// ---------------------------------------------------------------------------------------------------------------------
// What can go wrong

/** The details of SPIFFE errors, by code. `rule` is a stable name of what is broken, unlike the message. */
export interface SpiffeErrorDetails {
  /** Not a SPIFFE ID: the rule. */
  ERR_INVALID_SPIFFE_ID: { readonly reason: SpiffeIdReason }
  /** Not a trust domain: the rule. */
  ERR_INVALID_TRUST_DOMAIN: { readonly reason: SpiffeIdReason }
  /**
   * Chain and key are no X509-SVID: `empty_chain`, `leaf_is_ca`, `private_key_mismatch`, ...; `index` of the
   * certificate, `path` of the file, `reason` when the SPIFFE ID is what is wrong.
   */
  ERR_INVALID_SVID: {
    readonly rule: string
    readonly reason?: SpiffeIdReason
    readonly index?: number
    readonly path?: string
  }
  /**
   * Not a bundle: `malformed_json`, `missing_keys`, `duplicate_member`, `signing_not_ca`, ...; `index` of the
   * certificate, `trustDomain` in a map.
   */
  ERR_INVALID_BUNDLE: {
    readonly rule: string
    readonly reason?: SpiffeIdReason
    readonly index?: number
    readonly trustDomain?: string
  }
  /**
   * A chain proves no authorized name: `unknown_issuer`, `expired`, `no_bundle`, `leaf_is_ca`, ...;
   * `not_authorized` and `authorizer_failed` with `spiffeId` and `expected`.
   */
  ERR_UNTRUSTED_SVID: {
    readonly rule: string
    readonly reason?: SpiffeIdReason
    readonly trustDomain?: string
    readonly spiffeId?: SpiffeIdString
    readonly expected?: string
  }
  /** A token proves nothing: `invalid_signature`, `expired`, `audience_mismatch`, `unknown_key_id`, ... */
  ERR_INVALID_TOKEN: { readonly rule: string; readonly reason?: SpiffeIdReason; readonly trustDomain?: string }
}
