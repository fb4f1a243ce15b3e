//! The program `countersign-agent`: its command line, its signals, its service manager.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod agent_scene;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};
use std::time::Duration;

use agent_scene::{Daemon, Scene, eventually, exists, own_rule};
use countersign::agent::{Agent, AgentOptions};

/// The SPIFFE IDs this process gets from a Workload API.
fn fetched(socket: &str) -> Vec<String> {
    use countersign::spiffe::workload_api::{Endpoint, WorkloadApiClient};
    let client = WorkloadApiClient::new(Endpoint::parse(&format!("unix:{socket}")).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let context = runtime.block_on(client.fetch_x509_context()).unwrap();
    context.svids.iter().map(|svid| svid.spiffe_id().to_string()).collect()
}

fn start(scene: &Scene, rules: &str, args: &[&str]) -> Daemon {
    let rules = scene.write("rules.toml", rules);
    let mut command = Daemon::command();
    command.arg("--rules").arg(rules).arg("--socket").arg(scene.socket()).args(args);
    let daemon = Daemon::spawn(command);
    daemon.until("listening");
    daemon
}

#[test]
fn it_answers_reloads_and_ends_in_order() {
    let scene = Scene::new();
    let daemon = start(&scene, &own_rule("FIRST"), &["--log-format", "json"]);
    assert_eq!(scene.ask(b"")["identity"], "FIRST");
    let line: serde_json::Value = serde_json::from_str(&daemon.until("vouched for")).unwrap();
    assert_eq!(line["pid"], std::process::id());
    assert_eq!(line["identity"], "FIRST");
    assert_eq!(line["code"], "ok");
    assert_eq!(line["exe"], *std::env::current_exe().unwrap().to_string_lossy());
    assert!(!line.to_string().contains("t0ken"));

    // A broken file changes nothing but the log, by itself and when asked for.
    scene.write("rules.toml", "[[rule]]\nidentity = \"BROKEN\"\nmatch = { uidd = 1 }\n");
    let line = daemon.until("rules.toml:3:11");
    assert!(line.contains("expected"), "{line}");
    daemon.signal("HUP");
    daemon.until("rules.toml:3:11");
    assert_eq!(scene.ask(b"")["identity"], "FIRST");

    scene.write("rules.toml", &own_rule("SECOND"));
    daemon.signal("HUP");
    daemon.until("rules reloaded");
    assert_eq!(scene.ask(b"")["identity"], "SECOND");
    assert_eq!(daemon.stop(), Some(0));
    assert!(!exists(&scene.socket()));
    let left: Vec<_> = fs::read_dir(scene.directory.path()).unwrap().map(|found| found.unwrap().file_name()).collect();
    assert_eq!(left, ["rules.toml"]);
}

#[test]
fn the_file_is_watched_through_renames_and_swapped_links() {
    let scene = Scene::new();
    let options = |rules: &std::path::Path| {
        AgentOptions::default().rules_file(rules).socket(scene.socket()).reload_interval(Duration::from_millis(20))
    };
    let (one, two) = (scene.write("one", &own_rule("ONE")), scene.write("two", &own_rule("TWO")));
    let link = scene.path("link");
    std::os::unix::fs::symlink(&one, &link).unwrap();
    let agent = Agent::start(options(&link)).unwrap();
    let becomes = |identity: &str| eventually(identity, || scene.ask(b"")["identity"] == identity);
    becomes("ONE");
    std::os::unix::fs::symlink(&two, scene.path("link.new")).unwrap();
    fs::rename(scene.path("link.new"), &link).unwrap();
    becomes("TWO");
    scene.write("two", &own_rule("RENAMED"));
    becomes("RENAMED");
    // Gone, and back again.
    fs::remove_file(&two).unwrap();
    std::thread::sleep(Duration::from_millis(150));
    assert!(agent.reload().is_err());
    becomes("RENAMED");
    scene.write("two", &own_rule("BACK"));
    becomes("BACK");
    assert_eq!(agent.reload().unwrap().rules, 1);
}

#[test]
fn a_second_agent_on_the_same_socket_is_refused() {
    let scene = Scene::new();
    let daemon = start(&scene, &own_rule("A"), &[]);
    let mut second = Daemon::command();
    second.arg("--rules").arg(scene.path("rules.toml")).arg("--socket").arg(scene.socket());
    let output = second.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("another process is listening"), "{said}");
    // Killed without a chance to clean up, it leaves a dead socket, which the next one replaces.
    let mut daemon = daemon;
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();
    assert!(exists(&scene.socket()));
    let _next = start(&scene, &own_rule("NEXT"), &[]);
    assert_eq!(scene.ask(b"")["identity"], "NEXT");
}

