//! From a process the kernel vouches for, and the rules, to the answer it gets.

use tracing::{Level, enabled, info};

use super::answer::Answer;
use crate::agent::attest::{Attested, Attestor, Depth, Evaluation, Question};
use crate::agent::core::Core;
use crate::agent::decisions::{AgentEvent, Caller, Denial};
use crate::agent::log;
use crate::agent::rules::rule::Rule;
use crate::agent::rules::store::RulesSnapshot;
use crate::agent::rules::token::TokenError;
use crate::peer::{Peer, PeerError, PeerIds};
use crate::whoami::{Identity, Runner, RunnerContext, WhoamiCode};

/// What the client says about itself; `None` if it says nothing.
pub(super) type Context = Option<RunnerContext>;

/// Attests the peer and makes its answer. `Err` gives back the context if the decision depends on the hash of an
/// executable, and the depth allows none.
pub(super) fn decide(core: &Core, peer: &Peer, context: Context, depth: Depth) -> Result<Answer, Context> {
    let snapshot = core.rules.current();
    let attestor = Attestor::new(peer, &snapshot.rules);
    let case = Case { core, peer, attestor, snapshot: &snapshot };
    if core.gate.is_closed() {
        let process = case.attestor.process().unwrap_or_default();
        return Ok(case.refuse(None, &process, Denial::Killed.into()));
    }
    let Attested { rules, process } = match case.attestor.evaluate(Question::Identity, depth) {
        Ok(Evaluation::Attested(attested)) => attested,
        Ok(Evaluation::NeedsHash) => return Err(context),
        Err(error) => return Ok(unexamined(core, peer, &error)),
    };
    Ok(match rules.first() {
        Some(rule) => case.vouch(rule, &process, context),
        None => {
            let uid = peer.ids().uid.map_or_else(|| "unknown".to_owned(), |uid| uid.to_string());
            let message = format!("No identity rule matches process '{process}' (uid={uid})");
            case.refuse(None, &process, Answer::refusal(WhoamiCode::NoMatch, message))
        }
    })
}

/// One decision.
struct Case<'a> {
    core: &'a Core,
    peer: &'a Peer,
    attestor: Attestor<'a>,
    snapshot: &'a RulesSnapshot,
}

impl Case<'_> {
    /// Answers with the identity of a rule, if the gate lets it pass.
    fn vouch(&self, rule: &Rule, process: &str, context: Context) -> Answer {
        let identity = match self.identity(rule, process, context) {
            Ok(identity) => identity,
            Err(error) => {
                tracing::error!(target: log::TARGET, identity = rule.name(), %error, "no token to hand out");
                let answer = Answer::refusal(WhoamiCode::Internal, "the token of this identity is not available");
                return self.refuse(Some(rule), process, answer);
            }
        };
        let event = |identity: &Identity| AgentEvent::Answered {
            caller: Caller::of(self.peer, process),
            code: WhoamiCode::Ok,
            identity: Some(identity.identity.clone()),
            exe: self.attestor.exe(Some(rule)),
        };
        match self.core.gate.authorize(identity, event) {
            Ok(identity) => {
                self.log(Some(rule), process, WhoamiCode::Ok);
                Answer::identity(&identity)
            }
            Err(denial) => self.refuse(Some(rule), process, denial.into()),
        }
    }

    fn identity(&self, rule: &Rule, process: &str, context: Context) -> Result<Identity, TokenError> {
        let token = rule.token.read()?;
        let RunnerContext { instance_id, timestamp, extra } = context.unwrap_or_default();
        let who = self.peer.ids();
        Ok(Identity {
            identity: rule.name().to_owned(),
            idm_url: rule.idm_url.clone(),
            config_url: rule.config_url.clone(),
            token,
            runner: Runner {
                identity: rule.name().to_owned(),
                hostname: self.snapshot.hostname.clone(),
                process: process.to_owned(),
                pid: who.pid,
                uid: who.uid,
                gid: who.gid,
                instance_id,
                timestamp,
                extra,
            },
        })
    }

    /// Puts on record that the client is refused.
    fn refuse(&self, rule: Option<&Rule>, process: &str, answer: Answer) -> Answer {
        self.core.bus.publish(|| AgentEvent::Answered {
            caller: Caller::of(self.peer, process),
            code: answer.code(),
            identity: None,
            exe: self.attestor.exe(rule),
        });
        self.log(rule, process, answer.code());
        answer
    }

    /// Writes one line to the log of the process.
    fn log(&self, rule: Option<&Rule>, process: &str, code: WhoamiCode) {
        if !enabled!(target: log::TARGET, Level::INFO) {
            return;
        }
        let exe = self.attestor.exe(rule);
        let PeerIds { pid, uid, gid } = self.peer.ids();
        info!(
            target: log::TARGET,
            pid,
            uid,
            gid,
            process,
            exe,
            identity = rule.map(Rule::name),
            code = code.as_str(),
            "{}",
            if code == WhoamiCode::Ok { "vouched for" } else { "refused" },
        );
    }
}

/// Answers a peer that could not be examined.
fn unexamined(core: &Core, peer: &Peer, error: &PeerError) -> Answer {
    let answer = Answer::from(error);
    publish_refusal(core, peer, answer.code());
    let PeerIds { pid, uid, gid } = peer.ids();
    info!(target: log::TARGET, pid, uid, gid, code = answer.code().as_str(), %error, "refused");
    answer
}

/// Puts on record that a client was refused whose process was not examined.
pub(super) fn publish_refusal(core: &Core, peer: &Peer, code: WhoamiCode) {
    core.bus.publish(|| AgentEvent::Answered { caller: Caller::of(peer, ""), code, identity: None, exe: None });
}
