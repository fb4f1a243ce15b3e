//! The agent's process, its clock, its log and its kill switch.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::SelfAudit;
use super::draft::{Area, Draft};
use crate::agent::audit_log::LogFailure;
use crate::agent::decisions::KillSwitch;
use crate::agent::record::Journal;
use crate::agent::rules::store::RulesSnapshot;
use crate::control::Severity;
use crate::control::log::{VerifyOptions, verify};

/// The directory exists while systemd-timesyncd runs, the file once it has synchronised the clock.
const TIMESYNC: &str = "/run/systemd/timesync";
/// A file that is newer than now was written when the clock was ahead.
const SLACK: Duration = Duration::from_secs(120);

impl SelfAudit {
    pub(super) fn machine(
        &self,
        snapshot: &RulesSnapshot,
        record: &Journal,
        kill_switch: &KillSwitch,
        deep: bool,
        drafts: &mut Vec<Draft>,
    ) {
        let looks_into_processes =
            |rule: &crate::agent::Rule| rule.policy.exe.is_some() || rule.policy.exe_sha256.is_some();
        if rustix::process::geteuid().is_root() && !snapshot.rules.rules().iter().any(looks_into_processes) {
            drafts.push(
                Draft::new(
                    "CS-PROC-001",
                    Severity::Low,
                    Area::Process,
                    "The agent runs as root, and no rule needs that",
                    format!("uid 0, {} rules", snapshot.rules.rules().len()),
                )
                .because(
                    "Root is needed to see what other users run (exe, exe_sha256), and no rule asks for that.",
                    "Run it as a user of its own.",
                ),
            );
        }
        self.clock(drafts);
        self.log(record, deep, drafts);
        if let Some(order) = kill_switch.order() {
            drafts.push(
                Draft::new(
                    "CS-KILL-001",
                    Severity::Info,
                    Area::Process,
                    "The kill switch is on",
                    format!("{} by {}: {}", order.activated, order.activated_by, order.reason),
                )
                .because("No identity is given to any process.", "countersign resume"),
            );
        }
    }

    fn clock(&self, drafts: &mut Vec<Draft>) {
        let timesync = Path::new(TIMESYNC);
        if timesync.is_dir() && !timesync.join("synchronized").exists() {
            drafts.push(
                Draft::new(
                    "CS-CLOCK-002",
                    Severity::Low,
                    Area::Clock,
                    "The clock is not synchronised",
                    format!("{TIMESYNC}/synchronized is not there"),
                )
                .because(
                    "SVIDs are verified by the clock of the machine that receives them.",
                    "Find out why the time service has not reached a time server.",
                ),
            );
        }
        let written =
            [self.rules_file.clone(), self.state_dir.as_ref().map(|dir| dir.join(crate::agent::authority::FILE))];
        for path in written.into_iter().flatten() {
            let Ok(modified) = fs::metadata(&path).and_then(|found| found.modified()) else { continue };
            if modified > SystemTime::now() + SLACK {
                drafts.push(
                    Draft::new(
                        "CS-CLOCK-001",
                        Severity::Medium,
                        Area::Clock,
                        "The clock went back, or a file is from the future",
                        path.display().to_string(),
                    )
                    .because(
                        "SVIDs and tokens that ended are good again when the clock goes back.",
                        "Set the clock right, and rotate the keys if it was wrong for long.",
                    ),
                );
            }
        }
    }

    fn log(&self, record: &Journal, deep: bool, drafts: &mut Vec<Draft>) {
        let Some(options) = &self.audit_log else {
            if !self.is_dev {
                drafts.push(
                    Draft::new(
                        "CS-LOG-001",
                        Severity::Low,
                        Area::Log,
                        "No audit log is kept",
                        "--audit-log is not given",
                    )
                    .because("There is no record of which process got which identity.", "--audit-log FILE"),
                );
            }
            return;
        };
        let path = options.path.display();
        if options.on_failure == LogFailure::Continue {
            drafts.push(
                Draft::new(
                    "CS-LOG-004",
                    Severity::Low,
                    Area::Log,
                    "The agent goes on when its log cannot be written",
                    format!("{path}: --log-failure continue"),
                )
                .because("Nothing is recorded after the disk is full.", "--log-failure refuse"),
            );
        }
        log_health(record, &path.to_string(), drafts);
        let Some(on_disk) = record.on_disk.as_ref().filter(|_| deep) else { return };
        let options = VerifyOptions { keys: vec![on_disk.key()], ..VerifyOptions::default() };
        if let Err(error) = verify(on_disk.path(), &options) {
            drafts.push(
                Draft::new(
                    "CS-LOG-003",
                    Severity::Critical,
                    Area::Log,
                    "The audit log is not what the agent wrote",
                    error.to_string(),
                )
                .because(
                    "Lines were changed, removed or added by another program.",
                    "Keep it as evidence, and find out who can write to it.",
                ),
            );
        }
    }
}

fn log_health(record: &Journal, path: &str, drafts: &mut Vec<Draft>) {
    let health = record.health();
    if let Some(failing) = health.failing {
        drafts.push(
            Draft::new(
                "CS-LOG-002",
                Severity::Critical,
                Area::Log,
                "The audit log cannot be written",
                format!("{path}: {failing}"),
            )
            .because(
                "No identity is given until it can be written, unless --log-failure says otherwise.",
                "Make room, or repair the disk.",
            ),
        );
    }
    if health.lost > 0 {
        drafts.push(
            Draft::new(
                "CS-LOG-006",
                Severity::High,
                Area::Log,
                "The audit log lacks events",
                format!("{path}: {} events", health.lost),
            )
            .because("They came while it could not be written.", "The log says where they are missing."),
        );
    }
}
