//! SPIFFE for JavaScript: one file per noun of the core's room. Times are milliseconds, trust domains are passed as
//! their bare names.

mod bundle_map;
mod bundle_set;
mod class_methods;
pub(crate) mod failure;
mod feed;
mod hub;
mod id;
pub(crate) mod jwt_bundle;
mod jwt_svid;
pub(crate) mod moment;
mod spiffe_bundle;
mod verify;
mod workload_client;
mod x509_bundle;
mod x509_context;
pub(crate) mod x509_svid;
