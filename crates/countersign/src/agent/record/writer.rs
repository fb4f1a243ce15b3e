use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::alert_text;
use super::disk_sync::DiskSync;
use super::folding::Folding;
use super::journal::{Inbox, Journal, LogStep, MAX_WAITING};
use crate::agent::audit_log::{AuditLogOptions, Entry, LogLock, LogWriter};
use crate::agent::decisions::AgentEvent;
use crate::agent::log;
use crate::control::{Severity, Timestamp};
use crate::spiffe::clock::unix_seconds;
use crate::spiffe::workload_api::Method;

/// How long events are gathered before they are written together.
const GATHERING: Duration = Duration::from_millis(10);
/// How often the record writer looks at what has become due.
const TICK: Duration = Duration::from_secs(1);
/// How soon a log that cannot be written is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// The threads that keep the record.
pub(in crate::agent) struct RecordWriter {
    journal: Arc<Journal>,
    /// `None` once it is closed.
    thread: Option<JoinHandle<()>>,
    disk_sync: Option<DiskSync>,
    /// Held until the last line and the head are on the disk.
    lock: Option<LogLock>,
}

impl RecordWriter {
    /// Starts keeping a record, with a log or without.
    pub(in crate::agent) fn start(log: Option<(LogWriter, &AuditLogOptions)>) -> io::Result<RecordWriter> {
        let (mut writer, options) = log.unzip();
        let lock = writer.as_mut().and_then(|writer| writer.lock.take());
        let on_disk = writer.as_ref().map(|writer| Arc::clone(writer.on_disk()));
        let journal = Arc::new(Journal::new(options, on_disk.clone()));
        let mut work =
            Work { journal: Arc::clone(&journal), writer, held: VecDeque::new(), folding: Folding::default() };
        let over = Over(Arc::clone(&journal));
        let thread = std::thread::Builder::new().name("countersign-log".into()).spawn(move || {
            let _over = over;
            work.run();
        })?;
        let mut started = RecordWriter { journal, thread: Some(thread), disk_sync: None, lock };
        started.disk_sync = on_disk.map(|on_disk| DiskSync::start(&started.journal, on_disk)).transpose()?;
        Ok(started)
    }

    pub(in crate::agent) fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// Writes what has come in, waits until it is on the disk, and ends. Closing twice is closing once.
    pub(in crate::agent) fn close(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.journal.lock().closing = true;
        self.journal.arrived.notify_all();
        let _ = thread.join();
        if let Some(disk_sync) = self.disk_sync.take() {
            disk_sync.close();
        }
        self.lock = None;
    }
}

impl Drop for RecordWriter {
    fn drop(&mut self) {
        self.close();
    }
}

/// However the thread ends, no decision waits for it from then on.
struct Over(Arc<Journal>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.settled.notify_all();
    }
}

/// What the thread works with.
struct Work {
    journal: Arc<Journal>,
    writer: Option<LogWriter>,
    /// Events that wait for a log that cannot be written.
    held: VecDeque<Entry>,
    folding: Folding,
}

impl Work {
    fn run(&mut self) {
        if let Some((aside, reason)) = self.writer.as_ref().and_then(|writer| writer.set_aside.clone()) {
            let message = "the audit log was not what the agent had written, and was set aside".to_owned();
            let details = format!("{reason}; it is in {}", aside.display());
            tracing::error!(target: log::TARGET, "{message}: {details}");
            let alert = alert_text::log_trouble(Severity::Critical, message, Some(details));
            self.journal.alerts.publish(vec![alert]);
        }
        let mut batch = Vec::new();
        let mut gaps_told = 0;
        loop {
            let (upto, closing) = self.wait(&mut batch);
            let mut alerts = Vec::new();
            let now = Instant::now();
            for entry in &batch {
                self.note(entry);
                if let Some((alert, kind)) = alert_text::of(entry) {
                    alerts.extend(self.folding.add(kind, alert, now));
                }
            }
            alerts.extend(self.folding.due(now));
            let is_there = |pid: u32| std::path::Path::new("/proc").join(pid.to_string()).exists();
            let ending = self.journal.lock_svids().ending(unix_seconds(None), is_there);
            alerts.extend(ending.iter().map(alert_text::ending));
            self.journal.alerts.publish(alerts);
            self.write(&mut batch, upto, &mut gaps_told);
            if closing && self.is_done(upto) {
                return;
            }
        }
    }

