//! SPIFFE: the name of a workload, its proof, and the authorities that vouch for it.
//!
//! * [`SpiffeId`], [`TrustDomain`] - names, and every rule a name must keep
//! * [`Authorizer`] - which names are authorized
//! * [`X509Svid`], [`JwtSvid`] - the two documents a workload proves its name with
//! * [`X509Bundle`], [`JwtBundle`], [`SpiffeBundle`], [`BundleSet`], [`BundleMap`] - the authorities of trust domains
//! * [`verify_x509_svid`], [`verify_jwt_svid`] - verification
//! * [`workload_api`] - where a workload gets its SVIDs and bundles from
//! * [`source`] - the same, kept fresh
//! * [`issue`] - for an authority: the keys, and the documents they sign
//!
//! Verification reads the name in the document first, then takes the bundle of that very trust domain and no other.
//! Bundles are never pooled: an authority of one trust domain can never vouch for a name in another.
//!
//! Everything is `Send + Sync` and cheap to clone. Errors name the rule that was broken through a stable `code()` and
//! never repeat a token or a key.

mod authorizer;
pub(crate) mod bundle;
mod chain;
pub(crate) mod clock;
mod der;
mod id;
mod id_error;
pub mod issue;
pub(crate) mod json;
mod jwk;
pub(crate) mod jws;
mod jwt_authority;
pub mod limits;
pub(crate) mod pem;
pub mod source;
pub(crate) mod svid;
mod trust_domain;
mod verify;
pub mod workload_api;

pub use authorizer::{Authorizer, NotAuthorized};
pub use bundle::{
    AnchorRefusal, BundleError, BundleMap, BundleSet, JwtBundle, KeyRemark, KeyRemarkReason, SpiffeBundle, X509Bundle,
};
pub use chain::PresentedChain;
pub use id::SpiffeId;
pub use id_error::{Reason, SpiffeIdError};
pub use jwk::PublicKey;
pub use jws::{Curve, JwsAlgorithm};
pub use jwt_authority::JwtAuthority;
pub use svid::{
    ExtendedKeyUsage, JwtSvid, KeyAlgorithm, LeafError, LeafFacts, PrivateKey, SigningError, TokenError, X509Svid,
    X509SvidError, claimed_uris,
};
pub use trust_domain::TrustDomain;
pub use verify::{
    JwtBundleSource, JwtVerifyError, JwtVerifyOptions, PathRule, Role, VerifiedChains, VerifiedTokens,
    VerifiedX509Svid, X509BundleSource, X509VerifyError, X509VerifyOptions, verify_jwt_svid, verify_x509_svid,
};
