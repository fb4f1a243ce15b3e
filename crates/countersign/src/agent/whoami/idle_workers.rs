use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The threads that answer beside the first one. They rest until clients queue up: to wake one takes longer than to
/// answer the only client there is.
#[derive(Default)]
pub(in crate::agent) struct IdleWorkers {
    resting: AtomicUsize,
    call: Notify,
}

impl IdleWorkers {
    /// More clients wait than one thread can answer at once: somebody who rests shall help.
    pub(in crate::agent) fn call(&self) {
        let one_less = |resting: usize| resting.checked_sub(1);
        if self.resting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
            self.call.notify_one();
        }
    }

    /// Rests until called.
    pub(in crate::agent) async fn rest(&self) {
        self.resting.fetch_add(1, Ordering::Relaxed);
        self.call.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_wakes_one_of_those_who_rest_and_is_not_kept_for_later() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let idle_workers = IdleWorkers::default();
            // Nobody rests: nobody is called.
            idle_workers.call();
            let woken = std::cell::Cell::new(0);
            let worker = || async {
                idle_workers.rest().await;
                woken.set(woken.get() + 1);
            };
            let callers = async {
                for expected in [0, 1, 2, 2] {
                    for _ in 0..4 {
                        tokio::task::yield_now().await;
                    }
                    assert_eq!(woken.get(), expected);
                    idle_workers.call();
                }
            };
            tokio::join!(worker(), worker(), callers);
        });
    }
}
