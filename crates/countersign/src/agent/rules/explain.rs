use super::rule::Rule;
use super::ruleset::RuleSet;
use crate::peer::{Denied, Examination, Peer, PeerError};
use crate::spiffe::SpiffeId;

/// Which rule a process gets, and why not another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The result of each rule, in order.
    pub verdicts: Vec<Verdict>,
}

/// The result of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The number of the rule, from 0.
    pub rule: usize,
    /// The identity it gives over the whoami protocol.
    pub identity: Option<String>,
    /// The SPIFFE ID it gives over the Workload API.
    pub spiffe_id: Option<SpiffeId>,
    /// The line it begins at, when it comes from a text.
    pub line: Option<usize>,
    /// The first condition that does not hold; `None` when all of them do.
    pub denied: Option<Denied>,
}

impl Explanation {
    /// The rule whose identity the process gets: the first with one that matches.
    pub fn winner(&self) -> Option<&Verdict> {
        self.verdicts.iter().find(|verdict| verdict.denied.is_none() && verdict.identity.is_some())
    }

    /// The rules whose SVIDs the process gets: all with one that match. The first is its default.
    pub fn svids(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|verdict| verdict.denied.is_none() && verdict.spiffe_id.is_some())
    }
}

impl RuleSet {
    /// Evaluates every rule for a process, also those after the first match.
    pub fn explain(&self, peer: &Peer) -> Result<Explanation, PeerError> {
        let look = Examination::new(peer);
        let verdict = |(number, rule): (usize, &Rule)| {
            Ok(Verdict {
                rule: number,
                identity: rule.identity.clone(),
                spiffe_id: rule.svid.as_ref().map(|svid| svid.spiffe_id.clone()),
                line: rule.position.map(|position| position.line),
                denied: look.check(&rule.policy)?.err(),
            })
        };
        let verdicts = self.rules().iter().enumerate().map(verdict).collect::<Result<_, PeerError>>()?;
        Ok(Explanation { verdicts })
    }
}
