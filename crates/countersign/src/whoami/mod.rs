//! Identity-by-PID: one connection, one question, one answer. There is no framing: the end of the stream ends the
//! message, in both directions.
//!
//! * [`RunnerContext`] - what a caller may say about itself, and the request it travels in
//! * [`WhoamiCode`] - how an agent answered
//! * [`Identity`], [`DaemonRefusal`] - the two answers, and how they are distinguished
//! * [`DocumentScanner`] - finds the end of a JSON document while it arrives
//! * [`Exchange`] - one question over one non-blocking socket, driven by the owner of the event loop
//! * [`Client`] - the same, blocking

mod answer;
mod client;
mod code;
mod document;
mod error;
mod exchange;
mod identity;
mod request;
mod token;

pub use answer::{DaemonRefusal, parse_answer};
pub use client::Client;
pub use code::WhoamiCode;
pub use document::{DocumentScanner, Scan};
pub use error::WhoamiError;
pub use exchange::{Exchange, Opened, Progress};
pub use identity::{Identity, Runner};
pub use request::{RequestError, RunnerContext, SERVER_OWNED_KEYS};
pub use token::Token;

/// Where the daemon listens by default.
pub const DEFAULT_SOCKET_PATH: &str = "/var/run/whoami.sock";
/// How long a whole exchange may take by default.
pub const DEFAULT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
/// The largest answer a client reads.
pub const MAX_ANSWER: usize = 1024 * 1024;
/// The largest request a client writes.
pub const MAX_CLIENT_REQUEST: usize = 1024 * 1024;
