//! Deciding: from a process the kernel vouches for, and the rules, to the answer it gets.

use tracing::{Level, enabled, info};
use zeroize::Zeroizing;

use crate::agent::decisions::event::{AgentEvent, Caller, Objection, Observers};
use crate::agent::log;
use crate::agent::rules::rule::{BeforeHash, Rule};
use crate::agent::rules::store::RulesSnapshot;
use crate::peer::{Examination, Exe, Peer, PeerError};
use crate::whoami::WhoamiCode;
use crate::whoami::{DaemonRefusal, Identity, Runner, RunnerContext};

/// What a client is told.
pub(in crate::agent) struct Answer {
    pub(in crate::agent) code: WhoamiCode,
    /// The whole document; wiped after use, for it may hold a token.
    pub(in crate::agent) body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// An answer that is not about who asks.
    pub(in crate::agent) fn refusal(code: WhoamiCode, message: impl Into<String>) -> Answer {
        let refusal = DaemonRefusal { error_code: code.as_str().to_owned(), message: message.into() };
        Answer { code, body: Zeroizing::new(refusal.to_json()) }
    }
}

impl Objection {
    fn answer(self) -> Answer {
        match self {
            Objection::Killed => Answer::refusal(WhoamiCode::Killed, "the kill switch is on: nobody is vouched for"),
            Objection::Unrecorded => Answer::refusal(WhoamiCode::Internal, "the decision could not be recorded"),
        }
    }
}

/// How long an attestation may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::agent) enum Patience {
    /// Only what is read in microseconds.
    Quick,
    /// Executables may be read from end to end for their hash.
    Whole,
}

/// What a client said about itself, as it was understood.
pub(in crate::agent) type Said = Option<RunnerContext>;

/// Attests the peer and makes its answer. `Err` gives back what the client said when no decision can be made
/// without the hash of an executable and there was no patience for one.
pub(in crate::agent) fn attest(
    peer: &Peer,
    snapshot: &RulesSnapshot,
    observers: &Observers,
    said: Said,
    patience: Patience,
) -> Result<Answer, Said> {
    // One look for one decision: what is read twice could be two programs.
    let look = Examination::new(peer);
    if observers.are_killed() {
        let answer = Objection::Killed.answer();
        report(peer, &look, snapshot, observers, None, &name(&look).unwrap_or_default(), answer.code);
        return Ok(answer);
    }
    let (rule, process) = match first_match(&look, snapshot.rules.rules(), patience) {
        Ok(Found::NeedsHash) => return Err(said),
        Ok(Found::Rule(rule, process)) => (Some(rule), process),
        Ok(Found::Nothing(process)) => (None, process),
        Err(error) => return Ok(failure(peer, observers, &error)),
    };
    let mut answer = match rule {
        Some(rule) => identify(peer, rule, snapshot, said, &process),
        None => {
            let uid = peer.ids().uid.map_or_else(|| "unknown".to_owned(), |uid| uid.to_string());
            Answer::refusal(WhoamiCode::NoMatch, format!("No identity rule matches process '{process}' (uid={uid})"))
        }
    };
    if let (Some(rule), WhoamiCode::Ok) = (rule, answer.code) {
        let event = || AgentEvent::Answered {
            caller: Caller::of(peer, process.clone()),
            code: WhoamiCode::Ok,
            identity: Some(rule.name().to_owned()),
            exe: exe_of(&look, snapshot, Some(rule)),
        };
        match observers.vouch(event) {
            Ok(()) => {
                journal(peer, &look, snapshot, Some(rule), &process, WhoamiCode::Ok);
                return Ok(answer);
            }
            Err(objection) => answer = objection.answer(),
        }
    }
    report(peer, &look, snapshot, observers, rule, &process, answer.code);
    Ok(answer)
}

/// Puts on record that somebody was refused.
fn report(
    peer: &Peer,
    look: &Examination<'_>,
    snapshot: &RulesSnapshot,
    observers: &Observers,
    rule: Option<&Rule>,
    process: &str,
    code: WhoamiCode,
) {
    observers.tell(|| AgentEvent::Answered {
        caller: Caller::of(peer, process),
        code,
        identity: None,
        exe: exe_of(look, snapshot, rule),
    });
    journal(peer, look, snapshot, rule, process, code);
}

/// The answer for a peer that could not be looked at.
fn failure(peer: &Peer, observers: &Observers, error: &PeerError) -> Answer {
    let answer = unseen(error);
    refused(peer, observers, answer.code);
    let who = peer.ids();
    info!(target: log::TARGET, pid = who.pid, uid = who.uid, gid = who.gid, code = answer.code.as_str(), %error, "refused");
    answer
}

