use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the log is told of the same trouble.
const INTERVAL: Duration = Duration::from_secs(10);

/// A trouble that may come thousands of times a second, and that the log is told of now and then.
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
    /// Notes one more time. Gives back how often it happened since the log was last told, if it is time to tell it.
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
    fn the_log_is_told_once_in_a_while() {
        let complaint = LogThrottle::default();
        assert_eq!(complaint.note(), Some(1));
        assert_eq!((complaint.note(), complaint.note()), (None, None));
        if let Ok(mut state) = complaint.state.lock() {
            state.last = Instant::now().checked_sub(INTERVAL);
        }
        assert_eq!(complaint.note(), Some(3));
    }
}
