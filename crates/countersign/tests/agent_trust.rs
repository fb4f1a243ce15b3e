//! Files that another user could have written, or could replace: none of them is used.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod agent_scene;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use agent_scene::{Scene, eventually, is_root, own_rule};
use countersign::agent::{
    Agent, AgentError, AgentEvent, AgentOptions, AuditLogOptions, Authority, BoundSocket, DEFAULT_CA_TTL, RuleSet,
    SocketAccess, TokenSource,
};
use countersign::control::{AuditReport, ControlClient, Severity, Verb};
use countersign::spiffe::TrustDomain;
use serde_json::Value;

/// Users and groups that nobody has to know: only their numbers count.
const STRANGER: u32 = 61_001;
const FOREIGN_GROUP: u32 = 61_002;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A directory of the scene.
fn directory(scene: &Scene, name: &str) -> PathBuf {
    let path = scene.path(name);
    fs::create_dir_all(&path).unwrap();
    mode(&path, 0o755);
    path
}

#[track_caller]
fn rules_refused(path: &Path, says: &str) {
    let error = RuleSet::load(path).unwrap_err().to_string();
    assert!(error.contains(says), "{error}");
}

#[track_caller]
fn token_refused(path: &Path, says: &str) {
    let error = TokenSource::File(path.into()).read().unwrap_err().to_string();
    assert!(error.contains(says), "{error}");
}

#[test]
fn every_directory_above_the_rules_counts() {
    let scene = Scene::new();
    directory(&scene, "a/b");
    let path = scene.write("a/b/rules.toml", &own_rule("ME"));
    RuleSet::load(&path).unwrap();
    // Others could rename the whole directory and put their own in its place.
    mode(&scene.path("a"), 0o777);
    rules_refused(&path, "/a: mode 0777: every user could replace the rules (chmod go-w)");
    mode(&scene.path("a"), 0o1777);
    RuleSet::load(&path).unwrap();
    mode(&scene.path("a"), 0o755);
    // A missing file in a directory of others is worse than missing.
    mode(&scene.path("a/b"), 0o757);
    rules_refused(&scene.path("a/b/none.toml"), "mode 0757");
}

#[test]
fn the_owner_of_a_directory_can_rename_what_is_in_it() {
    if !is_root("a directory of another user") {
        return;
    }
    let scene = Scene::new();
    let above = directory(&scene, "above");
    let path = scene.write("above/rules.toml", &own_rule("ME"));
    chown(&above, Some(STRANGER), None).unwrap();
    rules_refused(&path, "/above: owned by uid 61001, expected 0 (chown root)");
    // Even a sticky directory: its owner is not bound by that.
    mode(&above, 0o1755);
    rules_refused(&path, "/above: owned by uid 61001");
    chown(&above, Some(0), Some(FOREIGN_GROUP)).unwrap();
    mode(&above, 0o775);
    rules_refused(&path, "/above: mode 0775: group 61002 could replace the rules (chmod g-w)");
    chown(&above, Some(0), Some(0)).unwrap();
    assert!(RuleSet::load(&path).unwrap().warnings().join(" ").contains("group 0 could replace"));
}

#[test]
fn a_file_of_another_user_is_refused() {
    if !is_root("a file of another user") {
        return;
    }
    let scene = Scene::new();
    let path = scene.write("rules.toml", &own_rule("ME"));
    chown(&path, Some(STRANGER), None).unwrap();
    rules_refused(&path, "rules.toml: owned by uid 61001");
    chown(&path, Some(0), Some(FOREIGN_GROUP)).unwrap();
    mode(&path, 0o664);
    rules_refused(&path, "rules.toml: mode 0664: group 61002 could rewrite the rules");
}

