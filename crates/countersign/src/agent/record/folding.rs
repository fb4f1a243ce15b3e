use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::control::Alert;

/// The first alert of a kind is published at once, the next only after a pause. The pause grows while alerts come.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How many kinds are kept apart.
const MAX_KINDS: usize = 4096;

/// What makes two alerts alerts about the same thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) monitor: &'static str,
    pub(super) what: String,
    pub(super) uid: Option<u32>,
}

/// Keeps one process that does the same thing thousands of times from filling the row of alerts.
#[derive(Default)]
pub(super) struct Folding(HashMap<Kind, Fold>);

struct Fold {
    /// When one of the kind may be published again.
    next: Instant,
    backoff: Backoff,
    /// How many were held since, and the last of them.
    held: u64,
    last: Option<Alert>,
}

impl Folding {
    /// Returns the alert if it is to be published now.
    pub(super) fn add(&mut self, mut kind: Kind, alert: Alert, now: Instant) -> Option<Alert> {
        if self.0.len() >= MAX_KINDS && !self.0.contains_key(&kind) {
            self.0.retain(|_, fold| fold.held > 0 || fold.next > now);
            if self.0.len() >= MAX_KINDS {
                // So many kinds at once are a kind of their own, one for each monitor.
                (kind.what, kind.uid) = (String::new(), None);
            }
        }
        match self.0.get_mut(&kind) {
            Some(fold) if now < fold.next || fold.held > 0 => {
                fold.held += 1;
                fold.last = Some(alert);
                None
            }
            Some(fold) => {
                // It was quiet for a whole pause: the next pause is a short one again.
                *fold = Fold::starting(now);
                Some(alert)
            }
            None => {
                self.0.insert(kind, Fold::starting(now));
                Some(alert)
            }
        }
    }

    /// What is due: of each kind the last alert, which says how many others there were.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for fold in self.0.values_mut() {
            if now < fold.next {
                continue;
            }
            let Some(mut alert) = fold.last.take() else { continue };
            if fold.held > 1 {
                let more = format!("and {} times more since the last alert of the kind", fold.held - 1);
                alert.details = Some(match alert.details.take() {
                    Some(details) => format!("{details}; {more}"),
                    None => more,
                });
            }
            fold.held = 0;
            fold.next = now + fold.backoff.pause();
            alerts.push(alert);
        }
        // Kinds that were quiet for long are forgotten.
        self.0.retain(|_, fold| fold.held > 0 || now < fold.next + LONGEST_PAUSE);
        alerts
    }
}

impl Fold {
    fn starting(now: Instant) -> Fold {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        Fold { next: now + backoff.pause(), backoff, held: 0, last: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Severity, Timestamp};

    fn alert(message: &str) -> Alert {
        Alert {
            timestamp: Timestamp::now(),
            severity: Severity::Low,
            monitor: "m".into(),
            message: message.into(),
            details: None,
            seq: None,
            missed: None,
        }
    }

    fn kind(uid: u32) -> Kind {
        Kind { monitor: "m", what: "x".into(), uid: Some(uid) }
    }

    #[test]
    fn the_first_is_told_at_once_and_the_others_now_and_then() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut folding = Folding::default();
        assert!(folding.add(kind(1), alert("first"), start).is_some());
        assert!(folding.add(kind(2), alert("another user"), start).is_some());
        for _ in 0..100 {
            assert!(folding.add(kind(1), alert("more"), start).is_none());
        }
        assert!(folding.due(start).is_empty());
        let due = folding.due(at(1));
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].details.as_deref(), Some("and 99 times more since the last alert of the kind"));
        // Now every 2 seconds, then every 4: in ten minutes of it no more than a dozen.
        let mut told = 0;
        for second in 2..600 {
            assert!(folding.add(kind(1), alert("on and on"), at(second)).is_none());
            told += folding.due(at(second)).len();
        }
        assert!((10..20).contains(&told), "{told}");
        // It stopped, and begins again later.
        folding.due(at(700));
        assert!(folding.add(kind(1), alert("again"), at(900)).is_some());
    }

    #[test]
    fn more_kinds_than_can_be_told_apart_are_one() {
        let start = Instant::now();
        let mut folding = Folding::default();
        let told = (0..3 * MAX_KINDS as u32).filter(|uid| folding.add(kind(*uid), alert("x"), start).is_some()).count();
        assert!(told <= MAX_KINDS + 1, "{told}");
        assert!(folding.0.len() <= MAX_KINDS + 1);
    }
}
