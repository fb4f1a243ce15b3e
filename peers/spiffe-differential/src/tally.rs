//! Counts verdicts, and sorts differences into those a rule settles and those nobody has explained.

use std::collections::BTreeMap;

/// What one side says: the value it read, or why it refused.
pub type Verdict = Result<String, String>;

/// A difference that is settled: the rule, and how to tell it.
#[derive(Clone, Copy)]
pub struct Settled {
    pub rule: &'static str,
    pub applies: fn(ours: &Verdict, theirs: &Verdict) -> bool,
}

pub struct Tally {
    what: &'static str,
    settled: &'static [Settled],
    both_accept: u64,
    both_refuse: u64,
    by_rule: BTreeMap<&'static str, (u64, String)>,
    unexplained: Vec<String>,
    unexplained_count: u64,
}

impl Tally {
    pub fn new(what: &'static str, settled: &'static [Settled]) -> Self {
        Self {
            what,
            settled,
            both_accept: 0,
            both_refuse: 0,
            by_rule: BTreeMap::new(),
            unexplained: Vec::new(),
            unexplained_count: 0,
        }
    }

    pub fn compare(&mut self, input: impl Fn() -> String, ours: &Verdict, theirs: &Verdict) {
        match (ours, theirs) {
            (Ok(one), Ok(other)) if one == other => self.both_accept += 1,
            (Err(_), Err(_)) => self.both_refuse += 1,
            _ => match self
                .settled
                .iter()
                .find(|settled| (settled.applies)(ours, theirs))
            {
                Some(settled) => {
                    let entry = self.by_rule.entry(settled.rule).or_insert_with(|| {
                        (
                            0,
                            format!("ours {ours:?}, theirs {theirs:?}")
                                .chars()
                                .take(160)
                                .collect(),
                        )
                    });
                    entry.0 += 1;
                }
                None => {
                    self.unexplained_count += 1;
                    if self.unexplained.len() < 5 {
                        let shown =
                            format!("{}\n      ours {ours:?}\n      theirs {theirs:?}", input());
                        self.unexplained.push(shown.chars().take(3000).collect());
                    }
                }
            },
        }
    }

    pub fn unexplained(&self) -> u64 {
        self.unexplained_count
    }

    pub fn print(&self) {
        let settled: u64 = self.by_rule.values().map(|(count, _)| count).sum();
        let all = self.both_accept + self.both_refuse + settled + self.unexplained_count;
        println!(
            "{}: {all} inputs, both accept {}, both refuse {}, settled {settled}, unexplained {}",
            self.what, self.both_accept, self.both_refuse, self.unexplained_count
        );
        for (rule, (count, example)) in &self.by_rule {
            println!("  {count:>8}  {rule}\n            e.g. {example}");
        }
        for shown in &self.unexplained {
            println!("  UNEXPLAINED {shown}");
        }
    }
}

/// Whether ours refuses for this reason while theirs accepts.
pub fn only_ours_refuses(ours: &Verdict, theirs: &Verdict, codes: &[&str]) -> bool {
    theirs.is_ok()
        && ours
            .as_ref()
            .is_err_and(|code| codes.contains(&code.as_str()))
}

/// Whether theirs refuses with a text that contains this, while ours accepts.
pub fn only_theirs_refuses(ours: &Verdict, theirs: &Verdict, text: &str) -> bool {
    ours.is_ok() && theirs.as_ref().is_err_and(|error| error.contains(text))
}
