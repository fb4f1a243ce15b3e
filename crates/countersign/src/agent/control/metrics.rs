//! Counters as Prometheus reads them (text format 0.0.4).

use std::fmt::Write as _;

use super::Control;
use crate::control::Severity;

/// A text of metrics, one family after the other.
#[derive(Default)]
struct Families(String);

impl Families {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, kind, help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    /// The labels are our own words: there is nothing to escape in them.
    fn many<'a, V: std::fmt::Display>(
        &mut self,
        (name, kind, help): (&str, &str, &str),
        label: &str,
        values: impl IntoIterator<Item = (&'a str, V)>,
    ) {
        self.family(name, kind, help);
        for (word, value) in values {
            let _ = writeln!(self.0, "{name}{{{label}=\"{word}\"}} {value}");
        }
    }
}

pub(super) fn metrics(control: &Control) -> String {
    let mut families = Families::default();
    let stats = control.whoami.counters.snapshot(control.whoami.limits.active());
    let answered = stats.answered.iter().map(|(code, count)| (code.as_str(), *count));
    let name = ("countersign_answers_total", "counter", "whoami responses by code.");
    families.many(name, "code", answered);
    families.one("countersign_connections_waiting", "gauge", "Connections that are kept waiting.", stats.active);
    families.one(
        "countersign_accept_errors_total",
        "counter",
        "Times the kernel refused us a connection.",
        stats.accept_errors,
    );
    let rules = control.core.rules.current().rules.rules().len();
    families.one("countersign_rules", "gauge", "Rules in force.", rules);
    let killed = u8::from(control.kill_switch.is_on());
    families.one("countersign_killed", "gauge", "1 while the kill switch is on.", killed);
    let uptime = control.started.1.elapsed().as_secs_f64();
    families.one("countersign_uptime_seconds", "gauge", "Seconds since the agent started.", format!("{uptime:.3}"));
    let started = control.started.0.unix_seconds();
    families.one("countersign_start_time_seconds", "gauge", "When the agent started, in seconds since 1970.", started);
    let by_severity = control.record.alerts.by_severity();
    let alerts = Severity::ALL.iter().map(|severity| (severity.as_str(), by_severity[*severity as usize]));
    families.many(("countersign_alerts_total", "counter", "Alerts by severity."), "severity", alerts);
    let operators = control.limits.active();
    families.one("countersign_control_connections", "gauge", "Connections of operators.", operators);
    if let Some(workload) = &control.workload {
        let stats = workload.counters.snapshot(workload.limits.active());
        let svids = [("x509", stats.x509_svids), ("jwt", stats.jwt_svids)];
        families.many(("countersign_svids_issued_total", "counter", "SVIDs issued, by kind."), "kind", svids);
        families.one(
            "countersign_workload_connections",
            "gauge",
            "Connections to the Workload API.",
            stats.connections,
        );
        families.one(
            "countersign_workload_turned_away_total",
            "counter",
            "Connections to the Workload API there was no room for.",
            stats.turned_away,
        );
        if let Some(next) = control.record.svids(1).first() {
            families.one(
                "countersign_next_svid_expiry_seconds",
                "gauge",
                "When the next X509-SVID ends, in seconds since 1970.",
                next.expires(),
            );
        }
    }
    if let Some(on_disk) = &control.record.on_disk {
        let health = control.record.health();
        families.one("countersign_audit_log_lines", "gauge", "Lines of the audit log.", on_disk.written().seq);
        let synced = on_disk.head().seq;
        families.one("countersign_audit_log_synced_lines", "gauge", "Lines of it that are on the disk.", synced);
        families.one("countersign_audit_log_waiting", "gauge", "Events that are not written yet.", health.waiting);
        let failing = u8::from(health.failing.is_some());
        families.one("countersign_audit_log_failing", "gauge", "1 while the audit log cannot be written.", failing);
        families.one("countersign_audit_log_lost_total", "counter", "Events that are in no log.", health.lost);
        families.one(
            "countersign_audit_log_revoked_unrecorded_total",
            "counter",
            "Decisions that were revoked because they could not be recorded.",
            health.revoked_unrecorded,
        );
    }
    families.0
}
