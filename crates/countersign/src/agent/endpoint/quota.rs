use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many connections may be kept waiting, in all and for one user.
pub(in crate::agent) struct Limits {
    total: usize,
    per_uid: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    total: usize,
    by_uid: HashMap<Option<u32>, usize>,
}

/// The right to be kept waiting; given back when dropped.
pub(in crate::agent) struct Place {
    limits: Arc<Limits>,
    uid: Option<u32>,
}

impl Limits {
    pub(in crate::agent) fn new(total: usize, per_uid: usize) -> Limits {
        Limits { total, per_uid, taken: Mutex::default() }
    }

    /// A place for one more connection of this user, if there is one.
    pub(in crate::agent) fn admit(self: &Arc<Limits>, uid: Option<u32>) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_uid = taken.by_uid.get(&uid).copied().unwrap_or(0);
        if taken.total >= self.total || of_uid >= self.per_uid {
            return None;
        }
        taken.total += 1;
        taken.by_uid.insert(uid, of_uid + 1);
        Some(Place { limits: Arc::clone(self), uid })
    }

    pub(in crate::agent) fn active(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).total
    }

    /// Gives connections that are kept waiting, on any thread, a moment to end.
    pub(in crate::agent) async fn drain(&self, at_most: Duration) {
        let until = Instant::now() + at_most;
        while self.active() > 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.limits.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.total = taken.total.saturating_sub(1);
        // Users come and go; a count of nothing is not kept.
        match taken.by_uid.get_mut(&self.uid) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.by_uid.remove(&self.uid)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_all_and_for_each_user() {
        let limits = Arc::new(Limits::new(3, 2));
        let first = limits.admit(Some(1));
        let second = limits.admit(Some(1));
        assert!(first.is_some() && second.is_some());
        assert!(limits.admit(Some(1)).is_none());
        let other = limits.admit(Some(2));
        assert!(other.is_some());
        assert!(limits.admit(Some(3)).is_none());
        assert_eq!(limits.active(), 3);
        drop((first, other));
        assert!(limits.admit(Some(1)).is_some());
        drop(second);
        assert_eq!(limits.active(), 0);
        assert!(limits.taken.lock().is_ok_and(|taken| taken.by_uid.is_empty()));
    }
}
