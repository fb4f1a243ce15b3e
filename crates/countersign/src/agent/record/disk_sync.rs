use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::alert_text;
use super::journal::{Journal, LogStep};
use crate::agent::audit_log::OnDisk;
use crate::agent::log;
use crate::control::Severity;

/// How soon what is written is on the disk.
const INTERVAL: Duration = Duration::from_secs(1);

/// The thread that brings what is written to the disk, once in a while.
pub(super) struct DiskSync {
    thread: JoinHandle<()>,
    end: Arc<End>,
}

/// Ends the thread.
#[derive(Default)]
struct End {
    over: Mutex<bool>,
    changed: Condvar,
}

impl DiskSync {
    pub(super) fn start(journal: &Arc<Journal>, on_disk: Arc<OnDisk>) -> io::Result<DiskSync> {
        let end = Arc::new(End::default());
        let (journal, ending) = (Arc::clone(journal), Arc::clone(&end));
        let thread = std::thread::Builder::new()
            .name("countersign-sync".into())
            .spawn(move || keep_synced(&journal, &on_disk, &ending))?;
        Ok(DiskSync { thread, end })
    }

    /// Brings what is written to the disk a last time, and ends.
    pub(super) fn close(self) {
        *self.end.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.end.changed.notify_all();
        let _ = self.thread.join();
    }
}

fn keep_synced(journal: &Journal, on_disk: &OnDisk, end: &End) {
    let mut moved = false;
    loop {
        let over = end.over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = end.changed.wait_timeout_while(over, INTERVAL, |over| !*over);
        let over = *waited.unwrap_or_else(PoisonError::into_inner).0;
        match on_disk.sync() {
            Ok(_) => journal.mend(LogStep::Sync),
            Err(error) => journal.fail(LogStep::Sync, &error),
        }
        let in_place = on_disk.is_in_place();
        if !in_place && !moved {
            let message = "the audit log was moved or removed while it is written".to_owned();
            tracing::error!(target: log::TARGET, file = %on_disk.path().display(), "{message}");
            let details = Some(on_disk.path().display().to_string());
            journal.alerts.publish(vec![alert_text::log_trouble(Severity::Critical, message, details)]);
        }
        moved = !in_place;
        if over {
            return;
        }
    }
}
