use std::path::PathBuf;

/// How the audit log is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLogOptions {
    /// The file. Its key lies beside it (`.key`, mode 0600), with the public half (`.pub`) and the head (`.head`).
    pub path: PathBuf,
    /// Let no answer leave before its line is on the disk.
    pub sync: bool,
    /// How many bytes make a file full.
    pub max_bytes: u64,
    /// How many full files are kept.
    pub keep: usize,
    /// What to do when the log cannot be written.
    pub on_failure: LogFailure,
}

/// What an agent does when its audit log cannot be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFailure {
    /// Vouch for no process until it can be written again.
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
