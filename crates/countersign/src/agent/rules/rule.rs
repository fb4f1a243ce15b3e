use std::ops::Range;
use std::sync::Arc;

use nix::unistd::User;
use toml::Spanned;

use super::error::{Position, RulesError};
use super::schema::{MatchForm, NameOrNumber, RuleForm};
use super::svid_entry::SvidRule;
use super::token::TokenSource;
use crate::peer::{Group, PathPattern, PeerPolicy, PolicyError};

/// One rule: who it is for, and what such a process is told.
#[derive(Debug)]
pub struct Rule {
    /// The identity handed out to who asks who it is; without one the rule is not about that.
    pub identity: Option<String>,
    /// The conditions; every one must hold.
    pub policy: PeerPolicy,
    /// Where the identity management system is found; may be empty.
    pub idm_url: String,
    /// Where the configuration is found; may be empty.
    pub config_url: String,
    /// Where the token comes from.
    pub token: TokenSource,
    /// What is handed out over the Workload API; without it the rule is not about that.
    pub svid: Option<Arc<SvidRule>>,
    /// Where the rule begins in its file; `None` for a rule made in memory.
    pub position: Option<Position>,
    pub(in crate::agent) before_hash: BeforeHash,
}

/// What can be told about a peer before its executable is read from end to end for its hash.
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
        let mut rest = policy.clone();
        rest.exe_sha256 = None;
        // What is left may be the name alone; the hash still stands behind it.
        rest.allow_spoofable = true;
        match rest.validated() {
            Ok(rest) => BeforeHash::Conditions(Box::new(rest)),
            Err(_) => BeforeHash::HashOnly,
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
        let mut policy = conditions(text, form.conditions.into_inner())?;
        policy.allow_spoofable = form.allow_spoofable;
        let policy = policy.validated().map_err(|error| at(match_span, in_words(error)))?;
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

/// The message of a policy error, in the words of a rules file.
fn in_words(error: PolicyError) -> String {
    const VOUCHED: &str = "uid, user, gid, group, exe, exe_sha256, cgroup or unit";
    match error {
        PolicyError::Empty => {
            format!("match is empty and would fit every process, expected at least one of {VOUCHED}")
        }
        PolicyError::Spoofable => format!(
            "match rests on process alone, and a process names itself: add one of {VOUCHED}, or set allow_spoofable = true in the rule"
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

fn conditions(text: &str, form: MatchForm) -> Result<PeerPolicy, RulesError> {
    let at = |span: Range<usize>, message: String| RulesError::at(text, span, message);
    let uid = match (form.uid, form.user) {
        (Some(_), Some(user)) => {
            return Err(at(user.span(), "uid and user are both given, expected one of them".into()));
        }
        (Some(uid), None) => Some(real_id(text, "uid", &uid)?),
        (None, Some(user)) => Some(uid_of(user.get_ref()).map_err(|message| at(user.span(), message))?),
        (None, None) => None,
    };
    let gid = form.gid.map(|gid| real_id(text, "gid", &gid)).transpose()?;
    let group = match form.group {
        None => None,
        Some(group) => {
            let span = group.span();
            Some(match group.into_inner() {
                NameOrNumber::Number(gid) => Group::from(real_id(text, "group", &Spanned::new(span, gid))?),
                NameOrNumber::Name(name) => Group::named(&name).map_err(|error| at(span, error.to_string()))?,
            })
        }
    };
    let pattern = |name: &'static str, value: Option<Spanned<String>>| {
        let parse = |value: Spanned<String>| {
            PathPattern::parse(name, value.get_ref()).map_err(|error| at(value.span(), error.to_string()))
        };
        value.map(parse).transpose()
    };
    let word = |value: Option<Spanned<String>>, policy: fn(String) -> PeerPolicy| match value {
        None => Ok(None),
        // Judged by itself, so that the error points at it and not at the conditions as a whole.
        Some(value) => match policy(value.get_ref().clone()).validated() {
            Ok(_) => Ok(Some(value.into_inner())),
            Err(error) => Err(at(value.span(), in_words(error))),
        },
    };
    let exe_sha256 = form
        .exe_sha256
        .map(|digits| PeerPolicy::parse_sha256(digits.get_ref()).map_err(|error| at(digits.span(), error.to_string())));
    Ok(PeerPolicy {
        uid,
        gid,
        group,
        exe: pattern("exe", form.exe)?,
        exe_sha256: exe_sha256.transpose()?,
        process: word(form.process, |process| PeerPolicy {
            process: Some(process),
            allow_spoofable: true,
            ..PeerPolicy::default()
        })?,
        cgroup: pattern("cgroup", form.cgroup)?,
        unit: word(form.unit, |unit| PeerPolicy { unit: Some(unit), ..PeerPolicy::default() })?,
        ..PeerPolicy::default()
    })
}

/// 2^32-1 is what the kernel says for "nobody it can name": a rule for it would fit strangers.
fn real_id(text: &str, name: &str, id: &Spanned<u32>) -> Result<u32, RulesError> {
    if *id.get_ref() == u32::MAX {
        return Err(RulesError::at(
            text,
            id.span(),
            format!("{name}: 4294967295 means \"no such id\", expected a real one"),
        ));
    }
    Ok(*id.get_ref())
}

/// The number of a user given by name.
pub(in crate::agent) fn uid_of(name: &str) -> Result<u32, String> {
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err(format!("no user is called {name:?} on this machine")),
        Err(error) => Err(format!("looking up user {name:?}: {error}")),
    }
}
