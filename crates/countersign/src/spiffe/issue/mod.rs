//! Issuing: the keys of an authority, and the SVIDs they sign. What is made here keeps every rule that verification
//! checks.
//!
//! * [`X509Issuer`], [`LeafRequest`], [`IssuedX509`] - X509-SVIDs
//! * [`JwtIssuer`] - JWT-SVIDs

mod jwt;
mod key;
mod x509;

pub use jwt::JwtIssuer;
pub use key::IssueError;
#[cfg(target_os = "linux")]
pub(crate) use key::{KeyUse, SigningKey};
pub use x509::{IssuedX509, LeafRequest, X509Issuer};
#[cfg(target_os = "linux")]
pub(crate) use x509::{leaf_parameters, set_validity};
