//! The audit log: its format, and how to verify that it was not changed.
//!
//! One JSON object a line. Each line carries the SHA-256 of itself and of the hash of the line before it, over the very
//! bytes: `hash = SHA-256(hash of the line before ‖ the line up to ,"hash":)`. Now and then a line with the event
//! `signed` carries an Ed25519 signature over the hash before it, and with that over every byte before it. Beside the
//! log lies its head, signed as well: how far the log is known to have been on the disk. A log that is shorter was cut.
//!
//! * [`Chain`] - makes lines; [`LogKey`] - verifies signatures; [`Head`] - the anchor against cutting
//! * [`verify`] - finds an edit, a deletion, a line out of order, an end that was cut off; [`Scan`] reads file by file
//! * [`segments`] - the files of a log, the rotated ones first

mod chain;
mod head;
mod key;
mod scan;
mod segment;
mod verify;

pub use chain::{Chain, Event, SIGNED};
pub use head::Head;
pub use key::{LogKey, LogKeyError};
pub use scan::{End, FORMAT, FileEnd, Flaw, Scan, ScanError};
pub use segment::{Segment, head_path, key_path, rotated_path, segments};
pub use verify::{LogError, Verified, VerifyOptions, verify};
