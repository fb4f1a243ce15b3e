use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::alerts::AlertBus;
use super::folding::Folding;
use super::{Inbox, Journal, MAX_WAITING, wording};
use crate::agent::audit_log::{AuditLogOptions, Entry, LogFailure, LogLock, LogWriter, OnDisk};
use crate::agent::decisions::event::AgentEvent;
use crate::agent::log;
use crate::control::{Severity, Timestamp};
use crate::spiffe::clock::unix_seconds;

/// How long events are gathered before they are written together.
const GATHERING: Duration = Duration::from_millis(10);
/// How often the record writer looks at what has become due.
const TICK: Duration = Duration::from_secs(1);
/// How soon what is written is on the disk.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// How soon a log that cannot be written is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// The threads that keep the record.
pub(in crate::agent) struct RecordWriter {
    record: Arc<Journal>,
    threads: Vec<JoinHandle<()>>,
    end: Arc<End>,
    /// Until the last line and the head are on the disk.
    lock: Option<LogLock>,
}

/// Tells the thread that waits for the disk when to end.
#[derive(Default)]
struct End {
    over: Mutex<bool>,
    told: Condvar,
}

impl RecordWriter {
    /// Starts keeping a record, with a log or without.
    pub(in crate::agent) fn start(log: Option<(LogWriter, &AuditLogOptions)>) -> io::Result<RecordWriter> {
        let (mut writer, options) = log.unzip();
        let lock = writer.as_mut().and_then(|writer| writer.lock.take());
        let on_disk = writer.as_ref().map(|writer| Arc::clone(writer.on_disk()));
        let record = Arc::new(Journal {
            inbox: Mutex::default(),
            arrived: Condvar::new(),
            settled: Condvar::new(),
            on_failure: options.map(|options| options.on_failure),
            sync: options.is_some_and(|options| options.sync),
            alerts: AlertBus::default(),
            callers: Mutex::default(),
            svids: Mutex::default(),
            on_disk: on_disk.clone(),
        });
        let end = Arc::new(End::default());
        let mut threads = Vec::new();
        let mut work = Work { record: Arc::clone(&record), writer, held: VecDeque::new(), folding: Folding::default() };
        let name = |name: &str| std::thread::Builder::new().name(name.into());
        let over = Over(Arc::clone(&record));
        threads.push(name("countersign-log").spawn(move || {
            let _over = over;
            work.run();
        })?);
        if let Some(on_disk) = on_disk {
            let (record, end) = (Arc::clone(&record), Arc::clone(&end));
            threads.push(name("countersign-sync").spawn(move || keep_synced(&record, &on_disk, &end))?);
        }
        Ok(RecordWriter { record, threads, end, lock })
    }

    pub(in crate::agent) fn record(&self) -> &Arc<Journal> {
        &self.record
    }

    /// Writes what has come in, waits until it is on the disk, and ends. Closing twice is closing once.
    pub(in crate::agent) fn close(&mut self) {
        if self.threads.is_empty() {
            return;
        }
        self.record.lock().closing = true;
        self.record.arrived.notify_all();
        let mut threads = std::mem::take(&mut self.threads).into_iter();
        let _ = threads.next().map(JoinHandle::join);
        *self.end.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.end.told.notify_all();
        threads.for_each(|thread| drop(thread.join()));
        self.lock = None;
    }
}

impl Drop for RecordWriter {
    fn drop(&mut self) {
        self.close();
    }
}

/// However the record writer ends, nobody waits for it from then on.
struct Over(Arc<Journal>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.settled.notify_all();
    }
}

/// Brings what is written to the disk, once in a while.
fn keep_synced(record: &Journal, on_disk: &OnDisk, end: &End) {
    let mut moved = false;
    loop {
        let over = end.over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = end.told.wait_timeout_while(over, SYNC_INTERVAL, |over| !*over);
        let over = *waited.unwrap_or_else(PoisonError::into_inner).0;
        match on_disk.sync() {
            Ok(_) => record.mend(SYNCING),
            Err(error) => record.fail(SYNCING, &error),
        }
        let in_place = on_disk.is_in_place();
        if !in_place && !moved {
            let message = "the audit log was moved or removed while it is written".to_owned();
            tracing::error!(target: log::TARGET, file = %on_disk.path().display(), "{message}");
            let details = Some(on_disk.path().display().to_string());
            record.alerts.publish(vec![wording::log_trouble(Severity::Critical, message, details)]);
        }
        moved = !in_place;
        if over {
            return;
        }
    }
}

/// What fails, as it stands in front of the reason.
const WRITING: &str = "the audit log cannot be written";
const SYNCING: &str = "the audit log cannot be brought to the disk";

impl Journal {
    /// The log cannot be written: nobody is vouched for, unless it is to go on without.
    fn fail(&self, what: &'static str, error: &io::Error) {
        let mut inbox = self.lock();
        if inbox.failing.is_some() {
            return;
        }
        inbox.failing = Some(format!("{what}: {error}"));
        drop(inbox);
        self.settled.notify_all();
        let consequence = match self.on_failure {
            Some(LogFailure::Refuse) => "nobody is vouched for until it can",
            _ => "the agent goes on without",
        };
        tracing::error!(target: log::TARGET, %error, "{what}: {consequence}");
        let details = Some(format!("{error}; {consequence}"));
        self.alerts.publish(vec![wording::log_trouble(Severity::Critical, what.to_owned(), details)]);
    }

