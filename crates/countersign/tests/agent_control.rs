//! The operator's side of a running agent: verbs, who may ask for them, the kill switch, the audit log and its failures.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod agent_scene;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use agent_scene::{Scene, own_rule};
use countersign::agent::{Agent, AgentOptions, AuditLogOptions};
use countersign::control::log::{VerifyOptions, verify};
use countersign::control::{Alert, AuditReport, ControlClient, ControlError, Severity, Verb};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

fn controlled(scene: &Scene) -> AgentOptions {
    scene.options(&own_rule("ME")).control_socket(scene.path("control.sock")).state_dir(scene.path("state"))
}

fn logged(scene: &Scene) -> AgentOptions {
    controlled(scene).audit_log(AuditLogOptions::new(scene.path("audit.jsonl")))
}

fn client(scene: &Scene) -> ControlClient {
    ControlClient::connect(scene.path("control.sock")).unwrap().with_timeout(Some(PATIENCE))
}

#[track_caller]
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn code_of(error: ControlError) -> String {
    match error {
        ControlError::Refused { code, .. } => code,
        other => panic!("{other}"),
    }
}

fn lines(scene: &Scene) -> Vec<Value> {
    let text = fs::read_to_string(scene.path("audit.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn verbs_are_answered_over_the_real_thing() {
    let scene = Scene::new();
    let agent = Agent::start(logged(&scene)).unwrap();
    let mode = fs::metadata(agent.control_socket_path().unwrap()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut client = client(&scene);
    assert_eq!(client.request(&Verb::Ping).unwrap()["value"], "pong");
    assert_eq!(scene.ask(b"{}")["identity"], "ME");
    scene.ask(b"not json");
    let status = client.request(&Verb::Status).unwrap();
    assert_eq!((&status["running"], &status["rules"], &status["killSwitch"]), (&json!(true), &json!(1), &Value::Null));
    assert_eq!((&status["answered"]["ok"], &status["answered"]["E_BAD_REQUEST"]), (&json!(1), &json!(1)));
    until("callers are counted", || {
        client.request(&Verb::Status).unwrap()["callers"].as_array().is_some_and(|rows| rows.len() == 2)
    });
    let metrics = client.request(&Verb::Metrics).unwrap()["text"].as_str().unwrap().to_owned();
    assert!(metrics.contains("countersign_answers_total{code=\"ok\"} 1\n"), "{metrics}");
    let report = client.request(&Verb::Audit { deep: true, fix: false, json: true }).unwrap();
    let report: AuditReport = serde_json::from_value(Value::Object(report)).unwrap();
    assert!(report.score <= 100);
    assert_eq!(client.request(&Verb::ReloadPolicy).unwrap()["rules"], 1);
    let alerts = client.request(&Verb::Alerts { limit: Some(1000) }).unwrap();
    let alerts: Vec<Alert> = serde_json::from_value(alerts["alerts"].clone()).unwrap();
    assert!(alerts.iter().any(|alert| alert.message.contains("E_BAD_REQUEST")), "{alerts:?}");
    agent.close();
    assert!(!scene.path("control.sock").exists());
    let verified = verify(&scene.path("audit.jsonl"), &VerifyOptions::default()).unwrap();
    assert_eq!(verified.signed + 1, verified.last.seq + 1);
    let events: Vec<String> = lines(&scene).iter().map(|line| line["event"].as_str().unwrap().to_owned()).collect();
    for wanted in ["begin", "started", "answered", "operatorRequest", "stopped", "signed"] {
        assert!(events.iter().any(|event| event == wanted), "{wanted} in {events:?}");
    }
    assert!(!fs::read_to_string(scene.path("audit.jsonl")).unwrap().contains("t0ken"), "no secret is in it");
}

#[test]
fn a_pipelined_mess_is_answered_line_by_line() {
    let scene = Scene::new();
    let _agent = Agent::start(controlled(&scene)).unwrap();
    let mut stream = UnixStream::connect(scene.path("control.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"{\"type\":\"ping\",\"id\":1}\n\n{\"type\":\"nonsense\",\"id\":\"x\"}\n\xff\xfe\n{\"type\":\"ping\",\"id\":2}").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let replies: Vec<Value> =
        BufReader::new(stream).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let kinds: Vec<(&str, &Value)> =
        replies.iter().map(|reply| (reply["type"].as_str().unwrap(), &reply["id"])).collect();
    assert_eq!(
        kinds,
        [("ok", &json!(1)), ("err", &Value::Null), ("err", &json!("x")), ("err", &Value::Null), ("ok", &json!(2))]
    );
    // A line without an end is not read for ever.
    let mut stream = UnixStream::connect(scene.path("control.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(&vec![b'x'; 70_000]);
    let mut said = String::new();
    BufReader::new(stream).read_line(&mut said).unwrap();
    assert!(said.contains("E_TOO_LARGE"), "{said}");
}

/// In a copy of this program that runs as somebody else: asks for everything.
#[test]
fn guest() {
    let Some(socket) = std::env::var_os("GUEST_CONTROL") else { return };
    let mut client = match ControlClient::connect(&socket) {
        Ok(client) => client.with_timeout(Some(PATIENCE)),
        Err(error) => return println!("\nTOLD {}", json!({ "connect": error.to_string() })),
    };
    let told: Vec<Value> = verbs()
        .iter()
        .map(|verb| {
            let code = match client.request(verb) {
                Ok(_) => "ok".to_owned(),
                Err(error) => code_of(error),
            };
            json!([verb.name(), verb.writes(), code])
        })
        .collect();
    println!("\nTOLD {}", json!(told));
}

fn verbs() -> Vec<Verb> {
    let audit = |fix| Verb::Audit { deep: false, fix, json: false };
    vec![
        Verb::Ping,
        Verb::Status,
        Verb::Alerts { limit: None },
        Verb::Subscribe { after: None },
        Verb::Metrics,
        audit(false),
        audit(true),
        Verb::ReloadPolicy,
        Verb::Kill { reason: None },
        Verb::Resume,
    ]
}

fn send_guest(scene: &Scene, uid: u32) -> Value {
    let program = scene.path("guest");
    if !program.exists() {
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let output = Command::new("setpriv")
        .args([&format!("--reuid={uid}"), &format!("--regid={uid}"), "--clear-groups"])
        .arg(&program)
        .args(["--exact", "guest", "--nocapture"])
        .env("GUEST_CONTROL", scene.path("control.sock"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = said.lines().find_map(|line| line.strip_prefix("TOLD "));
    serde_json::from_str(told.unwrap_or_else(|| panic!("{said} {}", String::from_utf8_lossy(&output.stderr)))).unwrap()
}

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED: other users take root");
    }
    root
}

#[test]
fn strangers_are_refused_every_verb_and_readers_those_that_write() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let agent = Agent::start(controlled(&scene)).unwrap();
    // 0600: who has no business here does not even get through.
    assert!(send_guest(&scene, 4242)["connect"].is_string());
    agent.close();

    let agent = Agent::start(logged(&scene).control_readers([4243]).control_writers([4244])).unwrap();
    for (uid, reads, writes) in [(4242, "E_DENIED", "E_DENIED"), (4243, "ok", "E_DENIED"), (4244, "ok", "ok")] {
        let told = send_guest(&scene, uid);
        let told = told.as_array().unwrap();
        assert_eq!(told.len(), verbs().len());
        for row in told {
            let expected = if row[1] == true { writes } else { reads };
            assert_eq!(row[2], expected, "uid {uid}: {row}");
        }
        // What was refused was not done.
        assert!(!agent.is_killed());
    }
    agent.close();
    let refused = |uid: u32| {
        lines(&scene)
            .iter()
            .filter(|line| line["event"] == "operatorRequest" && line["uid"] == uid && line["code"] == "E_DENIED")
            .count()
    };
    assert_eq!((refused(4242), refused(4243), refused(4244)), (10, 4, 0), "and it is in the log");
}

#[test]
fn the_kill_switch_outlives_the_agent_until_it_is_resumed() {
    let scene = Scene::new();
    let agent = Agent::start(logged(&scene)).unwrap();
    assert_eq!(scene.ask(b"{}")["identity"], "ME");
    let killed = client(&scene).request(&Verb::Kill { reason: Some("stolen laptop".into()) }).unwrap();
    assert_eq!((&killed["killed"], &killed["persistent"]), (&json!(true), &json!(true)));
    assert_eq!(scene.ask(b"{}")["error_code"], "E_KILLED");
    agent.close();
    let agent = Agent::start(logged(&scene)).unwrap();
    assert_eq!(scene.ask(b"{}")["error_code"], "E_KILLED");
    let status = client(&scene).request(&Verb::Status).unwrap();
    assert_eq!(status["killSwitch"]["reason"], "stolen laptop");
    assert_eq!(status["vouching"], false);
    let resumed = client(&scene).request(&Verb::Resume).unwrap();
    assert_eq!(resumed["wasKilled"], true);
    assert_eq!(client(&scene).request(&Verb::Resume).unwrap()["wasKilled"], false);
    assert_eq!(scene.ask(b"{}")["identity"], "ME");
    agent.close();
    let log = lines(&scene);
    let at = |event: &str| log.iter().position(|line| line["event"] == event).unwrap();
    let (killed, resumed) = (at("killed"), at("resumed"));
    assert!(log[killed]["reason"] == "stolen laptop" && log[killed]["by"].as_str().unwrap().contains("uid"));
    // Between the two nobody was vouched for.
    assert!(log[killed..resumed].iter().all(|line| line["code"] != "ok" || line["event"] == "operatorRequest"));
}

#[test]
fn a_kill_that_cannot_be_written_down_kills_all_the_same() {
    let scene = Scene::new();
    let agent = Agent::start(controlled(&scene)).unwrap();
    fs::write(scene.path("state"), "in the way").unwrap();
    let error = client(&scene).request(&Verb::Kill { reason: None }).unwrap_err();
    assert_eq!(code_of(error), "E_STATE");
    assert!(agent.is_killed());
    assert_eq!(scene.ask(b"{}")["error_code"], "E_KILLED");
}

#[test]
fn subscribers_hear_of_what_happens_and_of_what_they_missed() {
    let scene = Scene::new();
    let agent = Agent::start(controlled(&scene)).unwrap();
    let mut subscription = client(&scene).subscribe(None).unwrap();
    let next = |subscription: &mut countersign::control::Subscription| {
        subscription.next_alert_within(Some(PATIENCE)).unwrap().unwrap()
    };
    scene.ask(b"not json");
    let heard = |subscription: &mut countersign::control::Subscription, what: &str| loop {
        let alert = next(subscription);
        if alert.message.contains(what) {
            return alert;
        }
    };
    let first = heard(&mut subscription, "E_BAD_REQUEST");
    client(&scene).request(&Verb::Kill { reason: Some("why not".into()) }).unwrap();
    let kill = heard(&mut subscription, "why not");
    assert_eq!(kill.severity, Severity::Critical);
    client(&scene).request(&Verb::Resume).unwrap();
    assert!(agent.replace_rules("nonsense").is_err());
    assert_eq!(heard(&mut subscription, "not taken").severity, Severity::High);
    // Who comes later and knows the first hears of all that came after.
    let mut late = client(&scene).subscribe(first.seq).unwrap();
    assert_eq!(next(&mut late).seq, first.seq.map(|seq| seq + 1));
    agent.close();
    heard(&mut subscription, "the agent stops");
    assert!(subscription.next_alert_within(Some(PATIENCE)).unwrap().is_none());
}

#[test]
fn somebody_who_does_not_read_holds_up_nobody() {
    let scene = Scene::new();
    let _agent = Agent::start(controlled(&scene)).unwrap();
    let mut deaf = UnixStream::connect(scene.path("control.sock")).unwrap();
    deaf.write_all(b"{\"type\":\"subscribe\"}\n").unwrap();
    // More status than a socket holds, and none of it read.
    let mut flood = UnixStream::connect(scene.path("control.sock")).unwrap();
    flood.set_nonblocking(true).unwrap();
    while flood.write(b"{\"type\":\"status\"}\n").is_ok() {}
    for _ in 0..200 {
        assert_eq!(scene.ask(b"{}")["identity"], "ME");
    }
    assert_eq!(client(&scene).request(&Verb::Ping).unwrap()["value"], "pong");
}

#[test]
fn an_audit_finds_what_is_open_and_repairs_modes_only() {
    let scene = Scene::new();
    let token = scene.write("token", "secret\n");
    let rules = format!(
        "{}[[rule]]\nidentity = \"BROAD\"\nmatch = {{ uid = 1 }}\ntoken_file = \"{}\"\n[[rule]]\nidentity = \"AGAIN\"\nmatch = {{ uid = 1 }}\n[[rule]]\nidentity = \"SPOOFED\"\nmatch = {{ process = \"x\" }}\nallow_spoofable = true\n",
        own_rule("ME"),
        token.display()
    );
    let options = scene.options(&rules).control_socket(scene.path("control.sock"));
    let _agent = Agent::start(options.audit_log(AuditLogOptions::new(scene.path("audit.jsonl")))).unwrap();
    let mut client = client(&scene);
    let mut audit = |fix| {
        let report = client.request(&Verb::Audit { deep: true, fix, json: false }).unwrap();
        serde_json::from_value::<AuditReport>(Value::Object(report)).unwrap()
    };
    let severity = |report: &AuditReport, id: &str| {
        report.findings.iter().find(|finding| finding.id == id).map(|finding| finding.severity)
    };
    let clean = audit(false);
    for (id, expected) in [
        ("CS-RULE-001", Some(Severity::High)),
        ("CS-RULE-003", Some(Severity::Medium)),
        ("CS-RULE-004", Some(Severity::Medium)),
        ("CS-TOKEN-001", None),
        ("CS-KEY-001", None),
        ("CS-SOCK-001", None),
    ] {
        assert_eq!(severity(&clean, id), expected, "{id}: {clean:?}");
    }
    let open = |name: &str| fs::set_permissions(scene.path(name), fs::Permissions::from_mode(0o644)).unwrap();
    ["token", "audit.jsonl.key", "control.sock"].into_iter().for_each(open);
    let found = audit(false);
    assert_eq!(severity(&found, "CS-TOKEN-001"), Some(Severity::High));
    assert_eq!(severity(&found, "CS-KEY-001"), Some(Severity::Critical));
    assert_eq!(severity(&found, "CS-SOCK-001"), Some(Severity::High));
    assert!(found.score < clean.score && found.summary.auto_fixable >= 3, "{found:?}");
    let fixed = audit(true);
    assert_eq!(severity(&fixed, "CS-KEY-001"), Some(Severity::Info));
    for name in ["token", "audit.jsonl.key", "control.sock"] {
        let mode = fs::metadata(scene.path(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
    assert_eq!(fs::read_to_string(token).unwrap(), "secret\n");
    let after = audit(false);
    assert_eq!((severity(&after, "CS-KEY-001"), after.score), (None, clean.score));
}

struct Daemon {
    child: Child,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The agent as a program of its own, whose files may not grow beyond so many bytes.
fn limited(scene: &Scene, bytes: u64, more: &[&str]) -> Daemon {
    scene.write("rules.toml", &own_rule("ME"));
    let log = scene.path("audit.jsonl");
    let child = Command::new("prlimit")
        .args([&format!("--fsize={bytes}:unlimited"), "env", "--ignore-signal=XFSZ"])
        .arg(env!("CARGO_BIN_EXE_countersign-agent"))
        .args([
            "--rules".as_ref(),
            scene.path("rules.toml").as_os_str(),
            "--socket".as_ref(),
            scene.socket().as_os_str(),
        ])
        .args([
            "--control-socket".as_ref(),
            scene.path("control.sock").as_os_str(),
            "--audit-log".as_ref(),
            log.as_os_str(),
        ])
        .args(["--log-level", "off"])
        .args(more)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let daemon = Daemon { child };
    until("the agent is there", || UnixStream::connect(scene.path("control.sock")).is_ok());
    daemon
}

fn lift(daemon: &Daemon) {
    let pid = daemon.child.id().to_string();
    assert!(Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:unlimited"]).status().unwrap().success());
}

fn health(scene: &Scene) -> Value {
    client(scene).request(&Verb::Status).unwrap()["auditLog"].clone()
}

#[test]
fn a_log_that_cannot_be_written_vouches_for_nobody_until_it_can() {
    let scene = Scene::new();
    let daemon = limited(&scene, 16 * 1024, &[]);
    until("the log is full", || scene.ask(b"{}")["error_code"] == "E_INTERNAL");
    assert!(health(&scene)["failing"].as_str().unwrap().contains("cannot be written"));
    assert_eq!(scene.ask(b"{}")["error_code"], "E_INTERNAL");
    // The operator is still answered, and is told.
    let alerts = client(&scene).request(&Verb::Alerts { limit: None }).unwrap();
    assert!(alerts["alerts"].as_array().unwrap().iter().any(|alert| alert["monitor"] == "audit-log"));
    lift(&daemon);
    until("it is vouched for again", || scene.ask(b"{}")["identity"] == "ME");
    let done = |health: Value| health["waiting"] == 0 && health["written"] == health["onDisk"];
    until("all of it is on the disk", || done(health(&scene)));
    drop(daemon);
    verify(&scene.path("audit.jsonl"), &VerifyOptions::default()).unwrap();
    // It says what it lacks, and who was told ok stands in it.
    let log = lines(&scene);
    assert!(log.iter().any(|line| line["event"] == "lost" && line["lost"].as_u64() > Some(0)));
}

#[test]
fn a_log_may_be_done_without_if_that_was_decided() {
    let scene = Scene::new();
    let daemon = limited(&scene, 16 * 1024, &["--log-failure", "continue"]);
    until("the log is full", || {
        assert_eq!(scene.ask(b"{}")["identity"], "ME");
        health(&scene)["failing"].is_string()
    });
    assert_eq!(scene.ask(b"{}")["identity"], "ME");
    lift(&daemon);
    until("it can be written again", || health(&scene)["failing"].is_null());
}

#[test]
fn with_log_sync_no_answer_leaves_before_its_line_is_written() {
    let scene = Scene::new();
    let log = AuditLogOptions { sync: true, ..AuditLogOptions::new(scene.path("audit.jsonl")) };
    let agent = Agent::start(controlled(&scene).audit_log(log)).unwrap();
    for asked in 1..=20 {
        assert_eq!(scene.ask(b"{}")["identity"], "ME");
        let written = lines(&scene).iter().filter(|line| line["event"] == "answered").count();
        assert_eq!(written, asked, "read right behind the answer");
    }
    agent.close();
    verify(&scene.path("audit.jsonl"), &VerifyOptions::default()).unwrap();
}

#[test]
fn full_files_are_put_away_and_the_oldest_removed() {
    let scene = Scene::new();
    let log = AuditLogOptions { max_bytes: 4096, keep: 2, ..AuditLogOptions::new(scene.path("audit.jsonl")) };
    let agent = Agent::start(controlled(&scene).audit_log(log)).unwrap();
    let files = || -> Vec<PathBuf> {
        fs::read_dir(scene.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("audit.jsonl.0"))
            .collect()
    };
    until("the oldest are removed", || {
        (0..20).for_each(|_| drop(scene.ask(b"{}")));
        let text = fs::read_to_string(scene.path("audit.jsonl")).unwrap_or_default();
        text.contains("\"event\":\"removed\"")
    });
    agent.close();
    assert!(files().len() <= 2, "{:?}", files());
    let verified = verify(&scene.path("audit.jsonl"), &VerifyOptions::default()).unwrap();
    assert!(verified.first > 1 && verified.files >= 2);
}

#[test]
fn two_agents_do_not_write_one_log_and_a_closed_one_lets_go() {
    let scene = Scene::new();
    let agent = Agent::start(logged(&scene)).unwrap();
    let other = Scene::new();
    let second = controlled(&other).audit_log(AuditLogOptions::new(scene.path("audit.jsonl")));
    assert!(Agent::start(second.clone()).is_err_and(|error| error.to_string().contains("another agent")));
    agent.close();
    drop(agent);
    Agent::start(second).unwrap().close();
}

#[test]
fn a_log_that_is_not_what_was_written_is_set_aside_and_said_to_have_been() {
    let scene = Scene::new();
    Agent::start(logged(&scene)).unwrap().close();
    let path = scene.path("audit.jsonl");
    let changed = fs::read_to_string(&path).unwrap().replacen("started", "sTarted", 1);
    fs::write(&path, changed).unwrap();
    let agent = Agent::start(logged(&scene)).unwrap();
    until("the operator is told", || {
        let alerts = client(&scene).request(&Verb::Alerts { limit: None }).unwrap();
        alerts["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .any(|alert| alert["severity"] == "CRITICAL" && alert["message"].as_str().unwrap().contains("set aside"))
    });
    agent.close();
    verify(&path, &VerifyOptions::default()).unwrap();
    assert!(lines(&scene)[0]["setAside"].as_str().unwrap().contains("broken-"));
}
