//! SPIFFE for JavaScript: one file per noun of the core's room.
//!
//! Texts that come back start with `!` when they are errors: JSON follows, from which JavaScript makes the error on the
//! caller's stack. No answer starts that way. Times are milliseconds, trust domains go by their bare names.

mod bundle_map;
mod bundle_set;
pub(crate) mod failure;
mod feed;
mod id;
mod judge;
pub(crate) mod jwt_bundle;
mod jwt_svid;
pub(crate) mod mailbox;
pub(crate) mod moment;
mod runtime;
mod spiffe_bundle;
mod workload_client;
mod x509_bundle;
mod x509_context;
pub(crate) mod x509_svid;
