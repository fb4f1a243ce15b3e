//! The identity-by-PID protocol: one connection, one request, one response.

mod answer;
mod connection;
mod decision;
mod protocol;
pub(super) mod request;
mod shared;

pub(super) use self::shared::Whoami;
