//! The audit of the agent itself: which users could reach its sockets, read its keys or rewrite its rules; which rules
//! give more than they seem to; and whether its clock and its log can be relied on.

mod draft;
mod files;
mod machine;
mod rules;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::agent::audit_log::{AuditLogOptions, private_key_path};
use crate::agent::authority;
use crate::agent::decisions::KillSwitch;
use crate::agent::fs::trust_policy::{LOG_KEY, STATE_FILE, TrustPolicy};
use crate::agent::record::Journal;
use crate::agent::rules::store::RulesSnapshot;
use crate::control::{AuditFinding, AuditReport, Severity, Timestamp};

/// What an audit looks at, besides the rules.
pub(super) struct SelfAudit {
    pub(super) rules_file: Option<PathBuf>,
    pub(super) control_socket: PathBuf,
    /// The permission bits the control socket was made with.
    pub(super) control_mode: u32,
    /// Are others than the owner named?
    pub(super) others_are_named: bool,
    pub(super) other_sockets: Vec<PathBuf>,
    /// Where the keys of the authority are, and the kill switch.
    pub(super) state_dir: Option<PathBuf>,
    pub(super) audit_log: Option<AuditLogOptions>,
    pub(super) is_dev: bool,
    pub(super) seen: Mutex<Seen>,
}

/// What earlier audits found.
#[derive(Default)]
pub(super) struct Seen {
    last_check: Option<Timestamp>,
    findings: HashSet<(String, String)>,
}

impl SelfAudit {
    /// When it was looked at last.
    pub(super) fn last_check(&self) -> Option<Timestamp> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).last_check
    }

    /// Looks, and repairs modes if that is asked for. What comes back besides the report was not found the last time.
    pub(super) fn audit(
        &self,
        snapshot: &RulesSnapshot,
        record: &Journal,
        kill_switch: &KillSwitch,
        deep: bool,
        fix: bool,
    ) -> (AuditReport, Vec<AuditFinding>) {
        let mut drafts = Vec::new();
        self.sockets(&mut drafts);
        self.files(snapshot, &mut drafts);
        rules::look(snapshot, deep, &mut drafts);
        self.machine(snapshot, record, kill_switch, deep, &mut drafts);
        let findings: Vec<AuditFinding> = drafts.into_iter().map(|draft| draft.finish(fix)).collect();
        let mode = if self.is_dev { "development" } else { "machine" };
        let now = Timestamp::now();
        let report = AuditReport::new(now, env!("CARGO_PKG_VERSION"), mode, findings);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.last_check = Some(now);
        let real = report.findings.iter().filter(|finding| finding.severity != Severity::Info);
        let keys: HashSet<(String, String)> =
            real.clone().map(|finding| (finding.id.clone(), finding.evidence.clone())).collect();
        let is_new = |finding: &&AuditFinding| {
            !seen.findings.iter().any(|(id, evidence)| *id == finding.id && *evidence == finding.evidence)
        };
        let new = real.filter(is_new).cloned().collect();
        seen.findings = keys;
        (report, new)
    }

    /// The files with keys, and what each must be like.
    fn key_files(&self) -> Vec<(PathBuf, &'static TrustPolicy)> {
        let authority = self.state_dir.iter().map(|directory| (directory.join(authority::FILE), &STATE_FILE));
        authority.chain(self.audit_log.iter().map(|log| (private_key_path(&log.path), &LOG_KEY))).collect()
    }
}
