//! Tokens of OIDC providers, judged before anybody believes a claim in them.
//!
//! * [`OidcKeys`] - the keys of a provider, as it publishes them (RFC 7517)
//! * [`verify_oidc_token`] - the judge: signature first, then issuer, audience and time

mod error;
mod keys;
mod verify;

pub use error::OidcError;
pub use keys::OidcKeys;
pub use verify::{OidcToken, OidcVerifyOptions, TOKEN_BYTES, verify_oidc_token};
