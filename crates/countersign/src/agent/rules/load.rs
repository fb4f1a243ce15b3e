//! Reading the rules file.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use super::error::RulesError;
use super::rule::Rule;
use super::ruleset::RuleSet;
use super::token::TokenSource;
use crate::agent::fs::file_state::FileState;

/// The longest rules file that is read.
const MAX_RULES_BYTES: u64 = 1024 * 1024;

impl RuleSet {
    /// Reads the rules file at `path`. One that others could have written is refused.
    pub fn load(path: &Path) -> Result<RuleSet, RulesError> {
        RuleSet::load_with_state(path).map(|(rules, _)| rules)
    }

    pub(in crate::agent) fn load_with_state(path: &Path) -> Result<(RuleSet, FileState), RulesError> {
        load(path).map_err(|error| error.in_file(path))
    }
}

fn load(path: &Path) -> Result<(RuleSet, FileState), RulesError> {
    let io = |error: io::Error| RulesError::whole(error.to_string());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = rustix::fs::open(path, flags, Mode::empty()).map(File::from).map_err(|e| io(e.into()))?;
    let found = file.metadata().map_err(io)?;
    let mut warnings = file_warnings(&found)?;

    // One allocation of the whole size, wiped when it is dropped: the text may hold tokens.
    let mut bytes = Zeroizing::new(Vec::with_capacity(found.len() as usize + 1));
    (&file).take(found.len() + 1).read_to_end(&mut bytes).map_err(io)?;
    let state = FileState::from(&file.metadata().map_err(io)?);
    if bytes.len() as u64 != found.len() || state != FileState::from(&found) {
        return Err(RulesError::whole("the file changed while it was read"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        RulesError::at(&valid, valid.len()..valid.len(), "not UTF-8")
    })?;
    let mut rules = RuleSet::parse(text)?;
    let has_token = |rule: &Rule| matches!(rule.token, TokenSource::Inline(_));
    if found.mode() & 0o044 != 0 && rules.rules().iter().any(has_token) {
        warnings.push(format!(
            "mode {:04o}: others can read the tokens in it (chmod 600, or use token_file)",
            found.mode() & 0o7777
        ));
    }
    rules.warn(warnings);
    Ok((rules, state))
}

/// Refuses a file that anybody could have written; says what else is doubtful.
fn file_warnings(found: &Metadata) -> Result<Vec<String>, RulesError> {
    if !found.is_file() {
        return Err(RulesError::whole("not a regular file"));
    }
    if found.len() > MAX_RULES_BYTES {
        return Err(RulesError::whole(format!("longer than {MAX_RULES_BYTES} bytes")));
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o002 != 0 {
        return Err(RulesError::whole(format!("mode {mode:04o}: every user could rewrite the rules (chmod o-w)")));
    }
    let mut warnings = Vec::new();
    if mode & 0o020 != 0 {
        warnings.push(format!("mode {mode:04o}: group {} can rewrite the rules", found.gid()));
    }
    let own = rustix::process::geteuid().as_raw();
    if found.uid() != 0 && found.uid() != own {
        warnings.push(format!("owned by uid {}, who can rewrite the rules; expected {own} or 0", found.uid()));
    }
    Ok(warnings)
}
