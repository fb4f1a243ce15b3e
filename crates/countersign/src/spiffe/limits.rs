//! Bounds on what is read. The standards leave them open; a verifier that reads what strangers send must not.

/// Bytes of a SPIFFE ID (SPIFFE-ID 2.3: support up to 2048, do not generate longer ones).
pub const SPIFFE_ID_BYTES: usize = 2048;
/// Bytes of a trust domain name (SPIFFE-ID 2.3, the limit of a URI host in RFC 3986 3.2.2).
pub const TRUST_DOMAIN_BYTES: usize = 255;
/// Certificates in a presented chain. A path is at most eight deep; the rest allows for certificates sent in vain.
pub const CHAIN_CERTIFICATES: usize = 16;
/// Bytes of a presented chain: sixteen RSA-8192 certificates fit.
pub const CHAIN_BYTES: usize = 64 * 1024;
/// URIs of a refused certificate that are reported.
pub const CLAIMED_URIS: usize = 4;
/// Bytes of a private key in PKCS#8 form: RSA-8192 needs 4.7 KB.
pub const PRIVATE_KEY_BYTES: usize = 16 * 1024;
/// Bytes of PEM text that is looked through for certificates and a key.
pub const PEM_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a JWT-SVID: what HTTP servers commonly allow for all headers together.
pub const TOKEN_BYTES: usize = 16 * 1024;
/// Audiences in a token, and audiences a verifier may answer to.
pub const AUDIENCES: usize = 32;
/// Seconds of clock difference a verifier may forgive (JWT-SVID 3.3 and RFC 7519 4.1.4: a small leeway).
pub const LEEWAY_SECONDS: u64 = 120;
/// Bytes of one JWKS or SPIFFE bundle document.
pub const JWKS_BYTES: usize = 1024 * 1024;
/// Keys in one JWKS or SPIFFE bundle document.
pub const JWKS_KEYS: usize = 1024;
/// Bytes of the X.509 authorities of one trust domain.
pub const X509_BUNDLE_BYTES: usize = 4 * 1024 * 1024;
/// Certificates in the X.509 bundle of one trust domain.
pub const X509_BUNDLE_CERTIFICATES: usize = 1024;
/// Bytes of a bundle map.
pub const BUNDLE_MAP_BYTES: usize = 64 * 1024 * 1024;
/// Chains a verifier remembers as verified.
pub const VERIFIED_CHAINS: usize = 512;
/// Tokens a verifier remembers as verified.
pub const VERIFIED_TOKENS: usize = 1024;
/// Bytes of one message of the Workload API: a thousand SVIDs with their bundles fit.
pub const MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of the headers of one response.
pub const HEADER_BYTES: u32 = 64 * 1024;
/// Fields in one message of the Workload API: each SVID, each bundle, each revocation list is one. An empty one takes
/// two bytes on the wire and a hundred in memory.
pub const MESSAGE_FIELDS: usize = 1 << 18;
/// Bytes of a verdict on a token: its claims, which came in a token.
pub const VERDICT_BYTES: usize = 1024 * 1024;
/// SVIDs in one message of the Workload API.
pub const SVIDS: usize = 4096;
/// Bytes of a hint (Workload API 5.2.1).
pub const HINT_BYTES: usize = 1024;
/// Bits of an RSA modulus that is accepted as an authority for tokens. RFC 7518 3.3 sets the lower bound.
pub const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
