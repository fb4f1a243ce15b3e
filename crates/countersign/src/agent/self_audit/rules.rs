//! Rules that give more than they seem to, or nothing, and the executables they rest on.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use sha2::Digest;

use super::draft::{Area, Draft};
use crate::agent::fs::problem::Weight;
use crate::agent::fs::trust_policy::{EXECUTABLE, EXECUTABLE_DIR, TrustPolicy};
use crate::agent::fs::trusted;
use crate::agent::rules::lint::FindingKind;
use crate::agent::rules::rule::Rule;
use crate::agent::rules::store::RulesSnapshot;
use crate::control::Severity;
use crate::peer::{PathPattern, PeerConditions, Sha256};

const LONG_X509: Duration = Duration::from_secs(24 * 3600);
const LONG_JWT: Duration = Duration::from_secs(3600);
const LONG_CA: Duration = Duration::from_secs(366 * 24 * 3600);
/// Programs that run the script in their first argument.
const INTERPRETERS: [&str; 12] =
    ["node", "bash", "sh", "dash", "zsh", "python", "perl", "ruby", "java", "deno", "bun", "php"];

pub(super) fn look(snapshot: &RulesSnapshot, deep: bool, drafts: &mut Vec<Draft>) {
    let rules = snapshot.rules.rules();
    for finding in snapshot.rules.lint() {
        let (id, title) = match finding.kind {
            FindingKind::Duplicate => ("CS-RULE-003", "Two rules have the same conditions"),
            FindingKind::Shadowed => ("CS-RULE-002", "A rule is never reached"),
        };
        drafts.push(Draft::new(id, Severity::Medium, Area::Rules, title, finding.to_string()).because(
            "The first rule that matches decides; this one gives no process anything.",
            "Put the narrower rule first, or remove one.",
        ));
    }
    for (number, rule) in rules.iter().enumerate() {
        let name = format!("rule {} ({}): {}", number + 1, rule.name(), rule.policy);
        conditions(rule, &name, drafts);
        match &rule.policy.exe {
            Some(PathPattern::Exact(exe)) => {
                executable(exe, rule.policy.exe_sha256.as_ref().filter(|_| deep), &name, drafts);
            }
            Some(PathPattern::Below(directory)) => replaceable(directory, &EXECUTABLE_DIR, &name, drafts),
            None => {}
        }
    }
    lifetimes(snapshot, drafts);
}

fn conditions(rule: &Rule, name: &str, drafts: &mut Vec<Draft>) {
    // All fields are named here: a new condition does not compile before it is decided what it narrows.
    let PeerConditions { uid, gid, group, exe, exe_sha256, process, pid: _, cgroup, unit, allow_spoofable: _ } =
        &*rule.policy;
    let names_program = exe.is_some() || exe_sha256.is_some();
    let names_service = cgroup.is_some() || unit.is_some();
    let names_user = uid.is_some() || gid.is_some() || group.is_some();
    if process.is_some() && !names_program && !names_service && !names_user {
        drafts.push(
            Draft::new(
                "CS-RULE-001",
                Severity::High,
                Area::Rules,
                "Every process can get the identity of this rule",
                name,
            )
            .because("A process chooses its own name.", "Add uid, exe, cgroup or unit."),
        );
    } else if !names_program && !names_service {
        drafts.push(
            Draft::new("CS-RULE-004", Severity::Medium, Area::Rules, "A rule is for every program of a user", name)
                .because(
                    "Every program of that user gets the identity.",
                    "Add exe, cgroup or unit, or give the workload a user of its own.",
                ),
        );
    } else if names_program && !names_user && !names_service {
        drafts.push(
            Draft::new("CS-RULE-005", Severity::Low, Area::Rules, "A rule is for a program of every user", name)
                .because(
                    "Every user of the machine can start the program, with arguments and an environment of their own.",
                    "Add uid or unit.",
                ),
        );
    }
    if *uid == Some(0) {
        drafts.push(
            Draft::new("CS-RULE-006", Severity::Low, Area::Rules, "A workload runs as root", name)
                .because("Few workloads need root.", "Give it a user of its own."),
        );
    }
    let is_interpreter = |path: &Path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        INTERPRETERS.contains(&name)
    };
    if let Some(PathPattern::Exact(exe)) = exe
        && is_interpreter(exe)
        && !names_service
    {
        drafts.push(
            Draft::new("CS-RULE-007", Severity::Low, Area::Rules, "The executable of a rule is an interpreter", name)
                .because(
                    "It runs any script: the rule is for every script of that user.",
                    "Add cgroup or unit, or a user of its own.",
                ),
        );
    }
}

