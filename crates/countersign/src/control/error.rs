use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::lines::TooLong;
use crate::peer::{Denied, PeerError};

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// No agent could be reached.
    #[error("{}: {source}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The process that listens is not the one that was expected. Nothing was sent.
    #[error("not talking to {}: {denied}", path.display())]
    Untrusted {
        /// The socket.
        path: PathBuf,
        /// The condition that does not hold.
        denied: Denied,
    },
    /// The process that listens could not be looked at. Nothing was sent.
    #[error("not talking to {}: {source}", path.display())]
    Peer {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: PeerError,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// No answer came in time. One that comes later is not taken for another's.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The agent ended the connection.
    #[error("the agent ended the connection")]
    Closed,
    /// The agent refused.
    #[error("{code}: {message}")]
    Refused {
        /// Why, for a program.
        code: String,
        /// Why, for a person.
        message: String,
    },
    /// The agent answered with an empty line: it failed, or its answer was one it cannot write.
    #[error("the agent answered with an empty line: it failed, or cannot write its answer down")]
    Blank,
    /// What came is no reply.
    #[error("not a reply: {0}")]
    Codec(String),
    /// What came is longer than any reply.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}
