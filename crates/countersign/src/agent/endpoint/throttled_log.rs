use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The shortest time between two log lines about the same problem.
const INTERVAL: Duration = Duration::from_secs(10);

/// Limits the log lines about a problem that may occur thousands of times a second.
#[derive(Default)]
pub(in crate::agent) struct LogThrottle {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    times: u64,
    last: Option<Instant>,
}

impl LogThrottle {
    /// Counts one more occurrence. When a log line is due: how many there were since the last one.
    pub(in crate::agent) fn note(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.times += 1;
        if state.last.is_some_and(|then| then.elapsed() < INTERVAL) {
            return None;
        }
        state.last = Some(Instant::now());
        Some(std::mem::take(&mut state.times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_is_due_once_per_interval() {
        let throttle = LogThrottle::default();
        assert_eq!(throttle.note(), Some(1));
        assert_eq!((throttle.note(), throttle.note()), (None, None));
        if let Ok(mut state) = throttle.state.lock() {
            state.last = Instant::now().checked_sub(INTERVAL);
        }
        assert_eq!(throttle.note(), Some(3));
    }
}
