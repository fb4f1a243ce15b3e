//! Our clients at a server of the crate, which writes an empty line for what it cannot encode.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use countersign::control::{ControlClient, ControlError, Verb};
use secureops_core::{AuditFinding, AuditReport, AuditSummary, MonitorAlert, MonitorStatus, Severity};
use secureops_ipc::{IpcHandler, IpcRequest, IpcResponse, PeerCred, serve};

use crate::agent::must;

struct Daemon;

#[async_trait::async_trait]
impl IpcHandler for Daemon {
    async fn handle(&self, _: PeerCred, request: IpcRequest) -> IpcResponse {
        let ok = |value: Result<IpcResponse, secureops_ipc::IpcError>| value.unwrap_or_else(IpcResponse::err);
        match request {
            // Documented so, and cannot be encoded.
            IpcRequest::Ping => ok(IpcResponse::ok(&"pong")),
            IpcRequest::Status => ok(IpcResponse::ok(&MonitorStatus {
                running: true,
                last_check: None,
                alerts: vec![MonitorAlert {
                    timestamp: "2026-02-03T04:05:06.000000007Z".into(),
                    severity: Severity::High,
                    monitor: "cost".into(),
                    message: "much".into(),
                    details: None,
                }],
            })),
            IpcRequest::Audit { .. } => ok(IpcResponse::ok(&report())),
            IpcRequest::Alerts { .. } => ok(IpcResponse::ok(&Vec::<u8>::new())),
            IpcRequest::Kill { reason } if reason.as_deref() == Some("slow") => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                ok(IpcResponse::ok(&serde_json::json!({ "late": true })))
            }
            IpcRequest::Kill { .. } => IpcResponse::err("you may not"),
            IpcRequest::ReloadPolicy => ok(IpcResponse::ok(&serde_json::json!({ "rules": 7 }))),
            IpcRequest::Subscribe => ok(IpcResponse::ok(&serde_json::json!({}))),
        }
    }
}

fn report() -> AuditReport {
    AuditReport {
        timestamp: "2026-02-03T04:05:06.000000007Z".into(),
        openclaw_version: "1".into(),
        secureops_version: "1".into(),
        platform: "test".into(),
        deployment_mode: "test".into(),
        score: 97,
        findings: vec![AuditFinding {
            id: "SC-TEST-001".into(),
            severity: Severity::Medium,
            category: "test".into(),
            title: "t".into(),
            description: "d".into(),
            evidence: "e".into(),
            remediation: "r".into(),
            auto_fixable: false,
            references: Vec::new(),
            owasp_asi: "ASI01".into(),
            maestro_layer: None,
            nist_category: None,
        }],
        summary: AuditSummary { critical: 0, high: 0, medium: 1, low: 0, info: 0, auto_fixable: 0 },
    }
}

pub async fn answers_of_the_crate() -> Result<usize, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("daemon.sock");
    let serving = tokio::spawn({
        let socket = socket.clone();
        async move { serve(socket, Daemon).await }
    });
    while !socket.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let path = socket.clone();
    let told = tokio::task::spawn_blocking(move || in_rust(&path).map_err(|error| error.to_string())).await??;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("client.cjs");
    let node = tokio::task::spawn_blocking(move || std::process::Command::new("node").arg(script).arg(socket).status());
    must(node.await??.success(), "our client in JavaScript")?;
    serving.abort();
    Ok(told + 9)
}

fn in_rust(socket: &Path) -> Result<usize, Box<dyn Error>> {
    let mut client = ControlClient::connect(socket)?;
    must(client.request(&Verb::Status)?["running"] == true, "status")?;
    let audited = client.request(&Verb::Audit { deep: false, fix: false, json: false })?;
    let read: countersign::control::AuditReport = serde_json::from_value(serde_json::Value::Object(audited))?;
    // Through our types and back it is the same.
    must(serde_json::to_value(&read)? == serde_json::to_value(report())?, "the report")?;
    for verb in [Verb::Ping, Verb::Alerts { limit: None }, Verb::Kill { reason: None }] {
        must(matches!(client.request(&verb), Err(ControlError::Blank)), "an empty line")?;
    }
    must(client.request(&Verb::ReloadPolicy)?["rules"] == 7, "reloadPolicy")?;
    must(client.request(&Verb::Subscribe { after: None })?.is_empty(), "subscribe")?;
    // An answer that comes too late is not taken for the next one.
    client = client.with_timeout(Some(Duration::from_millis(30)));
    let slow = client.request(&Verb::Kill { reason: Some("slow".into()) });
    must(matches!(slow, Err(ControlError::Timeout(_))), "a slow answer")?;
    client = client.with_timeout(Some(Duration::from_secs(10)));
    must(client.request(&Verb::Status)?["running"] == true, "the answer after it")?;
    Ok(9)
}
