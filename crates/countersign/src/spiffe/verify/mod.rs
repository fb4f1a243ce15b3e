//! Verification of SVIDs. It reads the name first, takes the bundle of that name's own trust domain, and only then
//! looks at signatures.

mod jwt;
mod source;
mod verified;
mod x509;
mod x509_error;

pub use jwt::{JwtVerifyError, JwtVerifyOptions, verify_jwt_svid};
pub use source::{JwtBundleSource, X509BundleSource};
pub use verified::{VerifiedChains, VerifiedTokens};
pub use x509::{Role, VerifiedX509Svid, X509VerifyOptions, verify_x509_svid};
pub use x509_error::{PathRule, X509VerifyError};
