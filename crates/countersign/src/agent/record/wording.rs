//! What an operator is told of each thing that happens.

use super::folding::Kind;
use super::svids::SvidRow;
use crate::agent::audit_log::Entry;
use crate::agent::decisions::event::{AgentEvent, Caller};
use crate::control::{Alert, Severity, Timestamp};
use crate::whoami::WhoamiCode;

/// An alert, and of what kind it is; kinds of one user are told of now and then when they go on. `None` for what nobody
/// needs to be told of as it happens.
pub(super) fn of(entry: &Entry) -> Option<(Alert, Kind)> {
    let (monitor, severity, uid, what, message, details) = match &entry.event {
        AgentEvent::Answered { code: WhoamiCode::Ok, .. } | AgentEvent::Shown { .. } => return None,
        AgentEvent::Answered { caller, code, exe, .. } => {
            let severity = match code {
                WhoamiCode::Internal => Severity::High,
                WhoamiCode::NoMatch | WhoamiCode::PeerGone | WhoamiCode::Busy => Severity::Medium,
                WhoamiCode::Killed => Severity::Info,
                WhoamiCode::Ok | WhoamiCode::BadRequest | WhoamiCode::TooLarge | WhoamiCode::Timeout => Severity::Low,
            };
            let message = match code {
                WhoamiCode::NoMatch => format!("no rule is for {}", name(caller)),
                WhoamiCode::PeerGone => format!("{} was gone, or another, before it could be looked at", name(caller)),
                WhoamiCode::Killed => format!("{} was refused: the kill switch is on", name(caller)),
                other => format!("{} was answered {}", name(caller), other.as_str()),
            };
            ("whoami", severity, caller.uid, code.as_str().to_owned(), message, exe.clone())
        }
        AgentEvent::Issued { caller, method, spiffe_id, expires, renewed } => {
            let message = match (expires, renewed) {
                (None, _) => format!("a token of {spiffe_id} was judged good for {}", name(caller)),
                (Some(_), true) => format!("{spiffe_id} was renewed for {}", name(caller)),
                (Some(_), false) => format!("{spiffe_id} was issued to {}", name(caller)),
            };
            let details = expires.map(|expires| format!("{method}, expires {}", moment(expires)));
            ("workload-api", Severity::Info, caller.uid, format!("{method} {spiffe_id}"), message, details)
        }
        AgentEvent::Refused { caller, method, code } => {
            let severity = match *code {
                "INTERNAL" => Severity::High,
                "INVALID_ARGUMENT" | "UNAVAILABLE" | "DEADLINE_EXCEEDED" => Severity::Low,
                _ => Severity::Medium,
            };
            let message = format!("{} was refused by the Workload API: {code}", name(caller));
            let details = Some((*method).to_owned()).filter(|method| !method.is_empty());
            ("workload-api", severity, caller.uid, format!("{method} {code}"), message, details)
        }
        AgentEvent::Reloaded { rules } => {
            ("rules", Severity::Info, None, "reloaded".into(), format!("{rules} rules are in force now"), None)
        }
        AgentEvent::ReloadFailed { error } => {
            let message = "the new rules are not taken, the old ones stay in force".to_owned();
            ("rules", Severity::High, None, error.clone(), message, Some(error.clone()))
        }
        AgentEvent::KeysChanged { sequence } => {
            let message = format!("the keys of the authority changed (sequence {sequence})");
            ("authority", Severity::Info, None, String::new(), message, None)
        }
        AgentEvent::Commanded { caller, verb, refused: Some(code) } => {
            let message = format!("{} may not ask for {verb:?}: {}", name(caller), code.as_str());
            let severity = if code.as_str() == "E_DENIED" { Severity::High } else { Severity::Low };
            ("control", severity, caller.uid, format!("{verb} {}", code.as_str()), message, None)
        }
        // What it came to is told by itself.
        AgentEvent::Commanded { refused: None, .. } => return None,
        AgentEvent::Killed { by, reason } => {
            let message = format!("the agent vouches for nobody until it is resumed: {reason}");
            ("kill-switch", Severity::Critical, None, "on".into(), message, Some(by.clone()))
        }
        AgentEvent::Resumed { by } => {
            ("kill-switch", Severity::Medium, None, "off".into(), "the agent vouches again".into(), Some(by.clone()))
        }
        AgentEvent::Found { id, severity, title, evidence } => {
            ("posture", *severity, None, format!("{id} {evidence}"), format!("{id}: {title}"), Some(evidence.clone()))
        }
        AgentEvent::Started { rules, killed } => {
            let state = if *killed { ", and the kill switch is on" } else { "" };
            let message = format!("the agent started with {rules} rules{state}");
            ("agent", if *killed { Severity::High } else { Severity::Info }, None, "started".into(), message, None)
        }
        AgentEvent::Stopped => ("agent", Severity::Info, None, "stopped".into(), "the agent stops".into(), None),
    };
    let kind = Kind { monitor, what, uid };
    Some((alert(entry.timestamp(), severity, monitor, message, details), kind))
}

/// An SVID that nobody renewed.
pub(super) fn ending(row: &SvidRow) -> Alert {
    let SvidRow { pid, process, spiffe_id, expires, .. } = row;
    let who = name(&Caller { pid: *pid, uid: row.uid, gid: None, process: process.clone() });
    let message = format!("the SVID {spiffe_id} of {who} ends soon and was not renewed");
    let details = Some(format!("expires {}; a workload that listens is given a new one half-way", moment(*expires)));
    alert(Timestamp::now(), Severity::Low, "svid-expiry", message, details)
}

/// The audit log: that it cannot be written, or that it was not what the agent had written.
pub(super) fn log_trouble(severity: Severity, message: String, details: Option<String>) -> Alert {
    alert(Timestamp::now(), severity, "audit-log", message, details)
}

fn alert(timestamp: Timestamp, severity: Severity, monitor: &str, message: String, details: Option<String>) -> Alert {
    Alert { timestamp, severity, monitor: monitor.to_owned(), message, details, seq: None, missed: None }
}

fn name(caller: &Caller) -> String {
    let process = match caller.process.as_str() {
        "" => String::new(),
        process => format!(" ({process})"),
    };
    match (caller.pid, caller.uid) {
        (Some(pid), Some(uid)) => format!("process {pid}{process} of uid {uid}"),
        (Some(pid), None) => format!("process {pid}{process}"),
        (None, Some(uid)) => format!("a process{process} of uid {uid}"),
        (None, None) => "a process nobody can name".to_owned(),
    }
}

fn moment(seconds: i64) -> String {
    Timestamp::from(crate::spiffe::clock::system_time(seconds)).to_string()
}
