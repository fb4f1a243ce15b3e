//! Sockets, keys, tokens, rules: who else could reach, read or rewrite them?

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Posture;
use super::draft::{Area, Draft};
use crate::agent::rules::store::RulesSnapshot;
use crate::agent::rules::token::TokenSource;
use crate::control::Severity;

const STICKY: u32 = 0o1000;

fn mode_of(found: &Metadata) -> u32 {
    found.mode() & 0o7777
}

fn seen(path: &Path, found: &Metadata) -> String {
    format!("{}: mode {:04o}, uid {}", path.display(), mode_of(found), found.uid())
}

/// Is it somebody's who may do as they please anyway?
fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

impl Posture {
    pub(super) fn sockets(&self, drafts: &mut Vec<Draft>) {
        if let Ok(found) = fs::symlink_metadata(&self.control_socket)
            && mode_of(&found) & 0o077 & !self.control_mode != 0
        {
            let evidence = seen(&self.control_socket, &found);
            drafts.push(
                Draft::new("CS-SOCK-001", Severity::High, Area::Sockets, "The control socket is open to others", evidence)
                    .because(
                        "Every request is judged by the user who makes it, but who has no business here should not even get through to the agent.",
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
                    "The control socket is open to who may not ask",
                    evidence,
                )
                .because("Nobody but the owner may ask, and others can connect.", "Leave out --control-socket-mode."),
            );
        }
        for socket in self.other_sockets.iter().chain([&self.control_socket]) {
            let Some(directory) = socket.parent() else { continue };
            let Ok(found) = fs::metadata(directory) else { continue };
            let mode = mode_of(&found);
            let open = mode & 0o002 != 0 && mode & STICKY == 0;
            if open || mode & 0o020 != 0 && mode & STICKY == 0 || !is_trusted(found.uid()) {
                drafts.push(
                    Draft::new(
                        "CS-SOCK-002",
                        Severity::High,
                        Area::Sockets,
                        "Others could put a socket in the place of the agent's",
                        seen(directory, &found),
                    )
                    .because(
                        "Whoever can write to the directory of a socket can answer in the name of the agent.",
                        format!("chmod go-w {}, or another directory", directory.display()),
                    )
                    .mode(directory, mode & !0o022),
                );
            }
        }
    }

    pub(super) fn files(&self, snapshot: &RulesSnapshot, drafts: &mut Vec<Draft>) {
        for path in self.key_files() {
            let Ok(found) = fs::symlink_metadata(&path) else { continue };
            if mode_of(&found) & 0o077 != 0 || !is_trusted(found.uid()) {
                drafts.push(
                    Draft::new(
                        "CS-KEY-001",
                        Severity::Critical,
                        Area::Keys,
                        "Others have access to a key",
                        seen(&path, &found),
                    )
                    .because(
                        "Whoever can read the key can issue identities, or sign a log, in the name of the agent.",
                        format!("chmod 600 {}, and change the key", path.display()),
                    )
                    .mode(&path, 0o600),
                );
            }
        }
        if let Some(directory) = &self.state_dir
            && let Ok(found) = fs::metadata(directory)
            && mode_of(&found) & 0o022 != 0
        {
            drafts.push(
                Draft::new(
                    "CS-KEY-002",
                    Severity::Critical,
                    Area::Keys,
                    "Others can write to the state directory",
                    seen(directory, &found),
                )
                .because(
                    "Keys of somebody else could be put there, and the kill switch be removed.",
                    format!("chmod go-w {}", directory.display()),
                )
                .mode(directory, mode_of(&found) & !0o022),
            );
        }
        if let Some(log) = &self.audit_log
            && let Ok(found) = fs::symlink_metadata(&log.path)
            && mode_of(&found) & 0o077 != 0
        {
            let severity = if mode_of(&found) & 0o022 != 0 { Severity::High } else { Severity::Low };
            drafts.push(
                Draft::new(
                    "CS-LOG-005",
                    severity,
                    Area::Log,
                    "Others have access to the audit log",
                    seen(&log.path, &found),
                )
                .because("It says who asked for what and when.", format!("chmod 600 {}", log.path.display()))
                .mode(&log.path, 0o600),
            );
        }
        self.rules_file(snapshot, drafts);
        for rule in snapshot.rules.rules() {
            if let TokenSource::File(path) = &rule.token {
                token_file(path, rule.name(), drafts);
            }
        }
    }

    fn rules_file(&self, snapshot: &RulesSnapshot, drafts: &mut Vec<Draft>) {
        let Some(path) = &self.rules_file else { return };
        let Ok(found) = fs::metadata(path) else { return };
        let mode = mode_of(&found);
        if mode & 0o022 != 0 {
            drafts.push(
                Draft::new(
                    "CS-FILE-001",
                    Severity::High,
                    Area::Files,
                    "Others can rewrite the rules",
                    seen(path, &found),
                )
                .because("Whoever writes the rules decides who is who.", format!("chmod go-w {}", path.display()))
                .mode(path, mode & !0o022),
            );
        }
        if !is_trusted(found.uid()) {
            drafts.push(
                Draft::new(
                    "CS-FILE-002",
                    Severity::High,
                    Area::Files,
                    "The rules belong to somebody else",
                    seen(path, &found),
                )
                .because("Whoever owns the rules decides who is who.", format!("chown root {}", path.display())),
            );
        }
        if mode & 0o044 != 0 && snapshot.rules.rules().iter().any(|rule| matches!(rule.token, TokenSource::Inline(_))) {
            drafts.push(
                Draft::new(
                    "CS-FILE-003",
                    Severity::High,
                    Area::Files,
                    "Others can read the tokens in the rules",
                    seen(path, &found),
                )
                .because("A token is whoever has it.", format!("chmod 600 {}, or token_file", path.display()))
                .mode(path, mode & !0o077),
            );
        }
    }
}

fn token_file(path: &Path, rule: &str, drafts: &mut Vec<Draft>) {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) => {
            let evidence = format!("{} of {rule}: {error}", path.display());
            drafts.push(
                Draft::new("CS-TOKEN-002", Severity::Medium, Area::Files, "A token file cannot be read", evidence)
                    .because("Who should be given the token is answered E_INTERNAL.", "Put the file there."),
            );
            return;
        }
    };
    if mode_of(&found) & 0o077 != 0 || !is_trusted(found.uid()) {
        drafts.push(
            Draft::new(
                "CS-TOKEN-001",
                Severity::High,
                Area::Files,
                "Others have access to a token",
                format!("{} of {rule}", seen(path, &found)),
            )
            .because(
                "A token is whoever has it. The agent hands none out of such a file.",
                format!("chmod 600 {}, and change the token", path.display()),
            )
            .mode(path, 0o600),
        );
    }
}
