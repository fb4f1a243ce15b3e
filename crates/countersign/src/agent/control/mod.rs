//! What an operator is answered. Every request is checked against the user that the kernel names.

mod access;
mod connection;
mod metrics;
mod operator;
mod protocol;
mod shared;
mod status;
mod verbs;

pub(super) use self::access::Access;
pub(super) use self::shared::{Control, Sockets, WorkloadFacts};
