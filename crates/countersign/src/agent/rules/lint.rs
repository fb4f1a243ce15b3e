use std::fmt;

use super::rule::Rule;
use super::ruleset::RuleSet;
use crate::peer::{Group, PathPattern, PeerPolicy};

/// Something in the rules that is allowed, but can hardly be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The number of the rule, from 0.
    pub rule: usize,
    /// The line it begins at, when it comes from a text.
    pub line: Option<usize>,
    /// The earlier rule that takes every process away from it.
    pub earlier: usize,
    /// The line of that one.
    pub earlier_line: Option<usize>,
    /// How the two relate.
    pub kind: FindingKind,
}

/// How a rule that is never reached relates to the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingKind {
    /// Both have the same conditions.
    Duplicate,
    /// The later one is narrower: whoever fits it fits the earlier one already.
    Shadowed,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |number: usize, line: Option<usize>| match line {
            Some(line) => format!("rule {} (line {line})", number + 1),
            None => format!("rule {}", number + 1),
        };
        let how = match self.kind {
            FindingKind::Duplicate => "has the same conditions as",
            FindingKind::Shadowed => "is never reached, it is narrower than",
        };
        write!(f, "{} {how} {}", name(self.rule, self.line), name(self.earlier, self.earlier_line))
    }
}

impl RuleSet {
    /// Rules whose identity no process ever gets, because an earlier one takes them all.
    pub fn lint(&self) -> Vec<Finding> {
        let rules = self.rules();
        let line = |number: usize| rules[number].position.map(|position| position.line);
        let mut findings = Vec::new();
        for (later, rule) in rules.iter().enumerate() {
            // Over the Workload API every rule counts, whatever stands before it.
            if rule.identity.is_none() {
                continue;
            }
            let takes = |earlier: &Rule| earlier.identity.is_some() && covers(&earlier.policy, &rule.policy);
            let Some(earlier) = rules[..later].iter().position(takes) else {
                continue;
            };
            let same = covers(&rule.policy, &rules[earlier].policy);
            findings.push(Finding {
                rule: later,
                line: line(later),
                earlier,
                earlier_line: line(earlier),
                kind: if same { FindingKind::Duplicate } else { FindingKind::Shadowed },
            });
        }
        findings
    }
}

/// Does every process that meets `narrow` meet `wide` as well? Only what can be told from the conditions alone.
fn covers(wide: &PeerPolicy, narrow: &PeerPolicy) -> bool {
    fn same<T: PartialEq>(wide: &Option<T>, narrow: &Option<T>) -> bool {
        wide.is_none() || wide == narrow
    }
    same(&wide.uid, &narrow.uid)
        && same(&wide.gid, &narrow.gid)
        && covers_group(wide.group.as_ref(), narrow)
        && covers_path(wide.exe.as_ref(), narrow.exe.as_ref())
        && same(&wide.exe_sha256, &narrow.exe_sha256)
        && same(&wide.process, &narrow.process)
        && same(&wide.pid, &narrow.pid)
        && covers_path(wide.cgroup.as_ref(), narrow.cgroup.as_ref())
        && same(&wide.unit, &narrow.unit)
}

/// The primary group is one of the groups a process is in.
fn covers_group(wide: Option<&Group>, narrow: &PeerPolicy) -> bool {
    let Some(wide) = wide else { return true };
    narrow.gid == Some(wide.gid) || narrow.group.as_ref().is_some_and(|narrow| narrow.gid == wide.gid)
}

fn covers_path(wide: Option<&PathPattern>, narrow: Option<&PathPattern>) -> bool {
    match (wide, narrow) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(PathPattern::Exact(wide)), Some(PathPattern::Exact(narrow))) => wide == narrow,
        (Some(PathPattern::Exact(_)), Some(PathPattern::Below(_))) => false,
        (Some(PathPattern::Below(wide)), Some(PathPattern::Exact(narrow))) => {
            narrow != wide && narrow.starts_with(wide)
        }
        (Some(PathPattern::Below(wide)), Some(PathPattern::Below(narrow))) => narrow.starts_with(wide),
    }
}
