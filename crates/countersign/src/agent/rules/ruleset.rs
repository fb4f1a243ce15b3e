use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use toml::Spanned;
use zeroize::Zeroizing;

use super::error::RulesError;
use super::rule::Rule;
use super::schema::{FileForm, RuleForm};
use super::svid_entry::list;
use super::token::TokenSource;
use super::workload_api::{DEV_TRUST_DOMAIN, WorkloadSettings};
use crate::spiffe::TrustDomain;

/// The longest rules file that is read.
const MAX_RULES_BYTES: u64 = 1024 * 1024;

/// The rules, in the order they are tried: the first that matches wins.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Rule>,
    workload_api: Option<WorkloadSettings>,
    warnings: Vec<String>,
}

/// What tells one state of a file from another, across atomic renames and swapped symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileState {
    dev: u64,
    ino: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileState {
    /// The state of the file a path leads to now.
    pub fn of(path: &Path) -> io::Result<FileState> {
        Ok(FileState::from(&std::fs::metadata(path)?))
    }
}

impl From<&Metadata> for FileState {
    fn from(found: &Metadata) -> FileState {
        FileState {
            dev: found.dev(),
            ino: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

impl RuleSet {
    /// Rules made in memory.
    pub fn new(rules: Vec<Rule>) -> RuleSet {
        RuleSet { rules, workload_api: None, warnings: Vec::new() }
    }

    /// Reads rules from TOML text.
    pub fn parse(text: &str) -> Result<RuleSet, RulesError> {
        let form: FileForm = toml::from_str(text).map_err(|error| match error.span() {
            // Only the message: the error's own print quotes the line, and a line may hold a token.
            Some(span) => RulesError::at(text, span, error.message()),
            None => RulesError::whole(error.message()),
        })?;
        if form.rule.is_empty() {
            return Err(RulesError::whole("no [[rule]] in it, expected at least one"));
        }
        let workload_api = form.workload_api.map(|form| WorkloadSettings::from_form(text, form)).transpose()?;
        let mut rules = Vec::with_capacity(form.rule.len());
        for rule in form.rule {
            let names = NamesInRule::of(rule.get_ref());
            let rule = Rule::from_form(text, rule)?;
            if let Some(settings) = &workload_api {
                names.must_fit(text, &rule, settings)?;
            }
            rules.push(rule);
        }
        let warnings = match &workload_api {
            None if rules.iter().any(|rule| rule.svid.is_some()) => {
                vec!["there is no [workload_api]: spiffe_id is served only with --trust-domain".to_owned()]
            }
            _ => Vec::new(),
        };
        Ok(RuleSet { rules, workload_api, warnings })
    }

    /// Reads the rules file at `path`. One that others could have written is refused.
    pub fn load(path: &Path) -> Result<RuleSet, RulesError> {
        RuleSet::load_with_state(path).map(|(rules, _)| rules)
    }

    pub(in crate::agent) fn load_with_state(path: &Path) -> Result<(RuleSet, FileState), RulesError> {
        load(path).map_err(|error| error.in_file(path))
    }

    /// The rules in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The trust domain of the table, or else of the first SPIFFE ID, or else that of every example.
    pub(in crate::agent) fn some_trust_domain(&self) -> Option<TrustDomain> {
        let told = self.workload_api.as_ref().and_then(|settings| settings.trust_domain.clone());
        let first = || Some(self.rules.iter().find_map(|rule| rule.svid.as_ref())?.spiffe_id.trust_domain());
        told.or_else(first).or_else(|| TrustDomain::parse(DEV_TRUST_DOMAIN).ok())
    }

    /// Every SPIFFE ID is in this trust domain, and every foreign bundle it asks for is known.
    pub(in crate::agent) fn must_live_in(&self, trust_domain: &TrustDomain) -> Result<(), RulesError> {
        let federates_with = self.workload_api.as_ref().map(|settings| &settings.federates_with);
        for (number, rule) in self.rules.iter().enumerate() {
            let Some(svid) = &rule.svid else { continue };
            let which = || match rule.position {
                Some(position) => format!("rule {} (line {})", number + 1, position.line),
                None => format!("rule {}", number + 1),
            };
            if !svid.spiffe_id.member_of(trust_domain) {
                let message = format!("{}: spiffe_id is not in the trust domain {trust_domain}", which());
                return Err(RulesError::whole(message));
            }
            let unknown = |name: &&TrustDomain| federates_with.is_none_or(|known| !known.contains_key(*name));
            if let Some(name) = svid.federates_with.iter().find(unknown) {
                let message = format!("{}: federates_with: {name} is not among those of [workload_api]", which());
                return Err(RulesError::whole(message));
            }
        }
        Ok(())
    }

    /// What is said about the Workload API as a whole.
    pub fn workload_api(&self) -> Option<&WorkloadSettings> {
        self.workload_api.as_ref()
    }

    /// What is doubtful about the file, though it was taken.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// Where in the text a rule names what the table `[workload_api]` has to know.
struct NamesInRule {
    spiffe_id: Option<Range<usize>>,
    federates_with: Vec<Range<usize>>,
}

impl NamesInRule {
    fn of(form: &RuleForm) -> NamesInRule {
        NamesInRule {
            spiffe_id: form.spiffe_id.as_ref().map(Spanned::span),
            federates_with: list(form.federates_with.as_ref()).map(Spanned::span).collect(),
        }
    }

    fn must_fit(self, text: &str, rule: &Rule, settings: &WorkloadSettings) -> Result<(), RulesError> {
        let (Some(svid), Some(spiffe_id)) = (&rule.svid, self.spiffe_id) else { return Ok(()) };
        if let Some(own) = &settings.trust_domain
            && !svid.spiffe_id.member_of(own)
        {
            let message =
                format!("spiffe_id: not in the trust domain {own}, and this agent is no authority of another");
            return Err(RulesError::at(text, spiffe_id, message));
        }
        for (name, span) in svid.federates_with.iter().zip(self.federates_with) {
            if !settings.federates_with.contains_key(name) {
                let message = format!("federates_with: {name} is not among those of [workload_api]");
                return Err(RulesError::at(text, span, message));
            }
        }
        Ok(())
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
    if found.mode() & 0o044 != 0 && rules.rules.iter().any(has_token) {
        warnings.push(format!(
            "mode {:04o}: others can read the tokens in it (chmod 600, or use token_file)",
            found.mode() & 0o7777
        ));
    }
    rules.warnings.extend(warnings);
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
