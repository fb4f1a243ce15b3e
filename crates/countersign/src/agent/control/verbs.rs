//! What each verb does.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::metrics::metrics;
use super::operator::{Following, Operator};
use super::shared::Control;
use super::status::status;
use crate::agent::decisions::{AgentEvent, Caller, KillOrder};
use crate::control::{ControlCode, Request, RequestId, Verb, error_frame, ok_frame};

/// Alerts in a reply when the request gives no limit.
const ALERTS: u32 = 100;
/// The longest reason.
const MAX_REASON: usize = 4096;

/// Why a request fails: the code and the message.
type Refusal = (ControlCode, String);

/// Carries out a request if the operator has the permission for it. Returns one line.
pub(super) async fn answer(control: &Arc<Control>, operator: &mut Operator, request: Request) -> String {
    let Request { id, verb } = request;
    let name = name_of(&verb);
    if !control.access.allows(operator.caller.uid, verb.writes()) {
        operator_request(control, &operator.caller, name, Some(ControlCode::Denied));
        let may = if verb.writes() { "control the agent" } else { "read from the agent" };
        let who = operator.caller.uid.map_or_else(|| "an unknown user".to_owned(), |uid| format!("uid {uid}"));
        return error_frame(
            id.as_ref(),
            ControlCode::Denied,
            &format!("{name}: permission denied: {who} may not {may}"),
        );
    }
    let is_noted = verb.writes() || matches!(verb, Verb::Audit { .. } | Verb::Subscribe { .. });
    let done = perform(control, operator, verb).await;
    let code = done.as_ref().err().map(|(code, _)| *code);
    if is_noted || code.is_some() {
        operator_request(control, &operator.caller, name, code);
    }
    match done {
        Ok(payload) => ok_frame(id.as_ref(), &payload),
        Err((code, message)) => error_frame(id.as_ref(), code, &message),
    }
}

/// Answers a line that is not a request. An operator without permission does not learn what is wrong with it.
pub(super) fn refuse(control: &Control, operator: &Operator, id: Option<&RequestId>, message: &str) -> String {
    let code = match control.access.allows(operator.caller.uid, false) {
        true => ControlCode::BadRequest,
        false => ControlCode::Denied,
    };
    operator_request(control, &operator.caller, "", Some(code));
    let message = if code == ControlCode::Denied { "permission denied" } else { message };
    error_frame(id, code, message)
}

fn operator_request(control: &Control, caller: &Caller, verb: &'static str, refused: Option<ControlCode>) {
    if let Some(code) = refused {
        let (pid, uid, code) = (caller.pid, caller.uid, code.as_str());
        tracing::warn!(target: crate::agent::log::TARGET, pid, uid, verb, code, "an operator was refused");
    }
    control.core.bus.publish(|| AgentEvent::OperatorRequest { caller: caller.clone(), verb, refused });
}

/// What a request is called in the log.
fn name_of(verb: &Verb) -> &'static str {
    match verb {
        Verb::Audit { fix: true, .. } => "audit fix",
        other => other.name(),
    }
}

