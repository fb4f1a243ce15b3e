use std::io;
use std::path::PathBuf;

use crate::spiffe::issue::IssueError;

/// Why there is no authority, or why its keys could not be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The operating system failed us.
    #[error("{}: {what}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What came back.
        source: io::Error,
    },
    /// Others could read the keys or put keys of their own in their place.
    #[error("{}: {reason}", path.display())]
    Unsafe {
        /// The file or directory.
        path: PathBuf,
        /// Why it will not do.
        reason: String,
    },
    /// Another agent has it.
    #[error("{}: another agent has this state directory", .0.display())]
    Locked(PathBuf),
    /// What is there is no state of this authority. It is left alone: it may be the only copy of somebody's keys.
    #[error("{}: {reason}", file.display())]
    State {
        /// The state file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It was closed.
    #[error("the authority is closed")]
    Closed,
    /// A key could not be made or written.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The keys do not make a bundle.
    #[error("the keys of the authority: {0}")]
    Keys(String),
}
