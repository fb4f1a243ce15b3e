//! Serving a Unix socket: how it is made, how connections are accepted, how many are served at once, and how it ends.
//! The three protocols of the agent say what is answered.

mod accept;
pub(super) mod activation;
pub(super) mod bind;
#[expect(clippy::module_inception, reason = "the file of the type `Endpoint`")]
pub(super) mod endpoint;
mod idle_workers;
pub(super) mod protocol;
pub(super) mod quota;
pub(super) mod readiness;
pub(super) mod shutdown;
pub(super) mod throttled_log;
