use std::time::Duration;

/// How long to wait before the next attempt: not at all after the first failure, then a random time up to a bound that
/// doubles from 200 ms to 10 s ("full jitter": the workloads of a machine must not come back all at once when their
/// agent was restarted).
#[derive(Default)]
pub(super) struct Backoff {
    failures: u32,
}

const LEAST: Duration = Duration::from_millis(200);
const MOST: Duration = Duration::from_secs(10);

impl Backoff {
    /// The pause after one more failure.
    pub fn pause(&mut self) -> Duration {
        let pause = self.bound().mul_f64(random());
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// No pause may be longer than this.
    fn bound(&self) -> Duration {
        match self.failures {
            0 => Duration::ZERO,
            failures => LEAST.saturating_mul(1 << (failures - 1).min(16)).min(MOST),
        }
    }

    /// It works again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// From 0 up to 1. Nobody has to be unable to guess it; the generator need only differ between processes.
fn random() -> f64 {
    let mut bytes = [0; 4];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pause_is_none_and_the_bound_doubles() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.pause(), Duration::ZERO);
        for bound in [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000] {
            assert_eq!(backoff.bound(), Duration::from_millis(bound));
            assert!(backoff.pause() <= Duration::from_millis(bound));
        }
        backoff.reset();
        assert_eq!(backoff.pause(), Duration::ZERO);
    }

    #[test]
    fn pauses_are_spread_over_the_whole_range() {
        let pauses: Vec<Duration> = (0..2000).map(|_| Backoff { failures: 20 }.pause()).collect();
        let below = |limit| pauses.iter().filter(|pause| **pause < limit).count();
        for tenth in 1..=10 {
            let count = below(MOST / 10 * tenth) as i64;
            assert!((count - 200 * i64::from(tenth)).abs() < 120, "{count} below {tenth} tenths");
        }
    }
}
