use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::alert_text;
use super::alerts::AlertBus;
use super::callers::{CallerRow, Callers};
use super::svids::{SvidRow, Svids};
use crate::agent::audit_log::{AuditLogOptions, Entry, LogFailure, OnDisk};
use crate::agent::decisions::{AgentEvent, Denial, KillSwitch, Recorder};
use crate::agent::log;
use crate::control::Severity;

/// Events that wait for the record writer, at most.
pub(super) const MAX_WAITING: usize = 128 * 1024;

/// What is on record, and the way into it.
pub(in crate::agent) struct Journal {
    inbox: Mutex<Inbox>,
    /// Wakes the record writer.
    pub(super) arrived: Condvar,
    /// Wakes the threads that wait for the disk.
    pub(super) settled: Condvar,
    /// What to do when the log cannot be written; `None` when there is no log.
    on_failure: Option<LogFailure>,
    /// Does every decision wait for the disk?
    pub(super) sync: bool,
    pub(in crate::agent) alerts: AlertBus,
    callers: Mutex<Callers>,
    svids: Mutex<Svids>,
    pub(in crate::agent) on_disk: Option<Arc<OnDisk>>,
}

#[derive(Default)]
pub(super) struct Inbox {
    pub(super) entries: Vec<Entry>,
    /// The record writer sleeps until it is woken.
    pub(super) asleep: bool,
    /// The number of the last event that came in.
    pub(super) came: u64,
    /// The number of the last event that is written (with a log, and `sync`: on the disk).
    pub(super) done: u64,
    /// Events the record writer holds because the log cannot be written.
    pub(super) held: usize,
    /// Why the log cannot be written.
    pub(super) failing: Option<LogTrouble>,
    /// Events that are in no log and never will be.
    pub(super) lost: u64,
    /// Decisions that were revoked because they could not be recorded.
    pub(super) revoked_unrecorded: u64,
    pub(super) closing: bool,
    /// There is no record writer any more.
    pub(super) over: bool,
}

/// A step on the way of a line to the disk. Each fails, and works again, by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogStep {
    Write,
    Sync,
}

impl LogStep {
    /// What an operator reads in front of the reason.
    fn failure(self) -> &'static str {
        match self {
            LogStep::Write => "the audit log cannot be written",
            LogStep::Sync => "the audit log cannot be brought to the disk",
        }
    }
}

/// A step that failed, and why.
pub(super) struct LogTrouble {
    step: LogStep,
    reason: String,
}

/// The state of the audit log.
pub(in crate::agent) struct LogHealth {
    /// Why it cannot be written.
    pub(in crate::agent) failing: Option<String>,
    /// Events that are in no log and never will be.
    pub(in crate::agent) lost: u64,
    /// Decisions that were revoked because they could not be recorded.
    pub(in crate::agent) revoked_unrecorded: u64,
    /// Events that are not written yet.
    pub(in crate::agent) waiting: usize,
}

impl Recorder for Journal {
    fn authorize(&self, event: AgentEvent, kill_switch: &KillSwitch) -> Result<(), Denial> {
        let entry = Entry::from(event);
        let mut inbox = self.lock();
        if kill_switch.is_on() {
            return Err(Denial::Killed);
        }
        let must_be_written = self.on_failure == Some(LogFailure::Refuse);
        if must_be_written && (inbox.is_full() || inbox.failing.is_some() || inbox.closing) {
            inbox.revoked_unrecorded += 1;
            return Err(Denial::Unrecorded);
        }
        let (mut inbox, written) = self.put(inbox, entry);
        if must_be_written && !written {
            inbox.revoked_unrecorded += 1;
            return Err(Denial::Unrecorded);
        }
        Ok(())
    }

    fn record(&self, event: AgentEvent) {
        let entry = Entry::from(event);
        let inbox = self.lock();
        drop(self.put(inbox, entry));
    }
}

impl Journal {
    /// A journal without events; with a log, with the options of that log and its place on the disk.
    pub(super) fn new(options: Option<&AuditLogOptions>, on_disk: Option<Arc<OnDisk>>) -> Journal {
        Journal {
            inbox: Mutex::default(),
            arrived: Condvar::new(),
            settled: Condvar::new(),
            on_failure: options.map(|options| options.on_failure),
            sync: options.is_some_and(|options| options.sync),
            alerts: AlertBus::default(),
            callers: Mutex::default(),
            svids: Mutex::default(),
            on_disk,
        }
    }

    /// Puts an entry into the inbox. Returns whether it got in, and (if every decision waits for that) to the disk.
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

    /// Notes that a step failed: nothing is vouched for, unless the options of the log say to go on.
    pub(super) fn fail(&self, step: LogStep, error: &io::Error) {
        let mut inbox = self.lock();
        if inbox.failing.is_some() {
            return;
        }
        inbox.failing = Some(LogTrouble { step, reason: error.to_string() });
        drop(inbox);
        self.settled.notify_all();
        let what = step.failure();
        let consequence = match self.on_failure {
            Some(LogFailure::Refuse) => "no credential is issued until it can",
            _ => "the agent goes on without",
        };
        tracing::error!(target: log::TARGET, %error, "{what}: {consequence}");
        let details = Some(format!("{error}; {consequence}"));
        self.alerts.publish(vec![alert_text::log_trouble(Severity::Critical, what.to_owned(), details)]);
    }

    /// Notes that a step works: if it was the one that failed, the log can be written again.
    pub(super) fn mend(&self, step: LogStep) {
        let mut inbox = self.lock();
        if inbox.failing.as_ref().is_none_or(|trouble| trouble.step != step) {
            return;
        }
        inbox.failing = None;
        drop(inbox);
        tracing::warn!(target: log::TARGET, "the audit log can be written again");
        let message = "the audit log can be written again".to_owned();
        self.alerts.publish(vec![alert_text::log_trouble(Severity::Medium, message, None)]);
    }

    pub(in crate::agent) fn health(&self) -> LogHealth {
        let inbox = self.lock();
        let failing = inbox.failing.as_ref().map(|LogTrouble { step, reason }| format!("{}: {reason}", step.failure()));
        LogHealth {
            failing,
            lost: inbox.lost,
            revoked_unrecorded: inbox.revoked_unrecorded,
            waiting: inbox.entries.len() + inbox.held,
        }
    }

    /// The callers of late, and how they were answered: the most recent first.
    pub(in crate::agent) fn callers(&self, most: usize) -> Vec<CallerRow> {
        self.lock_callers().recent(most)
    }

    /// The SVIDs that end next.
    pub(in crate::agent) fn svids(&self, most: usize) -> Vec<SvidRow> {
        self.lock_svids().next_to_end(most)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock_callers(&self) -> MutexGuard<'_, Callers> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock_svids(&self) -> MutexGuard<'_, Svids> {
        self.svids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    fn is_full(&self) -> bool {
        self.entries.len() + self.held >= MAX_WAITING
    }
}
