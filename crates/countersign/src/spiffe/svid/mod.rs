//! SVIDs: the documents a workload proves its name with.

mod jwt;
mod leaf;
mod private_key;
mod signing;
mod x509;
mod x509_error;

pub(crate) use jwt::{HeaderRules, Token};
pub use jwt::{JwtSvid, TokenError};
pub(crate) use leaf::Certificate;
pub use leaf::{KeyAlgorithm, LeafError, LeafFacts};
pub use private_key::PrivateKey;
pub use signing::SigningError;
pub(crate) use signing::SigningFacts;
pub use x509::X509Svid;
pub use x509_error::X509SvidError;
