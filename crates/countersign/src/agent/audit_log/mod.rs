//! The audit log of an agent: everything it decided, in order, signed. Its form is that of [`crate::control::log`].
//!
//! Lines are gathered for some milliseconds and written together, with one signature behind them; what was written is on
//! the disk within a second (or before the answer leaves, when that is asked for). After a crash the lines that hold
//! together go on being the log, and what was torn is cut off and said to have been.

mod error;
mod form;
mod key;
mod on_disk;
mod recovery;
mod writer;

use std::path::PathBuf;

pub use self::error::AuditLogError;
pub(super) use self::form::Entry;
pub(super) use self::key::{LogLock, private_key_path};
pub(super) use self::on_disk::OnDisk;
pub(super) use self::writer::LogWriter;

/// How the audit log is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLogOptions {
    /// The file. Its key lies beside it (`.key`, mode 0600), with the public half (`.pub`) and the head (`.head`).
    pub path: PathBuf,
    /// Let no answer leave before its line is on the disk.
    pub sync: bool,
    /// A file is full from so many bytes on.
    pub max_bytes: u64,
    /// So many files that were full are kept.
    pub keep: usize,
    /// What to do when the log cannot be written.
    pub on_failure: LogFailure,
}

/// What an agent does when its audit log cannot be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFailure {
    /// Vouch for nobody until it can be written again.
    #[default]
    Refuse,
    /// Go on, and say in the log how many lines it lacks as soon as it can be written again.
    Continue,
}

impl AuditLogOptions {
    /// A log in this file: 64 MiB a file, 16 files.
    pub fn new(path: impl Into<PathBuf>) -> AuditLogOptions {
        AuditLogOptions {
            path: path.into(),
            sync: false,
            max_bytes: 64 * 1024 * 1024,
            keep: 16,
            on_failure: LogFailure::Refuse,
        }
    }
}