#[test]
fn running_out_of_descriptors_is_survived() {
    // A connection takes two: with one of these numbers it is the first that fails, with the other the second.
    for limit in [40, 41] {
        let scene = Scene::new();
        let rules = scene.write("rules.toml", &own_rule("A"));
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("ulimit -n {limit}; exec \"$@\""));
        command.args(["sh", env!("CARGO_BIN_EXE_countersign-agent"), "--grace-ms", "1500", "--rules"]);
        let daemon = Daemon::spawn({
            command.arg(rules).arg("--socket").arg(scene.socket());
            command
        });
        daemon.until("listening");
        let crowd: Vec<_> = (0..60).map(|_| scene.connect()).collect();
        daemon.until("Too many open files");
        drop(crowd);
        eventually("it answers again", || scene.ask(b"")["status"] == "ok");
        assert_eq!(daemon.stop(), Some(0));
    }
}

#[test]
fn a_queue_of_clients_is_answered_by_more_than_one_thread() {
    let cores = std::thread::available_parallelism().unwrap().get();
    for (asked, threads) in [("1", 1), ("2", 2.min(cores)), ("64", cores.min(64))] {
        let scene = Scene::new();
        let daemon = start(&scene, &own_rule("A"), &["--threads", asked]);
        let pid = daemon.child.id();
        // How often each of the threads that answer has gone to rest.
        let rests = || -> Vec<u64> {
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|task| task.unwrap());
            let answering = tasks.filter(|task| *task.file_name() != *pid.to_string());
            let status = answering.map(|task| fs::read_to_string(task.path().join("status")).unwrap());
            let line = |status: String| {
                status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok())
            };
            status.filter_map(line).collect()
        };
        eventually("all threads are there", || rests().len() == threads);
        let before = rests();
        eventually("each thread was called, and went back to rest", || {
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| (0..50).for_each(|_| assert_eq!(scene.ask(b"{}")["status"], "ok")));
                }
            });
            rests().iter().zip(&before).all(|(now, before)| *now > before + 1)
        });
        assert_eq!(rests().len(), threads);
        assert_eq!(daemon.stop(), Some(0));
    }
}

