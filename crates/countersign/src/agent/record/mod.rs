//! What the agent did, on record: alerts for operators, counts of callers, lines for the audit log.
//!
//! A decision puts its event into the inbox of the journal and goes on. One thread, the record writer, takes the events
//! out in batches and does everything that takes time. No decision waits for a subscriber, or for the disk (unless the
//! options of the log ask for that).

mod alert_text;
mod alerts;
mod callers;
mod disk_sync;
mod folding;
mod journal;
mod svids;
mod writer;

pub(super) use self::journal::Journal;
pub(super) use self::writer::RecordWriter;
