use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::peer::PeerError;

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum WhoamiError {
    /// Nothing at that path.
    #[error("no socket at {}", path.display())]
    SocketNotFound {
        /// The path.
        path: PathBuf,
    },
    /// Something is there, but no connection.
    #[error("cannot connect to {}: {source}", path.display())]
    ConnectionFailed {
        /// The path.
        path: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },
    /// Reading the answer failed.
    #[error("cannot read the answer: {0}")]
    Read(#[source] io::Error),
    /// Writing the request failed.
    #[error("cannot write the request: {0}")]
    Write(#[source] io::Error),
    /// The answer is not one JSON document of the known shape.
    #[error("the answer is not valid: {0}")]
    InvalidJson(String),
    /// The answer lacks a field that must be there.
    #[error("the answer lacks `{field}`{hint}")]
    MissingField {
        /// The field.
        field: &'static str,
        /// What that usually means, ready to be appended; may be empty.
        hint: &'static str,
    },
    /// The daemon refused.
    #[error("the daemon answered {code}: {message}")]
    Daemon {
        /// Its code, verbatim (`E_NO_MATCH`, ...).
        code: String,
        /// Its message, verbatim.
        message: String,
    },
    /// The deadline over connecting, writing and reading has passed.
    #[error("no answer within {after:?} (while {stage})")]
    Timeout {
        /// The time that was allowed.
        after: Duration,
        /// What was being waited for.
        stage: &'static str,
    },
    /// The answer is larger than a client reads.
    #[error("the answer is larger than {limit} bytes")]
    ResponseTooLarge {
        /// The limit.
        limit: usize,
    },
    /// The process behind the socket could not be looked at.
    #[error("cannot tell who serves {}: {source}", path.display())]
    Peer {
        /// The path.
        path: PathBuf,
        /// What was wrong.
        source: PeerError,
    },
    /// An argument that cannot mean anything.
    #[error("{0}")]
    InvalidArgument(String),
}

impl WhoamiError {
    /// The stable code of this error, as the JavaScript face has it.
    pub fn code(&self) -> &'static str {
        match self {
            WhoamiError::SocketNotFound { .. } => "ERR_SOCKET_NOT_FOUND",
            WhoamiError::ConnectionFailed { .. } => "ERR_CONNECTION_FAILED",
            WhoamiError::Read(_) => "ERR_READ",
            WhoamiError::Write(_) => "ERR_WRITE",
            WhoamiError::InvalidJson(_) => "ERR_INVALID_JSON",
            WhoamiError::MissingField { .. } => "ERR_MISSING_FIELD",
            WhoamiError::Daemon { .. } => "ERR_DAEMON",
            WhoamiError::Timeout { .. } => "ERR_TIMEOUT",
            WhoamiError::ResponseTooLarge { .. } => "ERR_RESPONSE_TOO_LARGE",
            WhoamiError::Peer { .. } => "ERR_UNTRUSTED_SERVER",
            WhoamiError::InvalidArgument(_) => "ERR_INVALID_ARGUMENT",
        }
    }

    /// The operating system's error behind it, if there is one.
    pub fn os_error(&self) -> Option<&io::Error> {
        match self {
            WhoamiError::ConnectionFailed { source, .. } => Some(source),
            WhoamiError::Read(source) | WhoamiError::Write(source) => Some(source),
            _ => None,
        }
    }
}
