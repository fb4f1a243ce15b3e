//! Sockets, keys, tokens, rules: which other users can reach, read or rewrite them.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::SelfAudit;
use super::draft::{Area, Draft};
use crate::agent::fs::problem::{ProblemKind, Weight};
use crate::agent::fs::trust_policy::{CONFIG, LOG, SECRET, SOCKET_DIR, STATE_DIR};
use crate::agent::fs::trusted;
use crate::agent::rules::store::RulesSnapshot;
use crate::agent::rules::token::TokenSource;
use crate::control::Severity;

fn mode_of(found: &Metadata) -> u32 {
    found.mode() & 0o7777
}

fn seen(path: &Path, found: &Metadata) -> String {
    format!("{}: mode {:04o}, uid {}", path.display(), mode_of(found), found.uid())
}

impl SelfAudit {
    pub(super) fn sockets(&self, drafts: &mut Vec<Draft>) {
        if let Ok(found) = fs::symlink_metadata(&self.control_socket)
            && mode_of(&found) & 0o077 & !self.control_mode != 0
        {
            let evidence = seen(&self.control_socket, &found);
            drafts.push(
                Draft::new(
                    "CS-SOCK-001",
                    Severity::High,
                    Area::Sockets,
                    "The control socket is open to others",
                    evidence,
                )
                .because(
                    "The agent authorizes every request by its user, but other users should not even reach the agent.",
                    format!("chmod {:04o} {}", self.control_mode, self.control_socket.display()),
                )
                .mode(&self.control_socket, self.control_mode),
            );
        }
        if !self.others_are_named && self.control_mode & 0o077 != 0 {
            let evidence = format!("{}: made with mode {:04o}", self.control_socket.display(), self.control_mode);
            drafts.push(
                Draft::new(
                    "CS-SOCK-003",
                    Severity::Low,
                    Area::Sockets,
                    "The control socket is open to users without permission",
                    evidence,
                )
                .because("Only the owner has permission, and others can connect.", "Leave out --control-socket-mode."),
            );
        }
        for socket in self.other_sockets.iter().chain([&self.control_socket]) {
            let Some(directory) = socket.parent() else { continue };
            for problem in trusted::inspect(directory, &SOCKET_DIR).iter().filter(|problem| !problem.is_os_error()) {
                let title = "Others could put a socket in the place of the agent's";
                let draft = Draft::of("CS-SOCK-002", Area::Sockets, title, problem);
                drafts.push(draft.because(
                    "A user who can write to the directory of a socket can answer in the name of the agent.",
                    format!("{}, or use another directory", problem.remedy()),
                ));
            }
        }
    }

    pub(super) fn files(&self, snapshot: &RulesSnapshot, drafts: &mut Vec<Draft>) {
        self.keys(drafts);
        self.log_file(drafts);
        self.rules_file(snapshot, drafts);
        for rule in snapshot.rules.rules() {
            if let TokenSource::File(path) = &rule.token {
                token_file(path, rule.name(), drafts);
            }
        }
    }

    fn keys(&self, drafts: &mut Vec<Draft>) {
        for (path, policy) in self.key_files() {
            // What is wrong with the directory is a finding of its own.
            let problems = trusted::inspect(&path, policy);
            for problem in
                problems.iter().filter(|problem| !problem.is_os_error() && problem.path.file_name() == path.file_name())
            {
                drafts.push(
                    Draft::of("CS-KEY-001", Area::Keys, "Others have access to a key", problem)
                        .because(
                            "A user who can read the key can issue identities, or sign a log, as the agent.",
                            format!("{}, and change the key", problem.remedy()),
                        )
                        .severity(Severity::Critical),
                );
            }
        }
        let Some(directory) = &self.state_dir else { return };
        for problem in trusted::inspect(directory, &STATE_DIR).iter().filter(|problem| !problem.is_os_error()) {
            let severity = if problem.weight == Weight::Refused { Severity::Critical } else { Severity::Medium };
            drafts.push(
                Draft::of("CS-KEY-002", Area::Keys, "Others can write to the state directory", problem)
                    .because("Others could put their keys there, and remove the kill switch.", problem.remedy())
                    .severity(severity),
            );
        }
    }

    fn log_file(&self, drafts: &mut Vec<Draft>) {
        let Some(log) = &self.audit_log else { return };
        let title = "Others have access to the audit log";
        let why = "It says which process asked for what, and when.";
        for problem in trusted::inspect(&log.path, &LOG).iter().filter(|problem| !problem.is_os_error()) {
            drafts.push(Draft::of("CS-LOG-005", Area::Log, title, problem).because(why, problem.remedy()));
        }
        if let Ok(found) = fs::symlink_metadata(&log.path)
            && mode_of(&found) & 0o077 != 0
            && mode_of(&found) & 0o022 == 0
        {
            drafts.push(
                Draft::new("CS-LOG-005", Severity::Low, Area::Log, title, seen(&log.path, &found))
                    .because(why, format!("chmod 600 {}", log.path.display()))
                    .mode(&log.path, 0o600),
            );
        }
    }

    fn rules_file(&self, snapshot: &RulesSnapshot, drafts: &mut Vec<Draft>) {
        let Some(path) = &self.rules_file else { return };
        for problem in trusted::inspect(path, &CONFIG) {
            let draft = match problem.kind {
                ProblemKind::Os(_) => continue,
                ProblemKind::Owner { .. } | ProblemKind::ForeignEntry { .. } => {
                    Draft::of("CS-FILE-002", Area::Files, "The rules belong to another user", &problem)
                        .because("The owner of the rules decides which identity a process gets.", problem.remedy())
                }
                _ => Draft::of("CS-FILE-001", Area::Files, "Others can rewrite the rules", &problem)
                    .because("A user who can write the rules decides which identity a process gets.", problem.remedy()),
            };
            drafts.push(draft);
        }
        let Ok(found) = fs::metadata(path) else { return };
        let mode = mode_of(&found);
        if mode & 0o044 != 0 && snapshot.rules.rules().iter().any(|rule| matches!(rule.token, TokenSource::Inline(_))) {
            drafts.push(
                Draft::new(
                    "CS-FILE-003",
                    Severity::High,
                    Area::Files,
                    "Others can read the tokens in the rules",
                    seen(path, &found),
                )
                .because("Anyone holding the token can use it.", format!("chmod 600 {}, or token_file", path.display()))
                .mode(path, mode & !0o077),
            );
        }
    }
}

fn token_file(path: &Path, rule: &str, drafts: &mut Vec<Draft>) {
    for problem in trusted::inspect(path, &SECRET) {
        if let ProblemKind::Os(error) = &problem.kind {
            let evidence = format!("{} of {rule}: {error}", path.display());
            drafts.push(
                Draft::new("CS-TOKEN-002", Severity::Medium, Area::Files, "A token file cannot be read", evidence)
                    .because("A process that should get the token is answered E_INTERNAL.", "Put the file there."),
            );
            continue;
        }
        drafts.push(
            Draft::of("CS-TOKEN-001", Area::Files, "Others have access to a token", &problem)
                .because(
                    "Anyone holding the token can use it. The agent gives none from such a file.",
                    format!("{}, and change the token", problem.remedy()),
                )
                .about(rule),
        );
    }
}
