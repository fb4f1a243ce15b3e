use std::ops::Range;
use std::path::PathBuf;

use nix::unistd::{Group as SystemGroup, User};
use toml::Spanned;

use super::rule_form::{MatchForm, NameOrNumber, RuleForm};
use super::rules_error::{Position, RulesError};
use super::token::TokenSource;
use crate::peer::{Group, PathPattern, PeerPolicy};

/// One rule: who it is for, and what such a process is told.
#[derive(Debug)]
pub struct Rule {
    /// The identity handed out.
    pub identity: String,
    /// The conditions; every one must hold.
    pub policy: PeerPolicy,
    /// Where the identity management system is found; may be empty.
    pub idm_url: String,
    /// Where the configuration is found; may be empty.
    pub config_url: String,
    /// Where the token comes from.
    pub token: TokenSource,
    /// Where the rule begins in its file; `None` for a rule made in memory.
    pub position: Option<Position>,
    pub(super) before_hash: BeforeHash,
}

/// What can be told about a peer before its executable is read from end to end for its hash.
#[derive(Debug)]
pub(super) enum BeforeHash {
    /// The rule asks for no hash.
    NotAsked,
    /// The hash is all the rule asks for.
    HashOnly,
    /// These must hold before it is worth reading the executable.
    Conditions(Box<PeerPolicy>),
}

impl BeforeHash {
    pub(super) fn of(policy: &PeerPolicy) -> BeforeHash {
        if policy.exe_sha256.is_none() {
            return BeforeHash::NotAsked;
        }
        let mut rest = policy.clone();
        rest.exe_sha256 = None;
        // What is left may be the name alone; the hash still stands behind it.
        rest.allow_spoofable = true;
        if has_condition(&rest) {
            BeforeHash::Conditions(Box::new(rest))
        } else {
            BeforeHash::HashOnly
        }
    }
}

impl Rule {
    pub(super) fn from_form(text: &str, form: Spanned<RuleForm>) -> Result<Rule, RulesError> {
        let span = form.span();
        let form = form.into_inner();
        let at = |span: Range<usize>, message: String| RulesError::at(text, span, message);

        let identity = plain_text(text, "identity", &form.identity)?;
        if identity.is_empty() {
            return Err(at(
                form.identity.span(),
                "identity is empty, expected a name".into(),
            ));
        }
        let token = match (form.token, form.token_file) {
            (None, None) => TokenSource::None,
            (Some(token), None) => TokenSource::Inline(token.into_inner().0),
            (None, Some(path)) if path.get_ref().is_absolute() => {
                TokenSource::File(path.into_inner())
            }
            (None, Some(path)) => {
                return Err(at(
                    path.span(),
                    "token_file: expected an absolute path".into(),
                ));
            }
            (Some(_), Some(path)) => {
                return Err(at(
                    path.span(),
                    "token and token_file are both given, expected one of them".into(),
                ));
            }
        };
        let match_span = form.conditions.span();
        let mut policy = conditions(text, form.conditions.into_inner())?;
        policy.allow_spoofable = form.allow_spoofable;
        check_strength(&policy).map_err(|message| at(match_span, message))?;
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
            position: Some(Position::of(text, span.start)),
        })
    }
}

fn has_condition(policy: &PeerPolicy) -> bool {
    is_vouched_for(policy) || policy.process.is_some() || policy.pid.is_some()
}

/// Does the policy rest on anything a process cannot say of itself?
fn is_vouched_for(policy: &PeerPolicy) -> bool {
    policy.uid.is_some()
        || policy.gid.is_some()
        || policy.group.is_some()
        || policy.exe.is_some()
        || policy.exe_sha256.is_some()
        || policy.cgroup.is_some()
        || policy.unit.is_some()
}

fn check_strength(policy: &PeerPolicy) -> Result<(), String> {
    const VOUCHED: &str = "uid, user, gid, group, exe, exe_sha256, cgroup or unit";
    if !has_condition(policy) {
        return Err(format!(
            "match is empty and would fit every process, expected at least one of {VOUCHED}"
        ));
    }
    if !is_vouched_for(policy) && !policy.allow_spoofable {
        return Err(format!(
            "match rests on process alone, and a process names itself: add one of {VOUCHED}, or set allow_spoofable = true in the rule"
        ));
    }
    Ok(())
}

fn plain_text(text: &str, name: &str, value: &Spanned<String>) -> Result<String, RulesError> {
    if value.get_ref().chars().any(char::is_control) {
        return Err(RulesError::at(
            text,
            value.span(),
            format!("{name}: control characters are not allowed"),
        ));
    }
    Ok(value.get_ref().clone())
}

