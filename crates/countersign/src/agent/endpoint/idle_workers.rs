use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The threads that accept beside the first one. They are parked until clients queue up: waking a thread takes longer
/// than answering a single client.
#[derive(Default)]
pub(super) struct IdleWorkers {
    parked: AtomicUsize,
    wakeup: Notify,
}

impl IdleWorkers {
    /// Wakes one parked thread: more clients wait than one thread can answer at once.
    pub(super) fn wake(&self) {
        let one_less = |parked: usize| parked.checked_sub(1);
        if self.parked.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
            self.wakeup.notify_one();
        }
    }

    /// Parks the calling thread until it is woken.
    pub(super) async fn park(&self) {
        self.parked.fetch_add(1, Ordering::Relaxed);
        self.wakeup.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wakeup_wakes_one_parked_worker_and_is_not_kept_for_later() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let idle_workers = IdleWorkers::default();
            // No worker is parked: none is woken later.
            idle_workers.wake();
            let woken = std::cell::Cell::new(0);
            let worker = || async {
                idle_workers.park().await;
                woken.set(woken.get() + 1);
            };
            let callers = async {
                for expected in [0, 1, 2, 2] {
                    for _ in 0..4 {
                        tokio::task::yield_now().await;
                    }
                    assert_eq!(woken.get(), expected);
                    idle_workers.wake();
                }
            };
            tokio::join!(worker(), worker(), callers);
        });
    }
}
