//! Reading the rules file.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::error::RulesError;
use super::rule::Rule;
use super::ruleset::RuleSet;
use super::token::TokenSource;
use crate::agent::fs::file_state::FileState;
use crate::agent::fs::problem::Problem;
use crate::agent::fs::trust_policy::CONFIG;
use crate::agent::fs::trusted;

/// The longest rules file that is read.
const MAX_RULES_BYTES: u64 = 1024 * 1024;

impl RuleSet {
    /// Reads the rules file at `path`. A file that others can write to is refused.
    pub fn load(path: &Path) -> Result<RuleSet, RulesError> {
        RuleSet::load_with_state(path).map(|(rules, _)| rules)
    }

    pub(in crate::agent) fn load_with_state(path: &Path) -> Result<(RuleSet, FileState), RulesError> {
        load(path).map_err(|error| error.in_file(path))
    }
}

fn load(path: &Path) -> Result<(RuleSet, FileState), RulesError> {
    let refused = |problem: Problem| RulesError::whole(problem.about(path));
    let file = trusted::open(path, &CONFIG).map_err(refused)?;
    let bytes = file.read(MAX_RULES_BYTES).map_err(refused)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        RulesError::at(&valid, valid.len()..valid.len(), "not UTF-8")
    })?;
    let mut rules = RuleSet::parse(text)?;
    rules.warn(file.doubts.iter().map(|doubt| doubt.about(path)));
    let mode = file.metadata().mode() & 0o7777;
    let has_token = |rule: &Rule| matches!(rule.token, TokenSource::Inline(_));
    if mode & 0o044 != 0 && rules.rules().iter().any(has_token) {
        let warning = format!("mode {mode:04o}: others can read the tokens in it (chmod 600, or use token_file)");
        rules.warn([warning]);
    }
    Ok((rules, FileState::from(file.metadata())))
}
