use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::agent::fs::problem::{Problem, Weight};
use crate::control::{AuditFinding, MaestroLayer, NistAttackType, Severity};

/// A finding in the making, and the mode that would repair it.
pub(super) struct Draft {
    finding: AuditFinding,
    repair: Option<(PathBuf, u32)>,
}

/// What a finding is about.
#[derive(Clone, Copy)]
pub(super) enum Area {
    Sockets,
    Files,
    Keys,
    Rules,
    Executables,
    Lifetimes,
    Process,
    Clock,
    Log,
}

impl Area {
    fn describe(self) -> (&'static str, &'static str, MaestroLayer, NistAttackType) {
        use MaestroLayer::{L4, L5, L6};
        use NistAttackType::{Evasion, Misuse, Poisoning, Privacy};
        match self {
            Area::Sockets => ("sockets", "ASI03", L4, Misuse),
            Area::Files => ("files", "ASI03", L4, Poisoning),
            Area::Keys => ("keys", "ASI03", L4, Privacy),
            Area::Rules => ("rules", "ASI03", L6, Evasion),
            Area::Executables => ("executables", "ASI04", L4, Poisoning),
            Area::Lifetimes => ("lifetimes", "ASI03", L6, Misuse),
            Area::Process => ("process", "ASI03", L4, Misuse),
            Area::Clock => ("clock", "ASI03", L4, Evasion),
            Area::Log => ("audit-log", "ASI03", L5, Evasion),
        }
    }
}

impl Draft {
    pub(super) fn new(id: &str, severity: Severity, area: Area, title: &str, evidence: impl Into<String>) -> Draft {
        let (category, owasp_asi, layer, attack) = area.describe();
        Draft {
            finding: AuditFinding {
                id: id.into(),
                severity,
                category: category.into(),
                title: title.into(),
                description: String::new(),
                evidence: evidence.into(),
                remediation: String::new(),
                auto_fixable: false,
                references: Vec::new(),
                owasp_asi: owasp_asi.into(),
                maestro_layer: Some(layer),
                nist_category: Some(attack),
            },
            repair: None,
        }
    }

    /// A problem with a file. What the agent would refuse is a high one. Permission bits of the file itself can be
    /// repaired.
    pub(super) fn of(id: &str, area: Area, title: &str, problem: &Problem) -> Draft {
        let severity = match problem.weight {
            Weight::Refused => Severity::High,
            Weight::Doubtful => Severity::Medium,
        };
        let draft = Draft::new(id, severity, area, title, problem.evidence());
        match problem.repaired_mode() {
            Some(mode) => draft.mode(&problem.path, mode),
            None => draft,
        }
    }

    pub(super) fn severity(mut self, severity: Severity) -> Draft {
        self.finding.severity = severity;
        self
    }

    /// The rule that names the file.
    pub(super) fn about(mut self, rule: &str) -> Draft {
        self.finding.evidence += &format!("; {rule}");
        self
    }

    /// Why it is wrong, and what to do about it.
    pub(super) fn because(mut self, description: &str, remediation: impl Into<String>) -> Draft {
        self.finding.description = description.into();
        self.finding.remediation = remediation.into();
        self
    }

    /// These permission bits would repair it. Only what is our own is ever touched.
    pub(super) fn mode(mut self, path: &Path, mode: u32) -> Draft {
        if is_ours(path) {
            self.finding.auto_fixable = true;
            self.repair = Some((path.to_path_buf(), mode));
        }
        self
    }

    /// Repairs it, if that is asked for and possible. A repaired finding is only informative.
    pub(super) fn finish(mut self, fix: bool) -> AuditFinding {
        if let Some((path, mode)) = self.repair.filter(|_| fix) {
            match repair(&path, mode) {
                Ok(()) => {
                    self.finding.severity = Severity::Info;
                    self.finding.auto_fixable = false;
                    self.finding.evidence += &format!("; repaired: mode {mode:04o}");
                }
                Err(error) => self.finding.evidence += &format!("; not repaired: {error}"),
            }
        }
        self.finding
    }
}

/// Never true of a symbolic link: it can lead to another file later.
fn is_ours(path: &Path) -> bool {
    let own = rustix::process::geteuid().as_raw();
    fs::symlink_metadata(path).is_ok_and(|found| found.uid() == own && !found.is_symlink())
}

fn repair(path: &Path, mode: u32) -> std::io::Result<()> {
    if !is_ours(path) {
        return Err(std::io::Error::other("it is another file by now"));
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}
