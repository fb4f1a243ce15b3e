use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many connections may be served at once, in all and for one user.
pub(in crate::agent) struct Quota {
    total: usize,
    per_uid: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    total: usize,
    by_uid: HashMap<Option<u32>, usize>,
}

/// The right of one connection to be served; given back when dropped.
pub(in crate::agent) struct Permit {
    quota: Arc<Quota>,
    uid: Option<u32>,
}

impl Quota {
    pub(in crate::agent) fn new(total: usize, per_uid: usize) -> Quota {
        Quota { total, per_uid, taken: Mutex::default() }
    }

    /// A permit for one more connection of this user, unless the quota is used up.
    pub(in crate::agent) fn permit(self: &Arc<Quota>, uid: Option<u32>) -> Option<Permit> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_uid = taken.by_uid.get(&uid).copied().unwrap_or(0);
        if taken.total >= self.total || of_uid >= self.per_uid {
            return None;
        }
        taken.total += 1;
        taken.by_uid.insert(uid, of_uid + 1);
        Some(Permit { quota: Arc::clone(self), uid })
    }

    /// How many connections hold a permit.
    pub(in crate::agent) fn active(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).total
    }

    /// Waits until no connection holds a permit, on any thread, or the time is over.
    pub(super) async fn drain(&self, at_most: Duration) {
        let until = Instant::now() + at_most;
        while self.active() > 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.quota.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.total = taken.total.saturating_sub(1);
        // Users come and go: a count of zero is not kept.
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
    fn permits_are_counted_in_all_and_for_each_user() {
        let quota = Arc::new(Quota::new(3, 2));
        let first = quota.permit(Some(1));
        let second = quota.permit(Some(1));
        assert!(first.is_some() && second.is_some());
        assert!(quota.permit(Some(1)).is_none());
        let other = quota.permit(Some(2));
        assert!(other.is_some());
        assert!(quota.permit(Some(3)).is_none());
        assert_eq!(quota.active(), 3);
        drop((first, other));
        assert!(quota.permit(Some(1)).is_some());
        drop(second);
        assert_eq!(quota.active(), 0);
        assert!(quota.taken.lock().is_ok_and(|taken| taken.by_uid.is_empty()));
    }
}
