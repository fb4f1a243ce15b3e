//! Bundles: the authorities of trust domains, in every form they travel in.

mod error;
mod jwks;
mod jwt;
mod map;
mod set;
mod spiffe;
mod x509;

pub use error::BundleError;
pub(crate) use jwks::{Dialect, JwtAuthorities, KeySet};
pub use jwks::{KeyRemark, KeyRemarkReason};
pub use jwt::JwtBundle;
pub use map::BundleMap;
pub use set::BundleSet;
pub use spiffe::SpiffeBundle;
pub(crate) use x509::TrustRoots;
pub use x509::{AnchorRefusal, X509Bundle};

use std::sync::atomic::{AtomicU64, Ordering};

/// A number no other state of any bundle has had: what a memory of earlier verdicts is keyed by.
fn next_revision() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}
