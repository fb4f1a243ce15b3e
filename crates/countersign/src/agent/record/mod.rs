//! What the agent did, on record: alerts for who watches, counts for who asks, lines for the audit log.
//!
//! Whoever decides puts an event into the inbox and goes on. One thread, the writer, takes them out in batches and does
//! everything that takes time. Nobody who decides ever waits for a subscriber, or for the disk (unless that is asked for).

mod alerts;
mod callers;
mod folding;
mod svids;
mod wording;
mod writer;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

pub(super) use self::alerts::AlertBus;
pub(super) use self::callers::CallerRow;
pub(super) use self::svids::SvidRow;
pub(super) use self::writer::RecordWriter;

use self::callers::Callers;
use self::svids::Svids;
use crate::agent::audit_log::{Entry, LogFailure, OnDisk};
use crate::agent::decisions::event::{AgentEvent, Objection};

/// Events that wait for the writer, at most.
const MAX_WAITING: usize = 128 * 1024;

/// What is on record, and the way into it.
pub(super) struct Journal {
    inbox: Mutex<Inbox>,
    /// Wakes the writer.
    arrived: Condvar,
    /// Wakes those who wait for the disk.
    settled: Condvar,
    /// What to do when the log cannot be written; `None` when there is no log.
    on_failure: Option<LogFailure>,
    /// Does everybody wait for the disk?
    sync: bool,
    pub(super) alerts: AlertBus,
    callers: Mutex<Callers>,
    svids: Mutex<Svids>,
    pub(super) on_disk: Option<Arc<OnDisk>>,
}

#[derive(Default)]
struct Inbox {
    entries: Vec<Entry>,
    /// The writer sleeps until it is woken.
    asleep: bool,
    /// The number of the last event that came in, and of the last that is written (with a log, and `sync`: on the disk).
    came: u64,
    done: u64,
    /// Events the writer holds because the log cannot be written.
    held: usize,
    /// Why the log cannot be written.
    failing: Option<String>,
    /// Events that are in no log and never will be.
    lost: u64,
    /// Decisions that were taken back because they could not be recorded.
    taken_back: u64,
    closing: bool,
    /// There is no writer any more.
    over: bool,
}

/// How the audit log does.
pub(super) struct LogHealth {
    /// Why it cannot be written.
    pub(super) failing: Option<String>,
    /// Events that are in no log and never will be.
    pub(super) lost: u64,
    /// Decisions that were taken back because they could not be recorded.
    pub(super) taken_back: u64,
    /// Events that are not written yet.
    pub(super) waiting: usize,
}

impl Journal {
    /// Puts on record that somebody is vouched for. An error: that must not take effect. Behind the line that says that the
    /// kill switch was turned on there is none of these.
    pub(super) fn vouch(&self, event: AgentEvent, is_killed: impl FnOnce() -> bool) -> Result<(), Objection> {
        let entry = Entry::from(event);
        let mut inbox = self.lock();
        if is_killed() {
            return Err(Objection::Killed);
        }
        let must_be_written = self.on_failure == Some(LogFailure::Refuse);
        if must_be_written && (inbox.is_full() || inbox.failing.is_some() || inbox.closing) {
            inbox.taken_back += 1;
            return Err(Objection::Unrecorded);
        }
        let (mut inbox, written) = self.put(inbox, entry);
        if must_be_written && !written {
            inbox.taken_back += 1;
            return Err(Objection::Unrecorded);
        }
        Ok(())
    }

    /// Puts on record what vouches for nobody.
    pub(super) fn tell(&self, event: AgentEvent) {
        let entry = Entry::from(event);
        let inbox = self.lock();
        drop(self.put(inbox, entry));
    }

    /// Says whether the entry got in, and (where everybody waits for it) to the disk.
    fn put<'a>(&'a self, mut inbox: MutexGuard<'a, Inbox>, entry: Entry) -> (MutexGuard<'a, Inbox>, bool) {
        if inbox.is_full() {
            inbox.lost += u64::from(self.on_failure.is_some());
            return (inbox, false);
        }
        inbox.entries.push(entry);
        inbox.came += 1;
        let ticket = inbox.came;
        if std::mem::take(&mut inbox.asleep) {
            self.arrived.notify_one();
        }
        if !self.sync {
            return (inbox, true);
        }
        while inbox.done < ticket && inbox.failing.is_none() && !inbox.over {
            inbox = self.settled.wait(inbox).unwrap_or_else(PoisonError::into_inner);
        }
        let written = inbox.done >= ticket;
        (inbox, written)
    }

    pub(super) fn health(&self) -> LogHealth {
        let inbox = self.lock();
        LogHealth {
            failing: inbox.failing.clone(),
            lost: inbox.lost,
            taken_back: inbox.taken_back,
            waiting: inbox.entries.len() + inbox.held,
        }
    }

    /// Who asked lately, and what came of it: the most recent first.
    pub(super) fn callers(&self, most: usize) -> Vec<CallerRow> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner).recent(most)
    }

    /// The SVIDs that end next.
    pub(super) fn svids(&self, most: usize) -> Vec<SvidRow> {
        self.svids.lock().unwrap_or_else(PoisonError::into_inner).next_to_end(most)
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    fn is_full(&self) -> bool {
        self.entries.len() + self.held >= MAX_WAITING
    }
}