/// Puts on record that somebody was refused who was not looked at any closer.
pub(in crate::agent) fn refused(peer: &Peer, observers: &Observers, code: WhoamiCode) {
    let caller = || Caller::of(peer, "");
    observers.tell(|| AgentEvent::Answered { caller: caller(), code, identity: None, exe: None });
}

/// The same when not even its credentials are known.
pub(in crate::agent) fn unseen(error: &PeerError) -> Answer {
    match error {
        PeerError::Gone => Answer::refusal(WhoamiCode::PeerGone, "the process that asked is gone"),
        // Our own descriptors are used up: that passes.
        PeerError::Os { source, .. } if is_exhaustion(source) => {
            Answer::refusal(WhoamiCode::Busy, "too many connections")
        }
        _ => Answer::refusal(WhoamiCode::Internal, "the process that asked could not be examined"),
    }
}

/// Has the kernel run out of something that it will have again?
pub(in crate::agent) fn is_exhaustion(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

enum Found<'a> {
    /// The rule, and the name of the process.
    Rule(&'a Rule, String),
    /// No rule, and the name of the process.
    Nothing(String),
    NeedsHash,
}

fn first_match<'a>(look: &Examination<'_>, rules: &'a [Rule], patience: Patience) -> Result<Found<'a>, PeerError> {
    for rule in rules.iter().filter(|rule| rule.identity.is_some()) {
        if patience == Patience::Quick {
            match &rule.before_hash {
                BeforeHash::NotAsked => {}
                BeforeHash::HashOnly => return Ok(Found::NeedsHash),
                BeforeHash::Conditions(conditions) if look.check(conditions)?.is_ok() => return Ok(Found::NeedsHash),
                BeforeHash::Conditions(_) => continue,
            }
        }
        if look.check(&rule.policy)?.is_ok() {
            return Ok(Found::Rule(rule, name(look)?));
        }
    }
    Ok(Found::Nothing(name(look)?))
}

/// Read last: that it can be read proves that the process was still there when the rules were held against it.
fn name(look: &Examination<'_>) -> Result<String, PeerError> {
    Ok(look.comm()?.unwrap_or_default())
}

fn identify(peer: &Peer, rule: &Rule, snapshot: &RulesSnapshot, said: Said, process: &str) -> Answer {
    let token = match rule.token.read() {
        Ok(token) => token,
        Err(error) => {
            tracing::error!(target: log::TARGET, identity = rule.name(), %error, "no token to hand out");
            return Answer::refusal(WhoamiCode::Internal, "the token of this identity is not available");
        }
    };
    let said = said.unwrap_or_default();
    let who = peer.ids();
    let identity = Identity {
        identity: rule.name().to_owned(),
        idm_url: rule.idm_url.clone(),
        config_url: rule.config_url.clone(),
        token,
        runner: Runner {
            identity: rule.name().to_owned(),
            hostname: snapshot.hostname.clone(),
            process: process.to_owned(),
            pid: who.pid,
            uid: who.uid,
            gid: who.gid,
            instance_id: said.instance_id,
            timestamp: said.timestamp,
            extra: said.extra,
        },
    };
    Answer { code: WhoamiCode::Ok, body: Zeroizing::new(identity.to_json()) }
}

/// One line per decision.
fn journal(
    peer: &Peer,
    look: &Examination<'_>,
    snapshot: &RulesSnapshot,
    rule: Option<&Rule>,
    process: &str,
    code: WhoamiCode,
) {
    if !enabled!(target: log::TARGET, Level::INFO) {
        return;
    }
    let exe = exe_of(look, snapshot, rule);
    let who = peer.ids();
    info!(
        target: log::TARGET,
        pid = who.pid,
        uid = who.uid,
        gid = who.gid,
        process,
        exe,
        identity = rule.map(Rule::name),
        code = code.as_str(),
        "{}",
        if code == WhoamiCode::Ok { "vouched for" } else { "refused" },
    );
}

/// Named when a rule asked for it; for a refusal that tells the operator what to write into the rules.
fn exe_of(look: &Examination<'_>, snapshot: &RulesSnapshot, rule: Option<&Rule>) -> Option<String> {
    let asked = |rule: &Rule| rule.policy.exe.is_some() || rule.policy.exe_sha256.is_some();
    let exe = match rule {
        Some(rule) if asked(rule) => look.exe().ok(),
        None if snapshot.rules.rules().iter().any(asked) => look.exe().ok(),
        _ => None,
    };
    match exe? {
        Exe::Proven(path) => Some(path.display().to_string()),
        Exe::Doubtful(path, doubt) => Some(format!("{} ({doubt:?})", path.display())),
        Exe::Unknown(_) => None,
    }
}
