//! The audit log of an agent: everything it decided, in order, signed. Its form is that of [`crate::control::log`].
//!
//! Lines are gathered for some milliseconds and written together, with one signature behind them. They are on the disk
//! within a second (or before the answer leaves, if the options ask for that). After a crash the log goes on behind the
//! lines that hold together; what was torn is cut off, and a line says so.

mod error;
mod form;
mod key;
mod on_disk;
mod options;
mod recovery;
mod writer;

pub use self::error::AuditLogError;
pub(super) use self::form::Entry;
pub(super) use self::key::{LogLock, private_key_path};
pub(super) use self::on_disk::OnDisk;
pub use self::options::{AuditLogOptions, LogFailure};
pub(super) use self::writer::LogWriter;
