use std::collections::HashMap;

use serde::Serialize;

use crate::agent::decisions::Caller;

/// How many SVIDs are remembered.
const MAX_ROWS: usize = 8192;

/// The X509-SVIDs that were issued and have not expired.
#[derive(Default)]
pub(super) struct Svids(HashMap<(Option<u32>, String), SvidRow>);

/// The last SVID of one name that a process was given.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::agent) struct SvidRow {
    pub(super) pid: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) process: String,
    pub(super) spiffe_id: String,
    /// Seconds since 1970.
    pub(super) issued: i64,
    pub(super) expires: i64,
    #[serde(skip)]
    reported: bool,
}

impl SvidRow {
    pub(in crate::agent) fn expires(&self) -> i64 {
        self.expires
    }
}

impl Svids {
    pub(super) fn note(&mut self, caller: &Caller, spiffe_id: &str, issued: i64, expires: i64) {
        let key = (caller.pid, spiffe_id.to_owned());
        if self.0.len() >= MAX_ROWS && !self.0.contains_key(&key) {
            self.0.retain(|_, row| row.expires > issued);
            if self.0.len() >= MAX_ROWS {
                return;
            }
        }
        let row = SvidRow {
            pid: caller.pid,
            uid: caller.uid,
            process: caller.process.clone(),
            spiffe_id: spiffe_id.to_owned(),
            issued,
            expires,
            reported: false,
        };
        self.0.insert(key, row);
    }

    /// SVIDs that were not renewed although only a sixth of their lifetime is left, each once, while the process is
    /// there. A process that listens has its SVIDs renewed half-way.
    pub(super) fn ending(&mut self, now: i64, is_there: impl Fn(u32) -> bool) -> Vec<SvidRow> {
        self.0.retain(|_, row| row.expires > now);
        let mut ending = Vec::new();
        for row in self.0.values_mut() {
            let left = row.expires - now;
            if row.reported || left > (row.expires - row.issued) / 6 {
                continue;
            }
            row.reported = true;
            if row.pid.is_some_and(&is_there) {
                ending.push(row.clone());
            }
        }
        ending
    }

    pub(super) fn next_to_end(&self, most: usize) -> Vec<SvidRow> {
        let mut rows: Vec<SvidRow> = self.0.values().cloned().collect();
        rows.sort_by_key(|row| row.expires);
        rows.truncate(most);
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(pid: u32) -> Caller {
        Caller { pid: Some(pid), uid: Some(1), gid: Some(1), process: "p".into() }
    }

    #[test]
    fn an_svid_that_is_not_renewed_is_reported_once() {
        let mut svids = Svids::default();
        svids.note(&caller(1), "spiffe://td/a", 0, 600);
        svids.note(&caller(2), "spiffe://td/a", 0, 600);
        svids.note(&caller(3), "spiffe://td/a", 0, 600);
        svids.note(&caller(1), "spiffe://td/a", 300, 900);
        let there = |pid| pid != 3;
        assert!(svids.ending(499, there).is_empty());
        let ending = svids.ending(500, there);
        assert_eq!(ending.iter().map(|row| row.pid).collect::<Vec<_>>(), [Some(2)]);
        assert!(svids.ending(501, there).is_empty());
        assert_eq!(svids.next_to_end(9).len(), 3);
        assert!(svids.ending(600, there).is_empty());
        assert_eq!(svids.next_to_end(9).iter().map(|row| row.expires).collect::<Vec<_>>(), [900]);
    }
}
