//! The identity-by-PID protocol: one connection, one request, one response.

mod answer;
pub(super) mod connection;
mod decision;
pub(super) mod idle_workers;
pub(super) mod request;
pub(super) mod server;
pub(super) mod stats;