#[test]
fn a_link_is_judged_where_it_is_and_where_it_leads() {
    if !is_root("a link of another user") {
        return;
    }
    let scene = Scene::new();
    let foreign = directory(&scene, "foreign");
    scene.write("foreign/token", "planted");
    let link = scene.path("link");
    symlink("foreign/token", &link).unwrap();
    assert_eq!(TokenSource::File(link.clone()).read().unwrap().expose(), "planted");
    chown(&foreign, Some(STRANGER), None).unwrap();
    token_refused(&link, "/foreign: owned by uid 61001");
    // Through a directory that is a link, and back out of the foreign one.
    symlink(&foreign, scene.path("through")).unwrap();
    token_refused(&scene.path("through/../foreign/token"), "/foreign: owned by uid 61001");

    // In a directory for all, the link of another user is that user's decision.
    let shared = directory(&scene, "shared");
    mode(&shared, 0o1777);
    scene.write("good", "good");
    let planted = shared.join("link");
    symlink(scene.path("good"), &planted).unwrap();
    assert_eq!(TokenSource::File(planted.clone()).read().unwrap().expose(), "good");
    std::os::unix::fs::lchown(&planted, Some(STRANGER), None).unwrap();
    token_refused(&planted, "shared/link: owned by uid 61001, in a directory that others can write to");
}

#[test]
fn links_that_lead_in_a_circle_come_to_an_end() {
    let scene = Scene::new();
    symlink(scene.path("b"), scene.path("a")).unwrap();
    symlink(scene.path("a"), scene.path("b")).unwrap();
    token_refused(&scene.path("a"), "too many symbolic links");
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let scene = Scene::new();
    let fifo = scene.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg("-m600").arg(&fifo).status().unwrap().success());
    let start = Instant::now();
    token_refused(&fifo, "fifo: not a regular file");
    token_refused(Path::new("/dev/zero"), "/dev/zero: not a regular file");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_file_that_is_too_long_is_not_read() {
    let scene = Scene::new();
    let path = scene.write("huge", "");
    File::options().write(true).open(&path).unwrap().set_len(1 << 30).unwrap();
    token_refused(&path, "longer than 65536 bytes");
    rules_refused(&path, "longer than 1048576 bytes");
}

#[test]
fn a_file_that_is_replaced_again_and_again_is_never_read_from_another_user() {
    if !is_root("a file of another user") {
        return;
    }
    let scene = Scene::new();
    let path = scene.write("token", "good");
    let done = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (good, bad, path, done) = (scene.path("good"), scene.path("bad"), path.clone(), Arc::clone(&done));
        std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                fs::write(&bad, "planted").unwrap();
                mode(&bad, 0o600);
                chown(&bad, Some(STRANGER), None).unwrap();
                fs::rename(&bad, &path).unwrap();
                fs::write(&good, "good").unwrap();
                mode(&good, 0o600);
                fs::rename(&good, &path).unwrap();
            }
        })
    };
    let end = Instant::now() + Duration::from_millis(500);
    let (mut taken, mut refused) = (0, 0);
    while Instant::now() < end || taken == 0 || refused == 0 {
        match TokenSource::File(path.clone()).read() {
            Ok(token) => {
                assert_eq!(token.expose(), "good");
                taken += 1;
            }
            Err(_) => refused += 1,
        }
        assert!(Instant::now() < end + Duration::from_secs(20), "{taken} {refused}");
    }
    done.store(true, Ordering::Relaxed);
    swapping.join().unwrap();
}

#[test]
fn a_socket_is_not_made_where_others_could_replace_it() {
    if !is_root("a directory of another user") {
        return;
    }
    let scene = Scene::new();
    let above = directory(&scene, "above");
    let bind =
        || BoundSocket::bind(&scene.path("above/inner/x.sock"), SocketAccess { mode: 0o600, owner: None, group: None });
    directory(&scene, "above/inner");
    chown(&above, Some(STRANGER), None).unwrap();
    assert!(bind().expect_err("must be refused").to_string().contains("/above: owned by uid 61001"));
    chown(&above, Some(0), Some(FOREIGN_GROUP)).unwrap();
    mode(&above, 0o775);
    let error = bind().expect_err("must be refused").to_string();
    assert!(error.contains("/above: mode 0775: group 61002 could replace the socket"), "{error}");
}