#[test]
fn a_socket_of_the_service_manager_is_used_and_left_alone() {
    let scene = Scene::new();
    let rules = scene.write("rules.toml", &own_rule("ACTIVATED"));
    let socket = UnixListener::bind(scene.socket()).unwrap();
    let notices = UnixDatagram::bind(scene.path("notify")).unwrap();
    notices.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let heard = |part: &str| {
        let mut buffer = [0; 4096];
        let length = notices.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(text.contains(part), "{text}");
    };
    // Standard input is moved to where the protocol wants it, and the pid is that of the program to be.
    let mut command = Command::new("sh");
    command.args(["-c", "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"", "sh"]);
    command.arg(env!("CARGO_BIN_EXE_countersign-agent")).arg("--rules").arg(rules);
    command.env("NOTIFY_SOCKET", scene.path("notify"));
    command.stdin(std::os::fd::OwnedFd::from(socket.try_clone().unwrap()));
    let daemon = Daemon::spawn(command);
    heard("READY=1");
    assert_eq!(scene.ask(b"{}")["identity"], "ACTIVATED");
    daemon.signal("HUP");
    heard("RELOADING=1");
    heard("READY=1");
    assert_eq!(daemon.stop(), Some(0));
    heard("STOPPING=1");
    assert!(exists(&scene.socket()));
}

#[test]
fn the_service_manager_says_which_socket_is_which() {
    let scene = Scene::new();
    let uid = rustix::process::geteuid().as_raw();
    let svid = format!("[[rule]]\nmatch = {{ uid = {uid} }}\nspiffe_id = \"spiffe://example.org/a\"\n");
    let rules = scene.write("rules.toml", &(own_rule("ACTIVATED") + &svid));
    let whoami = UnixListener::bind(scene.socket()).unwrap();
    let workload = UnixListener::bind(scene.path("workload.sock")).unwrap();
    // They come in the other order; the names tell.
    let mut command = Command::new("sh");
    let moved =
        "exec 3<&0 4<&1 </dev/null 1>&2; LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=workload:whoami.socket exec \"$@\"";
    command.args(["-c", moved, "sh", env!("CARGO_BIN_EXE_countersign-agent"), "--rules"]).arg(rules);
    command.arg("--trust-domain").arg("example.org").arg("--state-dir").arg(scene.path("state"));
    command.stdin(std::os::fd::OwnedFd::from(workload.try_clone().unwrap()));
    command.stdout(std::os::fd::OwnedFd::from(whoami.try_clone().unwrap()));
    let daemon = Daemon::spawn(command);
    daemon.until("listening");
    assert_eq!(scene.ask(b"{}")["identity"], "ACTIVATED");
    assert_eq!(fetched(scene.path("workload.sock").to_str().unwrap()), ["spiffe://example.org/a"]);
    assert_eq!(daemon.stop(), Some(0));
    assert!(exists(&scene.socket()) && exists(&scene.path("workload.sock")));
}

#[test]
fn development_needs_no_root_and_no_rules() {
    let scene = Scene::new();
    for runtime in [Some(scene.path("run")), None] {
        let mut command = Daemon::command();
        command.arg("--dev").stdout(Stdio::piped()).env("TMPDIR", scene.directory.path());
        match &runtime {
            Some(runtime) => {
                fs::create_dir(runtime).unwrap();
                command.env("XDG_RUNTIME_DIR", runtime)
            }
            None => command.env_remove("XDG_RUNTIME_DIR"),
        };
        let mut daemon = Daemon::spawn(command);
        let mut output = BufReader::new(daemon.child.stdout.take().unwrap());
        let (mut line, mut endpoint) = (String::new(), String::new());
        output.read_line(&mut line).unwrap();
        output.read_line(&mut endpoint).unwrap();
        let endpoint = endpoint.trim_end().strip_prefix("export SPIFFE_ENDPOINT_SOCKET='unix:");
        let workload = endpoint.and_then(|rest| rest.strip_suffix('\'')).unwrap().to_owned();
        assert_eq!(fetched(&workload), ["spiffe://example.org/dev"]);
        let path = line.trim_end().strip_prefix("export WHOAMI_SOCKET='").and_then(|rest| rest.strip_suffix('\''));
        let path = path.unwrap_or_else(|| panic!("{line}")).to_owned();
        let client = getmyid::Client::builder().socket_path(&path).build();
        assert_eq!(client.get_identity().unwrap().identity, "DEV");
        use std::os::unix::fs::MetadataExt;
        let directory = std::path::Path::new(&path).parent().unwrap().to_path_buf();
        assert_eq!(fs::metadata(&directory).unwrap().mode() & 0o777, 0o700);
        daemon.until("DEV");
        assert_eq!(daemon.stop(), Some(0));
        assert_eq!(exists(&directory), runtime.is_some());
    }
}

#[test]
fn a_host_may_narrow_development_to_its_own_program() {
    let scene = Scene::new();
    let agent = Agent::start(AgentOptions::dev(AgentOptions::own_exe()).socket(scene.socket())).unwrap();
    assert_eq!(scene.ask(b"")["identity"], "DEV");
    agent.close();
    let _agent = Agent::start(AgentOptions::dev(Some("/usr/bin/none".into())).socket(scene.socket())).unwrap();
    assert_eq!(scene.ask(b"")["error_code"], "E_NO_MATCH");
}

#[test]
fn the_command_line_tells_what_it_wants() {
    let run = |args: &[&str]| {
        let output = Daemon::command().args(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said)
    };
    let (code, said) = run(&["--help"]);
    assert_eq!(code, Some(0));
    assert!(said.contains("--max-connections-per-uid N") && said.contains("/var/run/whoami.sock"), "{said}");
    assert_eq!(run(&["--version"]), (Some(0), format!("countersign-agent {}\n", env!("CARGO_PKG_VERSION"))));
    for args in [&["--bogus"][..], &["--rules"], &["--socket-mode", "999"], &["extra"], &["--dev", "--rules", "x"]] {
        assert_eq!(run(args).0, Some(2), "{args:?}");
    }
    let (code, said) = run(&["--rules", "/nonexistent/rules.toml"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("/nonexistent/rules.toml: No such file"), "{said}");
}