fn executable(exe: &Path, sha256: Option<&Sha256>, name: &str, drafts: &mut Vec<Draft>) {
    if fs::metadata(exe).is_err() {
        drafts.push(
            Draft::new(
                "CS-EXE-002",
                Severity::Low,
                Area::Executables,
                "The executable of a rule is not there",
                format!("{}, {name}", exe.display()),
            )
            .because(
                "No process gets the identity until a user who can make the file does so.",
                "Install it, or remove the rule.",
            ),
        );
        return;
    }
    replaceable(exe, &EXECUTABLE, name, drafts);
    if let Some(expected) = sha256
        && let Some(actual) = digest(exe)
        && actual != *expected.as_bytes()
    {
        drafts.push(
            Draft::new(
                "CS-EXE-003",
                Severity::Medium,
                Area::Executables,
                "The executable of a rule is another one",
                format!("{}, {name}", exe.display()),
            )
            .because(
                "Its hash is not the one in the rule: no process gets the identity.",
                "Was it updated? Then update exe_sha256. If not, find out who changed it.",
            ),
        );
    }
}

/// The worst thing that is wrong with a program, or with a directory of programs.
fn replaceable(path: &Path, policy: &TrustPolicy, name: &str, drafts: &mut Vec<Draft>) {
    let problems = trusted::inspect(path, policy);
    let refused = problems.iter().find(|problem| problem.weight == Weight::Refused);
    let Some(problem) = refused.or(problems.first()).filter(|problem| !problem.is_os_error()) else { return };
    drafts.push(
        Draft::of("CS-EXE-001", Area::Executables, "Others can replace the executable of a rule", problem)
            .because(
                "A user who can write the file gets the identity of the rule.",
                "Have root own it and everything above it, writable by no other user.",
            )
            .about(name),
    );
}

fn digest(path: &Path) -> Option<[u8; 32]> {
    let mut file = File::open(path).ok().filter(|file| file.metadata().is_ok_and(|found| found.is_file()))?;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(hasher.finalize().into()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

fn lifetimes(snapshot: &RulesSnapshot, drafts: &mut Vec<Draft>) {
    let Some(config) = &snapshot.workload else { return };
    let mut long = |id: &str, what: &str, ttl: Duration, most: Duration, whose: &str| {
        if ttl > most {
            let evidence = format!("{whose}: {what} of {} s", ttl.as_secs());
            drafts.push(
                Draft::new(id, Severity::Medium, Area::Lifetimes, "Something lives for long", evidence).because(
                    "What was stolen is good for as long as it lives: nothing else takes it back.",
                    format!("{what} of at most {} s", most.as_secs()),
                ),
            );
        }
    };
    long("CS-TTL-001", "x509_svid_ttl", config.x509_svid_ttl, LONG_X509, "[workload_api]");
    long("CS-TTL-002", "jwt_svid_ttl", config.jwt_svid_ttl, LONG_JWT, "[workload_api]");
    long("CS-TTL-003", "ca_ttl", config.ca_ttl, LONG_CA, "[workload_api]");
    for rule in snapshot.rules.rules() {
        let Some(svid) = &rule.svid else { continue };
        if let Some(ttl) = svid.x509_svid_ttl {
            long("CS-TTL-001", "x509_svid_ttl", ttl, LONG_X509, rule.name());
        }
        if let Some(ttl) = svid.jwt_svid_ttl {
            long("CS-TTL-002", "jwt_svid_ttl", ttl, LONG_JWT, rule.name());
        }
    }
}
