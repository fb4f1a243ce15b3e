//! The judges. Both read the name first, take the bundle of that name's own trust domain, and only then look at
//! signatures.

mod jwt;
mod verified_chains;
mod verified_tokens;
mod x509;
mod x509_error;

pub use jwt::{JwtBundleSource, JwtVerifyError, JwtVerifyOptions, verify_jwt_svid};
pub use verified_chains::VerifiedChains;
pub use verified_tokens::VerifiedTokens;
pub use x509::{Role, VerifiedX509Svid, X509BundleSource, X509VerifyOptions, verify_x509_svid};
pub use x509_error::{PathRule, X509VerifyError};
