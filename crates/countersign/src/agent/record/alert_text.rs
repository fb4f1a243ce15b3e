//! The alert about each event.

use super::folding::Kind;
use super::svids::SvidRow;
use crate::agent::audit_log::Entry;
use crate::agent::decisions::{AgentEvent, Caller};
use crate::control::{Alert, ControlCode, Severity, Timestamp};
use crate::spiffe::workload_api::{Code, Method};
use crate::whoami::WhoamiCode;

/// An alert before it has a time.
struct Draft {
    monitor: &'static str,
    severity: Severity,
    /// The user it is about. Alerts of one monitor, user and `what` are folded together while they go on.
    uid: Option<u32>,
    what: String,
    message: String,
    details: Option<String>,
}

/// The alert about an event, and its kind. `None` if the event needs no alert.
pub(super) fn of(entry: &Entry) -> Option<(Alert, Kind)> {
    let Draft { monitor, severity, uid, what, message, details } = draft(&entry.event)?;
    Some((alert(entry.timestamp(), severity, monitor, message, details), Kind { monitor, what, uid }))
}

fn draft(event: &AgentEvent) -> Option<Draft> {
    // What concerns no single user.
    let general = |monitor, severity, what: String, message: String, details| {
        Some(Draft { monitor, severity, uid: None, what, message, details })
    };
    match event {
        AgentEvent::Answered { code: WhoamiCode::Ok, .. } | AgentEvent::BundlesSent { .. } => None,
        AgentEvent::Answered { caller, code, exe, identity: _ } => Some(answered(caller, *code, exe.clone())),
        AgentEvent::Issued { caller, method, spiffe_id, expires, renewed } => {
            Some(issued(caller, *method, spiffe_id, *expires, *renewed))
        }
        AgentEvent::Refused { caller, method, code } => Some(refused(caller, *method, *code)),
        // Its outcome has an alert of its own.
        AgentEvent::OperatorRequest { refused: None, .. } => None,
        AgentEvent::OperatorRequest { caller, verb, refused: Some(code) } => {
            Some(operator_refused(caller, verb, *code))
        }
        AgentEvent::Reloaded { rules } => {
            general("rules", Severity::Info, "reloaded".into(), format!("{rules} rules are in force now"), None)
        }
        AgentEvent::ReloadFailed { error } => {
            let message = "the new rules are not taken, the old ones stay in force".to_owned();
            general("rules", Severity::High, error.clone(), message, Some(error.clone()))
        }
        AgentEvent::KeysChanged { sequence } => {
            let message = format!("the keys of the authority changed (sequence {sequence})");
            general("authority", Severity::Info, String::new(), message, None)
        }
        AgentEvent::Killed { by, reason } => {
            let message = format!("the agent issues no credential until it is resumed: {reason}");
            general("kill-switch", Severity::Critical, "on".into(), message, Some(by.clone()))
        }
        AgentEvent::Resumed { by } => general(
            "kill-switch",
            Severity::Medium,
            "off".into(),
            "the agent issues credentials again".into(),
            Some(by.clone()),
        ),
        AgentEvent::Found { id, severity, title, evidence } => {
            let (what, message) = (format!("{id} {evidence}"), format!("{id}: {title}"));
            general("self_audit", *severity, what, message, Some(evidence.clone()))
        }
        AgentEvent::Started { rules, killed } => {
            let state = if *killed { ", and the kill switch is on" } else { "" };
            let severity = if *killed { Severity::High } else { Severity::Info };
            let message = format!("the agent started with {rules} rules{state}");
            general("agent", severity, "started".into(), message, None)
        }
        AgentEvent::Stopped => general("agent", Severity::Info, "stopped".into(), "the agent stops".into(), None),
    }
}

fn answered(caller: &Caller, code: WhoamiCode, exe: Option<String>) -> Draft {
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
    Draft { monitor: "whoami", severity, uid: caller.uid, what: code.as_str().to_owned(), message, details: exe }
}

fn issued(caller: &Caller, method: Method, spiffe_id: &str, expires: Option<i64>, renewed: bool) -> Draft {
    let message = match (expires, renewed) {
        (None, _) => format!("a token of {spiffe_id} was verified for {}", name(caller)),
        (Some(_), true) => format!("{spiffe_id} was renewed for {}", name(caller)),
        (Some(_), false) => format!("{spiffe_id} was issued to {}", name(caller)),
    };
    let method = method.name();
    Draft {
        monitor: "workload-api",
        severity: Severity::Info,
        uid: caller.uid,
        what: format!("{method} {spiffe_id}"),
        message,
        details: expires.map(|expires| format!("{method}, expires {}", moment(expires))),
    }
}

fn refused(caller: &Caller, method: Option<Method>, code: Code) -> Draft {
    let severity = match code {
        Code::Internal => Severity::High,
        Code::InvalidArgument | Code::Unavailable | Code::DeadlineExceeded => Severity::Low,
        _ => Severity::Medium,
    };
    let (method, code) = (method.map(Method::name), code.name());
    Draft {
        monitor: "workload-api",
        severity,
        uid: caller.uid,
        what: format!("{} {code}", method.unwrap_or_default()),
        message: format!("{} was refused by the Workload API: {code}", name(caller)),
        details: method.map(str::to_owned),
    }
}

fn operator_refused(caller: &Caller, verb: &str, code: ControlCode) -> Draft {
    Draft {
        monitor: "control",
        severity: if code == ControlCode::Denied { Severity::High } else { Severity::Low },
        uid: caller.uid,
        what: format!("{verb} {}", code.as_str()),
        message: format!("{} may not ask for {verb:?}: {}", name(caller), code.as_str()),
        details: None,
    }
}

/// The alert about an SVID that was not renewed.
pub(super) fn ending(row: &SvidRow) -> Alert {
    let SvidRow { pid, process, spiffe_id, expires, .. } = row;
    let who = name(&Caller { pid: *pid, uid: row.uid, gid: None, process: process.clone() });
    let message = format!("the SVID {spiffe_id} of {who} ends soon and was not renewed");
    let details = Some(format!("expires {}; a workload that listens is given a new one half-way", moment(*expires)));
    alert(Timestamp::now(), Severity::Low, "svid-expiry", message, details)
}

/// An alert about the audit log.
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
        (None, None) => "an unknown process".to_owned(),
    }
}

fn moment(seconds: i64) -> String {
    Timestamp::from(crate::spiffe::clock::system_time(seconds)).to_string()
}
