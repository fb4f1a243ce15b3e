use std::io;
use std::path::PathBuf;

use crate::agent::fs::private_file::PrivateFileError;

/// Why there is no audit log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditLogError {
    /// A file beside the log could not be read or written, or is not ours alone.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The log could not be read or written.
    #[error("{}: {what}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What came back.
        source: io::Error,
    },
    /// Another agent writes it.
    #[error("{}: another agent writes this log", .0.display())]
    Locked(PathBuf),
    /// The key is none. It is left alone: what it signed is proven by nothing else.
    #[error("{}: {reason}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
}