    /// What failed works again.
    fn mend(&self, what: &'static str) {
        let mut inbox = self.lock();
        if inbox.failing.as_ref().is_none_or(|why| !why.starts_with(what)) {
            return;
        }
        inbox.failing = None;
        drop(inbox);
        tracing::warn!(target: log::TARGET, "the audit log can be written again");
        let message = "the audit log can be written again".to_owned();
        self.alerts.publish(vec![wording::log_trouble(Severity::Medium, message, None)]);
    }
}

/// What the record writer works with.
struct Work {
    record: Arc<Journal>,
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
            self.record.alerts.publish(vec![wording::log_trouble(Severity::Critical, message, Some(details))]);
        }
        let mut batch = Vec::new();
        let mut gaps_told = 0;
        loop {
            let (upto, closing) = self.wait(&mut batch);
            let mut alerts = Vec::new();
            let now = Instant::now();
            for entry in &batch {
                self.note(entry);
                if let Some((alert, kind)) = wording::of(entry) {
                    alerts.extend(self.folding.add(kind, alert, now));
                }
            }
            alerts.extend(self.folding.due(now));
            let ending = {
                let mut svids = self.record.svids.lock().unwrap_or_else(PoisonError::into_inner);
                svids.ending(unix_seconds(None), |pid| std::path::Path::new("/proc").join(pid.to_string()).exists())
            };
            alerts.extend(ending.iter().map(wording::ending));
            self.record.alerts.publish(alerts);
            self.write(&mut batch, upto, &mut gaps_told);
            if closing && self.is_done(upto) {
                return;
            }
        }
    }

    /// Waits for events, gathers some, and takes them. Says the number of the last, and whether the agent ends.
    fn wait(&mut self, batch: &mut Vec<Entry>) -> (u64, bool) {
        let record = &self.record;
        let mut inbox = record.lock();
        let nap = if self.held.is_empty() { TICK } else { RETRY };
        let until = Instant::now() + nap;
        while inbox.entries.is_empty() && !inbox.closing {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            inbox.asleep = true;
            inbox = record.arrived.wait_timeout(inbox, left).unwrap_or_else(PoisonError::into_inner).0;
            inbox.asleep = false;
        }
        if !inbox.entries.is_empty() && !record.sync && !inbox.closing {
            drop(inbox);
            std::thread::sleep(GATHERING);
            inbox = record.lock();
        }
        batch.clear();
        std::mem::swap(batch, &mut inbox.entries);
        (inbox.came, inbox.closing)
    }

    /// Counts for who asks.
    fn note(&self, entry: &Entry) {
        let (caller, answer, code) = match &entry.event {
            AgentEvent::Answered { caller, code, identity, .. } => {
                (caller, identity.as_deref().unwrap_or_default(), code.as_str())
            }
            AgentEvent::Issued { caller, method, spiffe_id, expires, .. } => {
                if let Some(expires) = expires
                    && *method == "FetchX509SVID"
                {
                    let issued = Timestamp::from(entry.time).unix_seconds();
                    let mut svids = self.record.svids.lock().unwrap_or_else(PoisonError::into_inner);
                    svids.note(caller, spiffe_id, issued, *expires);
                }
                (caller, spiffe_id.as_str(), "ok")
            }
            AgentEvent::Refused { caller, code, .. } => (caller, "", *code),
            _ => return,
        };
        let mut callers = self.record.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers.note(entry.time, caller, answer, code);
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
        self.record.lock().lost += lost;
        // Nothing is put behind lines that could not be written: they are in memory already.
        let written = writer.flush().and_then(|()| {
            for entry in self.held.drain(..) {
                writer.append(&entry);
            }
            let Inbox { lost, taken_back, .. } = *self.record.lock();
            if lost + taken_back > *gaps_told {
                let reason = "the log could not be written: lost events, and decisions that were taken back";
                writer.append_gap(lost + taken_back - *gaps_told, reason);
                *gaps_told = lost + taken_back;
            }
            writer.flush()
        });
        let written = written.and_then(|()| if self.record.sync { writer.on_disk().sync_lines() } else { Ok(()) });
        match written {
            Ok(()) => {
                self.record.mend(WRITING);
                self.settle(upto, 0);
            }
            Err(error) => {
                self.record.fail(WRITING, &error);
                self.record.lock().held = self.held.len();
                std::thread::sleep(RETRY);
            }
        }
    }

    /// Lets those go on who wait for what is written now.
    fn settle(&self, upto: u64, held: usize) {
        let mut inbox = self.record.lock();
        (inbox.done, inbox.held) = (upto, held);
        drop(inbox);
        if self.record.sync {
            self.record.settled.notify_all();
        }
    }

    /// Is everything written, or has it been waited for long enough?
    fn is_done(&self, upto: u64) -> bool {
        let inbox = self.record.lock();
        inbox.done >= upto && inbox.entries.is_empty() || inbox.failing.is_some()
    }
}