#[test]
fn an_untrusted_state_directory_or_log_stops_the_start() {
    let scene = Scene::new();
    let state = directory(&scene, "state");
    let options = || scene.options(&own_rule("ME"));
    let fails = |options: AgentOptions| Agent::start(options).err().unwrap();
    mode(&state, 0o777);
    // Others could remove the kill switch.
    let error = fails(options().state_dir(&state).control_socket(scene.path("control.sock")));
    assert!(matches!(error, AgentError::KillSwitch(_)), "{error}");
    assert!(error.to_string().contains("chmod go-w"), "{error}");
    let error = fails(options().audit_log(AuditLogOptions::new(state.join("audit.jsonl")))).to_string();
    assert!(error.contains("/state: mode 0777"), "{error}");
    mode(&state, 0o700);
    Agent::start(options().state_dir(&state).audit_log(AuditLogOptions::new(state.join("audit.jsonl")))).unwrap();
}

#[test]
fn a_bundle_of_another_user_is_not_taken() {
    if !is_root("a file of another user") {
        return;
    }
    let scene = Scene::new();
    let partner = TrustDomain::parse("partner.org").unwrap();
    let bundle =
        || Authority::in_memory(partner.clone(), DEFAULT_CA_TTL).unwrap().bundle().unwrap().x509_bundle().to_pem();
    let foreign = directory(&scene, "foreign");
    scene.write("foreign/partner.pem", &bundle());
    symlink("foreign/partner.pem", scene.path("partner.pem")).unwrap();
    let rules = format!(
        "[workload_api]\ntrust_domain = \"example.org\"\n\
         [workload_api.federates_with.\"partner.org\"]\nbundle_file = \"{}\"\n{}",
        scene.path("partner.pem").display(),
        own_rule("ME")
    );
    let start = || {
        let options = scene.options(&rules).state_in_memory().workload_socket(scene.path("workload.sock"));
        Agent::start(options.reload_interval(Duration::from_millis(20))).unwrap()
    };
    let agent = start();
    eventually("the bundle is taken", || agent.foreign_bundle(&partner).is_some());
    agent.close();
    chown(&foreign, Some(STRANGER), None).unwrap();
    let agent = start();
    std::thread::sleep(Duration::from_millis(200));
    assert!(agent.foreign_bundle(&partner).is_none());
    chown(&foreign, Some(0), None).unwrap();
    scene.write("foreign/partner.pem", &bundle());
    eventually("the bundle is taken", || agent.foreign_bundle(&partner).is_some());
}

#[test]
fn a_reload_refuses_what_the_audit_calls_high() {
    if !is_root("a file of another user") {
        return;
    }
    let scene = Scene::new();
    let above = directory(&scene, "above");
    let path = scene.write("above/rules.toml", &own_rule("FIRST"));
    let options = AgentOptions::default()
        .rules_file(&path)
        .socket(scene.socket())
        .control_socket(scene.path("control.sock"))
        .reload_interval(Duration::from_secs(3600));
    let agent = Agent::start(options).unwrap();
    let failures = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&failures);
    agent.observe(move |event| {
        if let AgentEvent::ReloadFailed { error } = event {
            seen.lock().unwrap().push(error.clone());
        }
    });
    let audit = || {
        let mut client = ControlClient::connect(scene.path("control.sock")).unwrap();
        let report = client.request(&Verb::Audit { deep: false, fix: false, json: false }).unwrap();
        let report: AuditReport = serde_json::from_value(Value::Object(report)).unwrap();
        let about_rules = |id: &str| id.starts_with("CS-FILE-001") || id.starts_with("CS-FILE-002");
        report.findings.iter().filter(|finding| about_rules(&finding.id)).map(|finding| finding.severity).collect()
    };
    let none: Vec<Severity> = audit();
    assert!(none.is_empty(), "{none:?}");

    scene.write("above/rules.toml", &own_rule("PLANTED"));
    chown(&above, Some(STRANGER), None).unwrap();
    let found: Vec<Severity> = audit();
    assert_eq!(found, [Severity::High]);
    assert!(agent.reload().unwrap_err().to_string().contains("/above: owned by uid 61001"));
    assert_eq!(scene.ask(b"")["identity"], "FIRST");
    assert_eq!(failures.lock().unwrap().len(), 1);

    chown(&above, Some(0), None).unwrap();
    agent.reload().unwrap();
    assert_eq!(scene.ask(b"")["identity"], "PLANTED");
    let none: Vec<Severity> = audit();
    assert!(none.is_empty(), "{none:?}");
}
