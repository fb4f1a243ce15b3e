//! Counters as Prometheus reads them (text format 0.0.4).

use std::fmt::Write as _;

use super::shared::Control;
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

    /// Label values are words of the agent: there is nothing to escape in them.
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
    families.whoami(control);
    families.agent(control);
    families.workload(control);
    families.audit_log(control);
    families.0
}

impl Families {
    fn whoami(&mut self, control: &Control) {
        let stats = control.whoami.stats();
        let answered = stats.answered.iter().map(|(code, count)| (code.as_str(), *count));
        self.many(("countersign_answers_total", "counter", "whoami responses by code."), "code", answered);
        self.one("countersign_connections_waiting", "gauge", "whoami connections that wait.", stats.active);
        self.one(
            "countersign_accept_errors_total",
            "counter",
            "whoami connections that could not be accepted, because of the kernel.",
            stats.accept_errors,
        );
    }

    fn agent(&mut self, control: &Control) {
        let rules = control.core.rules.current().rules.rules().len();
        self.one("countersign_rules", "gauge", "Rules in force.", rules);
        let killed = u8::from(control.kill_switch.is_on());
        self.one("countersign_killed", "gauge", "1 while the kill switch is on.", killed);
        let uptime = control.started.1.elapsed().as_secs_f64();
        self.one("countersign_uptime_seconds", "gauge", "Seconds since the agent started.", format!("{uptime:.3}"));
        let started = control.started.0.unix_seconds();
        self.one("countersign_start_time_seconds", "gauge", "Start of the agent, in seconds since 1970.", started);
        let by_severity = control.record.alerts.by_severity();
        let alerts = Severity::ALL.iter().map(|severity| (severity.as_str(), by_severity[*severity as usize]));
        self.many(("countersign_alerts_total", "counter", "Alerts by severity."), "severity", alerts);
        let operators = control.quota.active();
        self.one("countersign_control_connections", "gauge", "Connections of operators.", operators);
    }

    fn workload(&mut self, control: &Control) {
        let Some(workload) = &control.workload else { return };
        let stats = workload.counters.stats();
        let svids = [("x509", stats.x509_svids), ("jwt", stats.jwt_svids)];
        self.many(("countersign_svids_issued_total", "counter", "SVIDs issued, by kind."), "kind", svids);
        let connections = stats.connections;
        self.one("countersign_workload_connections", "gauge", "Connections to the Workload API.", connections);
        self.one(
            "countersign_workload_turned_away_total",
            "counter",
            "Connections to the Workload API that were refused because there were too many.",
            stats.turned_away,
        );
        if let Some(next) = control.record.svids(1).first() {
            let help = "Expiry of the X509-SVID that expires next, in seconds since 1970.";
            self.one("countersign_next_svid_expiry_seconds", "gauge", help, next.expires());
        }
    }

    fn audit_log(&mut self, control: &Control) {
        let Some(on_disk) = &control.record.on_disk else { return };
        let health = control.record.health();
        self.one("countersign_audit_log_lines", "gauge", "Lines of the audit log.", on_disk.written().seq);
        let synced = on_disk.head().seq;
        self.one("countersign_audit_log_synced_lines", "gauge", "Lines of the audit log on the disk.", synced);
        self.one("countersign_audit_log_waiting", "gauge", "Events that are not written yet.", health.waiting);
        let failing = u8::from(health.failing.is_some());
        self.one("countersign_audit_log_failing", "gauge", "1 while the audit log cannot be written.", failing);
        self.one("countersign_audit_log_lost_total", "counter", "Events that no log holds.", health.lost);
        self.one(
            "countersign_audit_log_revoked_unrecorded_total",
            "counter",
            "Decisions that were revoked because they could not be recorded.",
            health.revoked_unrecorded,
        );
    }
}
