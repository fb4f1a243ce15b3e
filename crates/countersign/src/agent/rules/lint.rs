use std::fmt;

use super::rule::Rule;
use super::ruleset::RuleSet;

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
    /// The later one is narrower: every process that matches it matches the earlier one already.
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
            // Over the Workload API every rule counts, whichever rules precede it.
            if rule.identity.is_none() {
                continue;
            }
            let takes = |earlier: &Rule| earlier.identity.is_some() && earlier.policy.covers(&rule.policy);
            let Some(earlier) = rules[..later].iter().position(takes) else {
                continue;
            };
            let same = rule.policy.covers(&rules[earlier].policy);
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
