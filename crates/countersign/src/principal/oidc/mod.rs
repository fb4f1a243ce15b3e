//! Tokens of OIDC providers, verified before any claim in them is used.
//!
//! * [`OidcKeys`] - the keys of a provider, as it publishes them (RFC 7517)
//! * [`verify_oidc_token`] - verification: signature first, then issuer, audience and time

mod error;
mod keys;
mod verify;

pub use error::OidcError;
pub use keys::OidcKeys;
pub use verify::{OidcToken, OidcVerifyOptions, TOKEN_BYTES, verify_oidc_token};
