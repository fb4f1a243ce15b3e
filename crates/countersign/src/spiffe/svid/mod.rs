//! SVIDs: the documents a workload proves its name with.

mod jwt;
mod leaf;
mod private_key;
mod signing;
mod token;
mod x509;
mod x509_error;

pub use jwt::JwtSvid;
pub(crate) use jwt::TokenFacts;
pub(crate) use leaf::Certificate;
pub use leaf::{ExtendedKeyUsage, KeyAlgorithm, LeafError, LeafFacts, claimed_uris};
pub use private_key::PrivateKey;
pub use signing::SigningError;
pub(crate) use signing::SigningFacts;
pub use token::TokenError;
pub(crate) use token::{Header, HeaderRules, Token, audience};
pub(crate) use x509::Shape;
pub use x509::X509Svid;
pub use x509_error::X509SvidError;
