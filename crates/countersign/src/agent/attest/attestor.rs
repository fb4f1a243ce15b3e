use rustix::io::Errno;

use crate::agent::rules::rule::{BeforeHash, Rule};
use crate::agent::rules::ruleset::RuleSet;
use crate::peer::{Examination, Exe, Peer, PeerError};

/// Holds the rules against one process. It looks at the process once: what is read twice could be two programs.
pub(in crate::agent) struct Attestor<'a> {
    look: Examination<'a>,
    rules: &'a [Rule],
}

/// What the rules are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::agent) enum Question {
    /// The identity of the process: the first rule with one that matches.
    Identity,
    /// The SVIDs of the process: all rules with one that match.
    Svids,
}

/// How much an evaluation may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::agent) enum Depth {
    /// What is read in microseconds.
    Cheap,
    /// Executables from end to end, for their hash.
    Hash,
}

/// What an evaluation came to.
pub(in crate::agent) enum Evaluation<'a> {
    Attested(Attested<'a>),
    /// The answer depends on the hash of an executable, and [`Depth::Cheap`] allows none.
    NeedsHash,
}

/// The rules that match a process, in their order, and the name of the process.
pub(in crate::agent) struct Attested<'a> {
    pub(in crate::agent) rules: Vec<&'a Rule>,
    pub(in crate::agent) process: String,
}

impl Question {
    fn concerns(self, rule: &Rule) -> bool {
        match self {
            Question::Identity => rule.identity.is_some(),
            Question::Svids => rule.svid.is_some(),
        }
    }

    fn is_answered_by_one(self) -> bool {
        self == Question::Identity
    }
}

impl<'a> Attestor<'a> {
    pub(in crate::agent) fn new(peer: &'a Peer, rules: &'a RuleSet) -> Attestor<'a> {
        Attestor { look: Examination::new(peer), rules: rules.rules() }
    }

    /// Finds the rules that match the process.
    pub(in crate::agent) fn evaluate(&self, question: Question, depth: Depth) -> Result<Evaluation<'a>, PeerError> {
        let mut rules = Vec::new();
        for rule in self.rules.iter().filter(|rule| question.concerns(rule)) {
            if depth == Depth::Cheap {
                match &rule.before_hash {
                    BeforeHash::NotAsked => {}
                    BeforeHash::HashOnly => return Ok(Evaluation::NeedsHash),
                    BeforeHash::Conditions(conditions) if self.look.check(conditions)?.is_ok() => {
                        return Ok(Evaluation::NeedsHash);
                    }
                    BeforeHash::Conditions(_) => continue,
                }
            }
            if self.look.check(&rule.policy)?.is_ok() {
                rules.push(rule);
                if question.is_answered_by_one() {
                    break;
                }
            }
        }
        // Last: a name that can be read proves that the process was still there while the rules were held against it.
        let process = self.process()?;
        Ok(Evaluation::Attested(Attested { rules, process }))
    }

    /// The name of the process.
    pub(in crate::agent) fn process(&self) -> Result<String, PeerError> {
        Ok(self.look.comm()?.unwrap_or_default())
    }

    /// The executable, for the record: if the rule that matched asks for it, or (when none matched) if any rule does.
    /// An operator sees in it what to write into the rules.
    pub(in crate::agent) fn exe(&self, matched: Option<&Rule>) -> Option<String> {
        let asks = |rule: &Rule| rule.policy.exe.is_some() || rule.policy.exe_sha256.is_some();
        let is_wanted = match matched {
            Some(rule) => asks(rule),
            None => self.rules.iter().any(asks),
        };
        match is_wanted.then(|| self.look.exe().ok())?? {
            Exe::Proven(path) => Some(path.display().to_string()),
            Exe::Doubtful(path, doubt) => Some(format!("{} ({doubt:?})", path.display())),
            Exe::Unknown(_) => None,
        }
    }
}

/// Did the examination fail because the kernel has no descriptors or no memory left? That passes.
pub(in crate::agent) fn is_exhaustion(error: &PeerError) -> bool {
    let PeerError::Os { source, .. } = error else { return false };
    matches!(Errno::from_io_error(source), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}
