use serde_json::{Map, Value, json};

use super::shared::Control;
use crate::control::{MAX_REPLY_LINE, Severity};

/// Alerts that stand in a status.
const ALERTS: usize = 10;
/// Callers and SVIDs that stand in a status.
const ROWS: usize = 20;

/// The state of the agent. It contains all members of a `MonitorStatus` of `secureops-core`.
pub(super) fn status(control: &Control) -> Value {
    const { assert!(MAX_REPLY_LINE > 1024 * 1024) };
    let record = &control.record;
    let snapshot = control.core.rules.current();
    let stats = control.whoami.stats();
    let answered: Map<String, Value> =
        stats.answered.iter().map(|(code, count)| (code.as_str().to_owned(), (*count).into())).collect();
    let by_severity = record.alerts.by_severity();
    let alert_counts: Map<String, Value> = Severity::ALL
        .iter()
        .map(|severity| (severity.as_str().to_owned(), by_severity[*severity as usize].into()))
        .collect();
    let (started, since) = control.started;
    let killed = control.kill_switch.order();
    let mut status = json!({
        "running": true,
        "alerts": serde_json::from_str::<Value>(&record.alerts.important(ALERTS)).unwrap_or_default(),
        "vouching": killed.is_none() && record.health().failing.is_none(),
        "killSwitch": killed,
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "uid": rustix::process::geteuid().as_raw(),
        "started": started,
        "uptimeMs": since.elapsed().as_millis() as u64,
        "rules": snapshot.rules.rules().len(),
        "rulesFile": control.core.rules.file(),
        "sockets": {
            "whoami": control.sockets.whoami,
            "workload": control.sockets.workload,
            "control": control.sockets.control,
        },
        "answered": answered,
        "active": stats.active,
        "acceptErrors": stats.accept_errors,
        "alertCounts": alert_counts,
        "callers": record.callers(ROWS),
        "svids": record.svids(ROWS),
        "workloadApi": workload(control),
        "auditLog": audit_log(control),
    });
    if let (Some(last_check), Some(status)) = (control.self_audit.last_check(), status.as_object_mut()) {
        status.insert("lastCheck".into(), json!(last_check));
    }
    status
}

fn workload(control: &Control) -> Value {
    let Some(workload) = &control.workload else { return Value::Null };
    let stats = workload.counters.stats();
    json!({
        "trustDomain": workload.trust_domain.name(),
        "connections": stats.connections,
        "x509Svids": stats.x509_svids,
        "jwtSvids": stats.jwt_svids,
        "turnedAway": stats.turned_away,
    })
}

fn audit_log(control: &Control) -> Value {
    let Some(on_disk) = &control.record.on_disk else { return Value::Null };
    let health = control.record.health();
    json!({
        "path": on_disk.path(),
        "key": on_disk.key().to_base64(),
        "written": on_disk.written().seq,
        "onDisk": on_disk.head().seq,
        "waiting": health.waiting,
        "failing": health.failing,
        "lost": health.lost,
        "revokedUnrecorded": health.revoked_unrecorded,
    })
}
