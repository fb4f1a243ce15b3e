//! The client of the crate at our agent.

use std::error::Error;

use countersign::agent::{Agent, AgentOptions, AuditLogOptions};
use secureops_core::{AuditReport, MonitorAlert, MonitorStatus};
use secureops_ipc::{IpcError, IpcRequest, IpcResponse, connect};

pub async fn asked_by_the_crate() -> Result<usize, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("control.sock");
    let options = AgentOptions::default()
        .rules_text("[[rule]]\nidentity = \"ROOT\"\nmatch = { uid = 0 }\n")
        .socket(directory.path().join("whoami.sock"))
        .control_socket(&socket)
        .state_dir(directory.path().join("state"))
        .audit_log(AuditLogOptions::new(directory.path().join("audit.jsonl")));
    let agent = Agent::start(options)?;
    let mut client = connect(&socket).await?;
    let mut told = 0;
    let payload = |response: IpcResponse| match response {
        IpcResponse::Ok(payload) => Ok(payload),
        other => Err(format!("no success: {other:?}")),
    };

    let ping = payload(client.request(IpcRequest::Ping).await?)?;
    must(ping["value"] == "pong", "ping")?;
    let status = payload(client.request(IpcRequest::Status).await?)?;
    let status: MonitorStatus = serde_json::from_value(status)?;
    must(status.running, "status")?;
    let report = payload(client.request(IpcRequest::Audit { deep: true, fix: false, json: true }).await?)?;
    let report: AuditReport = serde_json::from_value(report)?;
    must(report.score <= 100 && !report.findings.is_empty(), "audit")?;
    // The score is what the crate would have made of it.
    let summary = report.summary.clone();
    let cost = 15 * summary.critical + 8 * summary.high + 3 * summary.medium + summary.low;
    must(report.score == 100_u32.saturating_sub(cost), "the score")?;
    must(payload(client.request(IpcRequest::ReloadPolicy).await?)?["rules"] == 1, "reloadPolicy")?;
    let killed = payload(client.request(IpcRequest::Kill { reason: Some("a drill".into()) }).await?)?;
    must(killed["killed"] == true && agent.is_killed(), "kill")?;
    // It is an alert soon.
    for attempt in 0.. {
        must(attempt < 1000, "an alert of the kill")?;
        let alerts = payload(client.request(IpcRequest::Alerts { limit: Some(1000) }).await?)?;
        let alerts: Vec<MonitorAlert> = serde_json::from_value(alerts["alerts"].clone())?;
        if alerts.iter().any(|alert| alert.message.contains("a drill")) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    told += 6;

    // An error is never a success: the crate has no form of it that it could read, and says so.
    let long = IpcRequest::Kill { reason: Some("x".repeat(5000)) };
    must(matches!(client.request(long).await, Err(IpcError::Codec(_))), "an error")?;
    must(payload(client.request(IpcRequest::Ping).await?).is_ok(), "the answer after an error")?;
    told += 2;

    // Who subscribes is told so, and then of what happens. The crate takes whatever comes for the answer to its next
    // question, and loses what came with it: one that got another alert first is out of step for good.
    for attempt in 0.. {
        must(attempt < 100, "a pushed alert")?;
        let mut client = connect(&socket).await?;
        payload(client.request(IpcRequest::Subscribe).await?)?;
        must(agent.replace_rules(&format!("nonsense{attempt}")).is_err(), "broken rules")?;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        if let IpcResponse::Alert(alert) = client.request(IpcRequest::Ping).await?
            && alert.message.contains("not taken")
        {
            break;
        }
    }
    agent.close();
    Ok(told + 2)
}

pub fn must(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{what} is not as it should be")) }
}