fn conditions(text: &str, form: MatchForm) -> Result<PeerPolicy, RulesError> {
    let at = |span: Range<usize>, message: String| RulesError::at(text, span, message);
    let uid = match (form.uid, form.user) {
        (Some(_), Some(user)) => {
            return Err(at(
                user.span(),
                "uid and user are both given, expected one of them".into(),
            ));
        }
        (Some(uid), None) => Some(real_id(text, "uid", &uid)?),
        (None, Some(user)) => {
            Some(uid_of(user.get_ref()).map_err(|message| at(user.span(), message))?)
        }
        (None, None) => None,
    };
    let gid = form
        .gid
        .map(|gid| real_id(text, "gid", &gid))
        .transpose()?;
    let group = match form.group {
        None => None,
        Some(group) => {
            let span = group.span();
            Some(match group.into_inner() {
                NameOrNumber::Number(gid) => Group {
                    gid: real_id(text, "group", &Spanned::new(span, gid))?,
                    name: None,
                },
                NameOrNumber::Name(name) => Group {
                    gid: gid_of(&name).map_err(|message| at(span, message))?,
                    name: Some(name),
                },
            })
        }
    };
    let pattern = |name: &str, value: Option<Spanned<String>>| match value {
        None => Ok(None),
        Some(value) => path_pattern(value.get_ref())
            .map(Some)
            .map_err(|message| at(value.span(), format!("{name}: {message}"))),
    };
    let word = |name: &str, value: Option<Spanned<String>>| match value {
        None => Ok(None),
        Some(value) if value.get_ref().is_empty() => Err(at(
            value.span(),
            format!("{name}: expected a name, found an empty string"),
        )),
        Some(value) => plain_text(text, name, &value).map(Some),
    };
    let process = match word("process", form.process.clone())? {
        Some(name) if name.len() > 15 => {
            let span = form.process.map_or(0..0, |process| process.span());
            return Err(at(
                span,
                "process: the kernel keeps 15 bytes of the name, so a longer one never matches"
                    .into(),
            ));
        }
        process => process,
    };
    let exe_sha256 = match form.exe_sha256 {
        None => None,
        Some(digits) => Some(sha256(digits.get_ref()).ok_or_else(|| {
            at(
                digits.span(),
                "exe_sha256: expected 64 hexadecimal digits".into(),
            )
        })?),
    };
    Ok(PeerPolicy {
        uid,
        gid,
        group,
        exe: pattern("exe", form.exe)?,
        exe_sha256,
        process,
        pid: None,
        cgroup: pattern("cgroup", form.cgroup)?,
        unit: word("unit", form.unit)?,
        allow_spoofable: false,
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

fn path_pattern(pattern: &str) -> Result<PathPattern, String> {
    let (directory, below) = match pattern.strip_suffix("/*") {
        Some(directory) => (directory, true),
        None => (pattern, false),
    };
    let shape = "expected an absolute path, or a directory followed by /*";
    if !pattern.starts_with('/') || directory.contains('*') {
        return Err(shape.into());
    }
    // Compared name by name with what the kernel prints, which never holds one of these.
    if directory
        .split('/')
        .skip(1)
        .any(|name| name == "." || name == ".." || (name.is_empty() && !directory.is_empty()))
        && directory != "/"
    {
        return Err(format!("{shape}, without empty, . or .. segments"));
    }
    if pattern.chars().any(char::is_control) {
        return Err("control characters are not allowed".into());
    }
    Ok(match (below, directory) {
        (true, "") => PathPattern::Below(PathBuf::from("/")),
        (true, directory) => PathPattern::Below(PathBuf::from(directory)),
        (false, path) => PathPattern::Exact(PathBuf::from(path)),
    })
}

fn sha256(digits: &str) -> Option<[u8; 32]> {
    let digits = digits.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0_u8; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(bytes)
}

/// The number of a user given by name.
pub(super) fn uid_of(name: &str) -> Result<u32, String> {
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err(format!("no user is called {name:?} on this machine")),
        Err(error) => Err(format!("looking up user {name:?}: {error}")),
    }
}

/// The number of a group given by name.
pub(super) fn gid_of(name: &str) -> Result<u32, String> {
    match SystemGroup::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(format!("no group is called {name:?} on this machine")),
        Err(error) => Err(format!("looking up group {name:?}: {error}")),
    }
}
