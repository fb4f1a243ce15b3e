use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;

use super::error::{Position, RulesError};
use super::schema::{MatchForm, RuleForm};
use super::svid_entry::SvidRule;
use super::token::TokenSource;
use crate::peer::{GroupNameOrNumber, PeerConditions, PeerPolicy, PolicyError};

/// One rule: which processes it matches, and what it gives them.
#[derive(Debug)]
pub struct Rule {
    /// The identity it gives over the whoami protocol, if it gives one.
    pub identity: Option<String>,
    /// The conditions; every one must hold.
    pub policy: PeerPolicy,
    /// Where the identity management system is found; may be empty.
    pub idm_url: String,
    /// Where the configuration is found; may be empty.
    pub config_url: String,
    /// Where the token comes from.
    pub token: TokenSource,
    /// What it gives over the Workload API, if anything.
    pub svid: Option<Arc<SvidRule>>,
    /// Where the rule begins in its file; `None` for a rule made in memory.
    pub position: Option<Position>,
    pub(in crate::agent) before_hash: BeforeHash,
}

/// What can be decided about a peer before its whole executable is read for its hash.
#[derive(Debug)]
pub(in crate::agent) enum BeforeHash {
    /// The rule asks for no hash.
    NotAsked,
    /// The hash is all the rule asks for.
    HashOnly,
    /// These must hold before it is worth reading the executable.
    Conditions(Box<PeerPolicy>),
}

impl BeforeHash {
    pub(in crate::agent) fn of(policy: &PeerPolicy) -> BeforeHash {
        if policy.exe_sha256.is_none() {
            return BeforeHash::NotAsked;
        }
        match policy.without_hash() {
            Some(rest) => BeforeHash::Conditions(Box::new(rest)),
            None => BeforeHash::HashOnly,
        }
    }
}

impl Rule {
    /// What to call it: the identity, or the SPIFFE ID.
    pub fn name(&self) -> &str {
        match (&self.identity, &self.svid) {
            (Some(identity), _) => identity,
            (None, Some(svid)) => svid.spiffe_id.as_str(),
            (None, None) => "",
        }
    }

    pub(in crate::agent) fn from_form(text: &str, form: Spanned<RuleForm>) -> Result<Rule, RulesError> {
        let span = form.span();
        let form = form.into_inner();
        let at = |span: Range<usize>, message: String| RulesError::at(text, span, message);

        let svid = SvidRule::from_form(text, &form)?;
        let identity = match &form.identity {
            None if svid.is_none() => {
                return Err(at(span, "the rule gives nothing, expected identity, spiffe_id, or both".into()));
            }
            None => None,
            Some(identity) if identity.get_ref().is_empty() => {
                return Err(at(identity.span(), "identity is empty, expected a name".into()));
            }
            Some(identity) => Some(plain_text(text, "identity", identity)?),
        };
        if identity.is_none() {
            let strays = [
                ("idm_url", form.idm_url.as_ref().map(Spanned::span)),
                ("config_url", form.config_url.as_ref().map(Spanned::span)),
                ("token", form.token.as_ref().map(Spanned::span)),
                ("token_file", form.token_file.as_ref().map(Spanned::span)),
            ];
            if let Some((name, span)) = strays.into_iter().find_map(|(name, span)| Some((name, span?))) {
                return Err(at(span, format!("{name} goes with an identity, and the rule has none")));
            }
        }
        let token = match (form.token, form.token_file) {
            (None, None) => TokenSource::None,
            (Some(token), None) => TokenSource::Inline(token.into_inner().0),
            (None, Some(path)) if path.get_ref().is_absolute() => TokenSource::File(path.into_inner()),
            (None, Some(path)) => {
                return Err(at(path.span(), "token_file: expected an absolute path".into()));
            }
            (Some(_), Some(path)) => {
                return Err(at(path.span(), "token and token_file are both given, expected one of them".into()));
            }
        };
        let match_span = form.conditions.span();
        let policy = conditions(text, form.conditions.into_inner(), form.allow_spoofable)?
            .build()
            .map_err(|error| at(match_span, in_words(error)))?;
        let url = |name, value: &Option<Spanned<String>>| match value {
            Some(value) => plain_text(text, name, value),
            None => Ok(String::new()),
        };
        Ok(Rule {
            idm_url: url("idm_url", &form.idm_url)?,
            config_url: url("config_url", &form.config_url)?,
            before_hash: BeforeHash::of(&policy),
            identity,
            policy,
            token,
            svid: svid.map(Arc::new),
            position: Some(Position::of(text, span.start)),
        })
    }
}

/// What a process can be matched by in a rule.
const CONDITIONS: &str = "`uid`, `user`, `gid`, `group`, `exe`, `exe_sha256`, `process`, `cgroup`, `unit`";

/// The message of a policy error, in the words of a rules file.
fn in_words(error: PolicyError) -> String {
    const VOUCHED: &str = "uid, user, gid, group, exe, exe_sha256, cgroup or unit";
    match error {
        PolicyError::Empty => {
            format!("match is empty and would fit every process, expected at least one of {VOUCHED}")
        }
        PolicyError::Spoofable => format!(
            "match rests on process alone, and a process names itself: \
             add one of {VOUCHED}, or set allow_spoofable = true in the rule"
        ),
        invalid @ PolicyError::Invalid { .. } => invalid.to_string(),
    }
}

fn plain_text(text: &str, name: &str, value: &Spanned<String>) -> Result<String, RulesError> {
    if value.get_ref().chars().any(char::is_control) {
        return Err(RulesError::at(text, value.span(), format!("{name}: control characters are not allowed")));
    }
    Ok(value.get_ref().clone())
}

fn conditions(text: &str, form: MatchForm, allow_spoofable: bool) -> Result<PeerConditions, RulesError> {
    let at = |span: Range<usize>, message: String| RulesError::at(text, span, message);
    let misplaced = [
        // A rule outlives every process.
        ("pid", form.pid.as_ref().map(Spanned::span)),
        // It is a member of the rule.
        ("allow_spoofable", form.allow_spoofable.as_ref().map(Spanned::span)),
    ];
    if let Some((name, span)) = misplaced.into_iter().find_map(|(name, span)| Some((name, span?))) {
        return Err(at(span, format!("unknown field `{name}`, expected one of {CONDITIONS}")));
    }
    for (name, id) in [("uid", &form.uid), ("gid", &form.gid)] {
        id.as_ref().map_or(Ok(()), |id| real_id(text, name, *id.get_ref(), id.span()))?;
    }
    if let Some(group) = &form.group
        && let GroupNameOrNumber::Number(gid) = group.get_ref()
    {
        real_id(text, "group", *gid, group.span())?;
    }
    let conditions = form.conditions().map_err(|error| match error.span {
        Some(span) => at(span, in_words(error.error)),
        None => RulesError::whole(in_words(error.error)),
    })?;
    Ok(PeerConditions { allow_spoofable, ..conditions })
}

/// The kernel uses 2^32-1 for an id that it cannot name: a rule for it would match unrelated processes.
fn real_id(text: &str, name: &str, id: u32, span: Range<usize>) -> Result<(), RulesError> {
    if id == u32::MAX {
        let message = format!("{name}: 4294967295 means \"no such id\", expected a real one");
        return Err(RulesError::at(text, span, message));
    }
    Ok(())
}
