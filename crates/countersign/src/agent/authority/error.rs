use std::path::PathBuf;

use crate::agent::fs::private_file::PrivateFileError;
use crate::spiffe::issue::IssueError;

/// Why there is no authority, or why its keys could not be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The state could not be read or written, or is not ours alone.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// Another agent has it.
    #[error("{}: another agent has this state directory", .0.display())]
    Locked(PathBuf),
    /// The file is not a state of this authority. It is left unchanged: it may be the only copy of some keys.
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
