use std::time::SystemTime;

use serde::Serialize;

use crate::agent::decisions::Caller;
use crate::control::Timestamp;
use crate::recent_map::RecentMap;

/// How many rows are kept.
const MAX_ROWS: usize = 512;

/// The callers of late, and how they were answered.
pub(super) struct Callers(RecentMap<Key, CallerRow>);

impl Default for Callers {
    fn default() -> Self {
        Callers(RecentMap::new(MAX_ROWS))
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    uid: Option<u32>,
    process: String,
    answer: String,
    code: &'static str,
}

/// Calls by processes of the same name and user, with the same answer.
#[derive(Debug, Clone, Serialize)]
pub(in crate::agent) struct CallerRow {
    uid: Option<u32>,
    /// The last process that called.
    pid: Option<u32>,
    process: String,
    /// The identity or SPIFFE ID; empty for a refusal.
    answer: String,
    code: &'static str,
    count: u64,
    last: Timestamp,
}

impl Callers {
    pub(super) fn note(&mut self, time: SystemTime, caller: &Caller, answer: &str, code: &'static str) {
        let key = Key { uid: caller.uid, process: caller.process.clone(), answer: answer.to_owned(), code };
        let last = Timestamp::from(time);
        if let Some(row) = self.0.get(&key) {
            (row.pid, row.last) = (caller.pid, last);
            row.count += 1;
            return;
        }
        let row = CallerRow {
            uid: caller.uid,
            pid: caller.pid,
            process: caller.process.clone(),
            answer: answer.to_owned(),
            code,
            count: 1,
            last,
        };
        self.0.insert(key, row);
    }

    pub(super) fn recent(&self, most: usize) -> Vec<CallerRow> {
        let mut rows: Vec<CallerRow> = self.0.values().cloned().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.last));
        rows.truncate(most);
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_and_the_oldest_forgotten() {
        let mut callers = Callers::default();
        let start = SystemTime::UNIX_EPOCH;
        for number in 0..10_000_u32 {
            let caller = Caller { uid: Some(number), process: "x".into(), ..Caller::default() };
            callers.note(start + std::time::Duration::from_secs(u64::from(number)), &caller, "", "E_NO_MATCH");
            assert!(callers.0.len() <= MAX_ROWS);
        }
        let rows = callers.recent(3);
        assert_eq!(rows.iter().map(|row| row.uid).collect::<Vec<_>>(), [Some(9999), Some(9998), Some(9997)]);
        let same = Caller { uid: Some(9999), process: "x".into(), pid: Some(7), gid: None };
        callers.note(start + std::time::Duration::from_secs(20_000), &same, "", "E_NO_MATCH");
        let rows = callers.recent(1);
        assert_eq!((rows[0].count, rows[0].pid), (2, Some(7)));
    }
}
