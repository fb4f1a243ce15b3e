//! The Workload API of this machine, for the workloads of this machine (SPIFFE Workload API, Workload Endpoint).

mod bundles;
mod call;
mod connection;
mod entitlement;
mod federation;
mod h2;
pub(super) mod interceptor;
mod jwt;
mod protocol;
pub(super) mod reply;
mod request;
mod shared;
mod stream;
mod trust;
mod upkeep;
mod x509;

pub(super) use self::shared::Workload;
