//! Pauses between attempts.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// How long to pause before the next attempt: each pause is twice as long as the one before, up to a bound.
#[derive(Debug, Clone)]
pub struct Backoff {
    least: Duration,
    most: Duration,
    first_at_once: bool,
    jitter: bool,
    failures: u32,
}

impl Backoff {
    /// Pauses that double from `least` to `most`.
    pub const fn new(least: Duration, most: Duration) -> Backoff {
        Backoff { least, most, first_at_once: false, jitter: false, failures: 0 }
    }

    /// The first attempt after a success is made without a pause.
    pub const fn with_first_at_once(mut self) -> Backoff {
        self.first_at_once = true;
        self
    }

    /// Each pause is a random time up to what it would be ("full jitter"): clients that lost the same server must not
    /// all come back at the same moment.
    pub const fn with_jitter(mut self) -> Backoff {
        self.jitter = true;
        self
    }

    /// The pause after one more failure.
    pub fn pause(&mut self) -> Duration {
        let bound = self.bound();
        self.failures = self.failures.saturating_add(1);
        if self.jitter { bound.mul_f64(random()) } else { bound }
    }

    /// The attempt succeeded.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next pause is not longer than this.
    pub fn bound(&self) -> Duration {
        let doublings = match (self.failures, self.first_at_once) {
            (0, true) => return Duration::ZERO,
            (failures, true) => failures - 1,
            (failures, false) => failures,
        };
        self.least.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(self.most)
    }
}

/// From 0 up to 1. It need not be hard to guess, it only has to differ between processes.
fn random() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_millis(200);
    const MOST: Duration = Duration::from_secs(10);

    #[test]
    fn pauses_double_up_to_the_bound_and_start_again_after_a_success() {
        let mut backoff = Backoff::new(LEAST, MOST);
        for milliseconds in [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000] {
            assert_eq!(backoff.pause(), Duration::from_millis(milliseconds));
        }
        backoff.reset();
        assert_eq!(backoff.pause(), LEAST);
    }

    #[test]
    fn the_first_pause_can_be_none_and_the_bound_doubles() {
        let mut backoff = Backoff::new(LEAST, MOST).with_first_at_once().with_jitter();
        assert_eq!(backoff.pause(), Duration::ZERO);
        for bound in [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000] {
            assert_eq!(backoff.bound(), Duration::from_millis(bound));
            assert!(backoff.pause() <= Duration::from_millis(bound));
        }
        backoff.reset();
        assert_eq!(backoff.pause(), Duration::ZERO);
    }

    #[test]
    fn many_failures_do_not_overflow() {
        for failures in [31, 32, 33, u32::MAX] {
            assert_eq!(Backoff { failures, ..Backoff::new(LEAST, MOST) }.pause(), MOST);
        }
    }

    #[test]
    fn pauses_with_jitter_are_spread_over_the_whole_range() {
        let late = || Backoff { failures: 20, ..Backoff::new(LEAST, MOST).with_jitter() };
        let pauses: Vec<Duration> = (0..2000).map(|_| late().pause()).collect();
        let below = |limit| pauses.iter().filter(|pause| **pause < limit).count();
        for tenth in 1..=10 {
            let count = below(MOST / 10 * tenth) as i64;
            assert!((count - 200 * i64::from(tenth)).abs() < 120, "{count} below {tenth} tenths");
        }
    }
}