    /// Waits for events, gathers some, and takes them. Returns the number of the last, and whether the agent ends.
    fn wait(&mut self, batch: &mut Vec<Entry>) -> (u64, bool) {
        let journal = &self.journal;
        let mut inbox = journal.lock();
        let nap = if self.held.is_empty() { TICK } else { RETRY };
        let until = Instant::now() + nap;
        while inbox.entries.is_empty() && !inbox.closing {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            inbox.asleep = true;
            inbox = journal.arrived.wait_timeout(inbox, left).unwrap_or_else(PoisonError::into_inner).0;
            inbox.asleep = false;
        }
        if !inbox.entries.is_empty() && !journal.sync && !inbox.closing {
            drop(inbox);
            std::thread::sleep(GATHERING);
            inbox = journal.lock();
        }
        batch.clear();
        std::mem::swap(batch, &mut inbox.entries);
        (inbox.came, inbox.closing)
    }

    /// Counts callers, and remembers SVIDs.
    fn note(&self, entry: &Entry) {
        let (caller, answer, code) = match &entry.event {
            AgentEvent::Answered { caller, code, identity, .. } => {
                (caller, identity.as_deref().unwrap_or_default(), code.as_str())
            }
            AgentEvent::Issued { caller, method, spiffe_id, expires, .. } => {
                if let (Method::FetchX509Svid, Some(expires)) = (method, expires) {
                    let issued = Timestamp::from(entry.time).unix_seconds();
                    self.journal.lock_svids().note(caller, spiffe_id, issued, *expires);
                }
                (caller, spiffe_id.as_str(), "ok")
            }
            AgentEvent::Refused { caller, code, .. } => (caller, "", code.name()),
            _ => return,
        };
        self.journal.lock_callers().note(entry.time, caller, answer, code);
    }

    /// Brings a batch into the log. What cannot be written is held.
    fn write(&mut self, batch: &mut Vec<Entry>, upto: u64, gaps_told: &mut u64) {
        let Some(writer) = &mut self.writer else { return self.settle(upto, 0) };
        let nothing = batch.is_empty() && self.held.is_empty() && !writer.is_behind();
        if nothing {
            return self.settle(upto, 0);
        }
        let room = MAX_WAITING.saturating_sub(self.held.len());
        let lost = batch.len().saturating_sub(room) as u64;
        self.held.extend(batch.drain(..).take(room));
        self.journal.lock().lost += lost;
        // Nothing is put behind lines that could not be written: they are in memory already.
        let written = writer.flush().and_then(|()| {
            for entry in self.held.drain(..) {
                writer.append(&entry);
            }
            let Inbox { lost, revoked_unrecorded, .. } = *self.journal.lock();
            let gaps = lost + revoked_unrecorded;
            if gaps > *gaps_told {
                let reason = "the log could not be written: lost events, and decisions that were revoked";
                writer.append_gap(gaps - *gaps_told, reason);
                *gaps_told = gaps;
            }
            writer.flush()
        });
        let written = written.and_then(|()| if self.journal.sync { writer.on_disk().sync_lines() } else { Ok(()) });
        match written {
            Ok(()) => {
                self.journal.mend(LogStep::Write);
                self.settle(upto, 0);
            }
            Err(error) => {
                self.journal.fail(LogStep::Write, &error);
                self.journal.lock().held = self.held.len();
                std::thread::sleep(RETRY);
            }
        }
    }

    /// Wakes the decisions that wait for what is written now.
    fn settle(&self, upto: u64, held: usize) {
        let mut inbox = self.journal.lock();
        (inbox.done, inbox.held) = (upto, held);
        drop(inbox);
        if self.journal.sync {
            self.journal.settled.notify_all();
        }
    }

    /// Is everything written, or has it been waited for long enough?
    fn is_done(&self, upto: u64) -> bool {
        let inbox = self.journal.lock();
        inbox.done >= upto && inbox.entries.is_empty() || inbox.failing.is_some()
    }
}
