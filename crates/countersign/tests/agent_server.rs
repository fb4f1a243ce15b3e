//! How the agent answers every kind of client, the ill-behaved ones included.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod agent_scene;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use agent_scene::{Scene, answer, eventually, is_root, own_rule};
use countersign::agent::{Agent, WhoamiCode};

#[test]
fn guest() {
    agent_scene::be_the_guest();
}

#[test]
fn who_asks_and_half_closes_is_answered_at_once() {
    let scene = Scene::new();
    let options = scene.options(&own_rule("A")).grace(Duration::from_secs(3));
    let agent = Agent::start(options).unwrap();
    let begun = Instant::now();
    for request in [&b""[..], b"{}", b" \n", b"{\"runner\":{}}", b"{\"runner\":null}\n"] {
        let told = scene.ask(request);
        assert_eq!(told["status"], "ok", "{told}");
        assert_eq!(told["token"], "t0ken");
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(agent.stats().count(WhoamiCode::Ok), 5);
}

#[test]
fn a_complete_document_needs_no_end_of_stream() {
    let scene = Scene::new();
    let _agent = scene.start(&own_rule("A"));
    let mut stream = scene.connect();
    stream.write_all(b"{\"runner\":{\"a\":\"}\"}}").unwrap();
    let told = answer(stream);
    assert_eq!(told["runner"]["a"], "}");
}

#[test]
fn a_silent_client_is_answered_after_the_grace() {
    let scene = Scene::new();
    let options = scene.options(&own_rule("A")).grace(Duration::from_millis(80));
    let agent = Agent::start(options).unwrap();
    let begun = Instant::now();
    let told = answer(scene.connect());
    assert_eq!(told["identity"], "A");
    let waited = begun.elapsed();
    assert!((Duration::from_millis(80)..Duration::from_secs(1)).contains(&waited), "{waited:?}");
    eventually("no connection is left", || agent.stats().active == 0);
}

#[test]
fn a_request_that_comes_after_the_answer_does_not_destroy_it() {
    let scene = Scene::new();
    let _agent = Agent::start(scene.options(&own_rule("A")).grace(Duration::from_millis(1))).unwrap();
    let mut stream = scene.connect();
    std::thread::sleep(Duration::from_millis(100));
    stream.write_all(b"{\"runner\":{}}").unwrap();
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(answer(stream)["identity"], "A");
}

#[test]
fn a_request_may_come_drop_by_drop() {
    let scene = Scene::new();
    let _agent = scene.start(&own_rule("A"));
    let mut stream = scene.connect();
    for byte in b"{\"runner\":{\"zone\":\"b\"}}" {
        stream.write_all(&[*byte]).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(answer(stream)["runner"]["zone"], "b");
}

#[test]
fn what_the_server_says_of_a_process_cannot_be_overwritten() {
    let scene = Scene::new();
    let _agent = scene.start(&own_rule("A"));
    let told = scene.ask(
        br#"{"runner":{"identity":"ROOT","hostname":"h","process":"init","pid":1,"uid":4242,"gid":4242,"instance_id":18446744073709551615,"timestamp":null,"x":[1]}}"#,
    );
    let runner = &told["runner"];
    assert_eq!(runner["identity"], "A");
    assert_eq!(runner["pid"], std::process::id());
    assert_eq!(runner["uid"], rustix::process::geteuid().as_raw());
    assert_eq!(runner["gid"], rustix::process::getegid().as_raw());
    assert_ne!(runner["process"], "init");
    assert_ne!(runner["hostname"], "h");
    assert_eq!(runner["instance_id"], u64::MAX);
    assert!(runner.get("timestamp").is_none());
    assert_eq!(runner["x"], serde_json::json!([1]));
}

#[test]
fn what_is_no_request_is_refused() {
    let scene = Scene::new();
    let agent = scene.start(&own_rule("A"));
    let bad: [&[u8]; 12] = [
        b"hello",
        b"[]",
        b"null",
        b"{\"runner\":",
        b"{\"runner\":{}}{}",
        b"{\"runner\":{},\"runner\":{}}",
        b"{\"runner\":{\"instance_id\":1,\"instance_id\":2}}",
        b"{\"runner\":{\"instance_id\":-1}}",
        b"{\"runner\":{\"a\":\"\xff\"}}",
        b"\xef\xbb\xbf{}",
        b"{}\0",
        b"\0",
    ];
    for request in bad {
        let told = scene.ask(request);
        assert_eq!(told["error_code"], "E_BAD_REQUEST", "{} {told}", String::from_utf8_lossy(request));
    }
    assert_eq!(agent.stats().count(WhoamiCode::BadRequest), bad.len() as u64);
}

#[test]
fn a_request_has_a_limit() {
    let scene = Scene::new();
    let _agent = scene.start(&own_rule("A"));
    let request = |length: usize| {
        let frame = "{\"runner\":{\"a\":\"\"}}".len();
        format!("{{\"runner\":{{\"a\":\"{}\"}}}}", "x".repeat(length - frame))
    };
    assert_eq!(scene.ask(request(64 * 1024).as_bytes())["status"], "ok");
    assert_eq!(scene.ask(request(64 * 1024 + 1).as_bytes())["error_code"], "E_TOO_LARGE");
    assert_eq!(scene.ask(request(1024 * 1024).as_bytes())["error_code"], "E_TOO_LARGE");
    // One that never comes to an end is no reason to listen forever.
    let mut stream = scene.connect();
    let chunk = vec![b' '; 64 * 1024];
    let begun = Instant::now();
    while stream.write_all(&chunk).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn a_connection_has_a_time_limit() {
    let scene = Scene::new();
    let options = scene.options(&own_rule("A")).connection_timeout(Duration::from_millis(200));
    let agent = Agent::start(options).unwrap();
    let mut stream = scene.connect();
    stream.write_all(b"{\"runner\"").unwrap();
    let mut drip = stream.try_clone().unwrap();
    let dripping = std::thread::spawn(move || {
        while drip.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let begun = Instant::now();
    assert_eq!(answer(stream.try_clone().unwrap())["error_code"], "E_TIMEOUT");
    assert!(begun.elapsed() < Duration::from_secs(2));
    // It goes on and on: in the end nobody listens any more.
    dripping.join().unwrap();
    eventually("no connection is left", || agent.stats().active == 0);
}

#[test]
fn clients_that_leave_early_leave_nothing_behind() {
    let scene = Scene::new();
    let agent = scene.start(&own_rule("A"));
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    scene.ask(b"{}");
    let before = descriptors();
    for _ in 0..200 {
        drop(scene.connect());
        let mut asks = scene.connect();
        asks.write_all(b"{\"runner\":{}}").unwrap();
        drop(asks);
        let mut stops = scene.connect();
        stops.write_all(b"{\"run").unwrap();
        drop(stops);
    }
    eventually("no connection is left", || agent.stats().active == 0);
    // Other tests of this process open and close theirs meanwhile.
    eventually("no descriptor is left", || descriptors() < before + 100);
    assert_eq!(scene.ask(b"{}")["status"], "ok");
}

#[test]
fn too_many_at_once_are_told_so() {
    let scene = Scene::new();
    let options = scene.options(&own_rule("A")).connections(40, 30).grace(Duration::from_secs(60));
    let agent = Agent::start(options.connection_timeout(Duration::from_secs(60))).unwrap();
    let mut waiting: Vec<UnixStream> = (0..30).map(|_| scene.connect()).collect();
    eventually("all wait", || agent.stats().active == 30);
    assert_eq!(answer(scene.connect())["error_code"], "E_BUSY");
    // Who can be answered on the spot takes nobody's place.
    let told = (0..50).map(|_| scene.ask(b"{}")).filter(|told| told["status"] == "ok").count();
    assert!(told > 0);
    if is_root("the limit of another user") {
        let told = scene.guest(&["--reuid", "1001", "--regid", "1001", "--clear-groups"], 10);
        assert_eq!(told["error_code"], "E_BUSY");
    }
    drop(waiting.split_off(10));
    eventually("places are free again", || agent.stats().active == 10);
    assert!(agent.stats().count(WhoamiCode::Busy) >= 1);
}

#[test]
fn a_thousand_at_once_are_all_answered() {
    let scene = Scene::new();
    let agent = Agent::start(scene.options(&own_rule("A")).connections(4096, 4096)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut streams: Vec<UnixStream> = (0..100).map(|_| scene.connect()).collect();
                for stream in &mut streams[..50] {
                    stream.write_all(b"{\"runner\":{}}").unwrap();
                    stream.shutdown(Shutdown::Write).unwrap();
                }
                for stream in streams {
                    assert_eq!(answer(stream)["status"], "ok");
                }
            });
        }
    });
    eventually("no connection is left", || agent.stats().active == 0);
    assert_eq!(agent.stats().count(WhoamiCode::Ok), 400);
}

#[test]
fn rules_see_the_kernels_view_of_other_users() {
    if !is_root("other users") {
        return;
    }
    let scene = Scene::new();
    let _agent = scene.start(
        "[[rule]]\nidentity = \"GROUP\"\nmatch = { group = 4711 }\n[[rule]]\nidentity = \"USER\"\nmatch = { uid = 1001 }\n[[rule]]\nidentity = \"ROOT\"\nmatch = { user = \"root\" }\n",
    );
    let ask_as = |args: &[&str]| scene.guest(args, 0);
    assert_eq!(ask_as(&["--clear-groups"])["identity"], "ROOT");
    let told = ask_as(&["--reuid", "1001", "--regid", "1001", "--clear-groups"]);
    assert_eq!(told["identity"], "USER");
    assert_eq!(told["runner"]["process"], "guest");
    assert_eq!((told["runner"]["uid"].as_u64(), told["runner"]["gid"].as_u64()), (Some(1001), Some(1001)));
    assert_eq!(ask_as(&["--reuid", "1001", "--regid", "1001", "--groups", "4711"])["identity"], "GROUP");
    let told = ask_as(&["--reuid", "1002", "--regid", "1001", "--clear-groups"]);
    assert_eq!(told["error_code"], "E_NO_MATCH");
    assert_eq!(told["message"], "No identity rule matches process 'guest' (uid=1002)");
}

#[test]
fn a_hash_is_computed_without_holding_up_others() {
    let scene = Scene::new();
    let exe = std::env::current_exe().unwrap();
    let hash = Command::new("sha256sum").arg(&exe).output().unwrap().stdout;
    let hash = String::from_utf8_lossy(&hash[..64]).into_owned();
    let zero = "0".repeat(64);
    let rules = format!(
        "[[rule]]\nidentity = \"NO\"\nmatch = {{ exe_sha256 = \"{zero}\" }}\n[[rule]]\nidentity = \"HASH\"\nmatch = {{ exe_sha256 = \"{hash}\", uid = {} }}\n",
        rustix::process::geteuid().as_raw()
    );
    let _agent = scene.start(&rules);
    for request in [&b""[..], b"{\"runner\":{\"zone\":\"b\"}}"] {
        assert_eq!(scene.ask(request)["identity"], "HASH");
    }
    assert_eq!(scene.ask(b"{\"runner\":{\"zone\":\"b\"}}")["runner"]["zone"], "b");
}

#[test]
fn a_token_file_is_read_for_every_answer() {
    let scene = Scene::new();
    let token = scene.write("token", "first\n");
    let uid = rustix::process::geteuid().as_raw();
    let agent = scene.start(&format!(
        "[[rule]]\nidentity = \"A\"\nmatch = {{ uid = {uid} }}\ntoken_file = \"{}\"\n",
        token.display()
    ));
    assert_eq!(scene.ask(b"")["token"], "first");
    scene.write("token", "second");
    assert_eq!(scene.ask(b"")["token"], "second");
    std::fs::remove_file(&token).unwrap();
    let told = scene.ask(b"");
    assert_eq!(told["error_code"], "E_INTERNAL");
    // The client is told nothing about our files.
    assert!(!told.to_string().contains("token\""), "{told}");
    assert!(!told.to_string().contains(&*scene.directory.path().to_string_lossy()), "{told}");
    assert_eq!(agent.stats().count(WhoamiCode::Internal), 1);
}

#[test]
fn closing_answers_who_has_come_and_removes_the_socket() {
    let scene = Scene::new();
    let agent = Agent::start(scene.options(&own_rule("A")).grace(Duration::from_millis(100))).unwrap();
    let waiting: Vec<UnixStream> = (0..20).map(|_| scene.connect()).collect();
    agent.close();
    agent.close();
    assert!(!agent_scene::exists(&scene.socket()));
    assert!(!agent_scene::exists(&scene.path(".whoami.sock.lock")));
    for stream in waiting {
        assert_eq!(answer(stream)["status"], "ok");
    }
    assert_eq!(agent.stats().active, 0);
    assert!(agent.reload().is_ok());
}

#[test]
fn a_client_that_does_not_read_is_given_up() {
    let scene = Scene::new();
    let uid = rustix::process::geteuid().as_raw();
    let token = scene.write("token", &"x".repeat(64 * 1024));
    let rules =
        format!("[[rule]]\nidentity = \"A\"\nmatch = {{ uid = {uid} }}\ntoken_file = \"{}\"\n", token.display());
    let agent = scene.start(&rules);
    let mut stream = scene.connect();
    stream.write_all(format!("{{\"runner\":{{\"a\":\"{}\"}}}}", "x".repeat(60_000)).as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let told: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(told["token"].as_str().map(str::len), Some(64 * 1024));
    drop(stream);
    eventually("no connection is left", || agent.stats().active == 0);
}