/// The payload is a JSON object without `type` and `id`.
async fn perform(control: &Arc<Control>, operator: &mut Operator, verb: Verb) -> Result<String, Refusal> {
    match verb {
        Verb::Ping => Ok(r#"{"value":"pong"}"#.to_owned()),
        Verb::Status => Ok(status(control).to_string()),
        Verb::Metrics => Ok(json!({ "text": metrics(control) }).to_string()),
        Verb::Alerts { limit } => {
            let alerts = &control.record.alerts;
            let list = alerts.recent(limit.unwrap_or(ALERTS) as usize);
            Ok(format!("{{\"alerts\":{list},\"last\":{},\"run\":{}}}", alerts.last(), Value::from(alerts.run.as_str())))
        }
        Verb::Subscribe { after } => {
            let alerts = &control.record.alerts;
            let mut news = alerts.subscribe();
            let last = alerts.last();
            // A number that this run has not reached is from another run: send everything.
            let sent = after.map_or(last, |after| if after > last { 0 } else { after });
            // Alerts that arrive after this check are found by comparing with `sent`.
            if sent < last {
                news.mark_changed();
            }
            operator.following = Some(Following { news, sent });
            Ok(json!({ "run": alerts.run, "last": last, "from": sent }).to_string())
        }
        Verb::Audit { deep, fix, .. } => {
            let report = in_the_background(control, move |control| control.check(deep, fix)).await?;
            serde_json::to_string(&report).map_err(internal)
        }
        Verb::ReloadPolicy => {
            let report = in_the_background(control, |control| control.core.rules.reload()).await?;
            let report = report.map_err(|error| (ControlCode::Rules, error.to_string()))?;
            Ok(json!({ "rules": report.rules, "warnings": report.warnings }).to_string())
        }
        Verb::Kill { reason } => {
            if reason.as_ref().is_some_and(|reason| reason.len() > MAX_REASON) {
                return Err((ControlCode::BadRequest, format!("`reason` is longer than {MAX_REASON} bytes")));
            }
            let by = name_of_caller(&operator.caller);
            in_the_background(control, move |control| control.kill(reason, by)).await?
        }
        Verb::Resume => {
            let by = name_of_caller(&operator.caller);
            in_the_background(control, move |control| control.resume(&by)).await?
        }
    }
}

/// Work that may wait for the disk runs on a thread of its own, so that no other operator waits.
async fn in_the_background<T: Send + 'static>(
    control: &Arc<Control>,
    work: impl FnOnce(&Control) -> T + Send + 'static,
) -> Result<T, Refusal> {
    let control = Arc::clone(control);
    tokio::task::spawn_blocking(move || work(&control)).await.map_err(internal)
}

fn internal(error: impl std::fmt::Display) -> Refusal {
    tracing::error!(target: crate::agent::log::TARGET, %error, "an operator could not be answered");
    (ControlCode::Internal, "it failed; the log of the agent says why".into())
}

/// How the audit log names the operator who turned the kill switch.
fn name_of_caller(caller: &Caller) -> String {
    let uid = caller.uid.map_or_else(|| "unknown".to_owned(), |uid| uid.to_string());
    let process = caller.process.as_str();
    match caller.pid {
        Some(pid) => format!("uid {uid}, process {pid} ({process})"),
        None => format!("uid {uid}"),
    }
}

impl Control {
    /// Runs the self audit, and publishes each finding that is new.
    pub(super) fn check(&self, deep: bool, fix: bool) -> crate::control::AuditReport {
        let (report, new) =
            self.self_audit.audit(&self.core.rules.current(), &self.record, &self.kill_switch, deep, fix);
        for finding in new {
            self.core.bus.publish(|| AgentEvent::Found {
                id: finding.id,
                severity: finding.severity,
                title: finding.title,
                evidence: finding.evidence,
            });
        }
        report
    }

    /// Turns the kill switch on: no credential is issued from now on.
    pub(in crate::agent) fn kill(&self, reason: Option<String>, by: String) -> Result<String, Refusal> {
        let done = self.kill_switch.kill(reason, by);
        let order = self.kill_switch.order();
        self.core.bus.publish(|| AgentEvent::Killed {
            by: order.as_ref().map(|order| order.activated_by.clone()).unwrap_or_default(),
            reason: order.as_ref().map(|order| order.reason.clone()).unwrap_or_default(),
        });
        // Open streams are ended now.
        self.core.rules.look_again();
        match done {
            Ok(order) => {
                let KillOrder { activated_by: by, reason, .. } = &order;
                tracing::warn!(target: crate::agent::log::TARGET, by, reason, "the kill switch is on");
                let mut payload = Map::new();
                payload.insert("killed".into(), true.into());
                payload.insert("persistent".into(), self.kill_switch.outlives_us().into());
                payload.insert("killSwitch".into(), json!(order));
                Ok(Value::Object(payload).to_string())
            }
            Err(error) => {
                let message =
                    format!("no credential is issued now, but a restart would turn the kill switch off: {error}");
                Err((ControlCode::State, message))
            }
        }
    }

    /// Turns the kill switch off.
    pub(in crate::agent) fn resume(&self, by: &str) -> Result<String, Refusal> {
        let was_on = self
            .kill_switch
            .resume()
            .map_err(|error| (ControlCode::State, format!("the kill switch stays on: {error}")))?;
        if was_on {
            tracing::warn!(target: crate::agent::log::TARGET, by, "the kill switch is off");
            self.core.bus.publish(|| AgentEvent::Resumed { by: by.to_owned() });
            self.core.rules.look_again();
        }
        Ok(json!({ "killed": false, "wasKilled": was_on }).to_string())
    }
}
