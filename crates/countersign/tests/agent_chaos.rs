//! The agent is ended by force under load, again and again: its log always verifies, up to the last line that is known to
//! have been on the disk and beyond, and the next agent goes on with it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod agent_scene;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use agent_scene::{Scene, own_rule};
use countersign::control::log::{Segment, VerifyOptions, segments, verify};

const ROUNDS: u64 = 200;

fn spawn(scene: &Scene, sync: bool) -> Child {
    let _ = fs::remove_file(scene.socket());
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign-agent"));
    command.arg("--rules").arg(scene.path("rules.toml")).arg("--socket").arg(scene.socket());
    command.arg("--audit-log").arg(scene.path("audit.jsonl"));
    // Small files, so that many a round ends in the middle of a change of files.
    command.args(["--log-level", "off", "--log-max-mib", "1", "--log-keep", "2"]);
    if sync {
        command.arg("--log-sync");
    }
    let child = command.stdout(Stdio::null()).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    while UnixStream::connect(scene.socket()).is_err() {
        assert!(Instant::now() < end, "the agent does not start");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

/// Asks until it is ended, and counts who was told who it is.
fn load(socket: PathBuf, over: Arc<AtomicBool>, told: Arc<AtomicU64>) {
    while !over.load(Ordering::Relaxed) {
        let Ok(mut stream) = UnixStream::connect(&socket) else { continue };
        let _ = stream.write_all(b"{}");
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let whole = stream.read_to_end(&mut answer).is_ok() && answer.ends_with(b"}");
        if whole && answer.starts_with(b"{\"identity\"") {
            told.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// How many were told who they are, as the files that are there say, and of how many the oldest of them are gone.
fn written(log: &Path) -> u64 {
    let files = segments(log).unwrap();
    let count = |Segment { path, .. }: &Segment| {
        fs::read_to_string(path).unwrap().lines().filter(|line| line.contains("\"code\":\"ok\"")).count() as u64
    };
    files.iter().map(count).sum()
}

#[test]
fn killed_two_hundred_times_under_load_its_log_verifies_every_time() {
    let scene = Scene::new();
    scene.write("rules.toml", &own_rule("ME"));
    let log = scene.path("audit.jsonl");
    let mut last = 0;
    let mut torn = 0;
    for round in 0..ROUNDS {
        // Every fourth time no answer may leave before its line is on the disk.
        let sync = round % 4 == 3;
        let mut agent = spawn(&scene, sync);
        let before = written(&log);
        let (over, told) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients: Vec<_> = (0..3)
            .map(|_| {
                let (socket, over, told) = (scene.socket(), Arc::clone(&over), Arc::clone(&told));
                std::thread::spawn(move || load(socket, over, told))
            })
            .collect();
        // Some before the first line is gathered, some after the disk was told.
        std::thread::sleep(Duration::from_millis(1 + round * 37 % 120));
        agent.kill().unwrap();
        agent.wait().unwrap();
        over.store(true, Ordering::Relaxed);
        clients.into_iter().for_each(|client| client.join().unwrap());
        let verified = verify(&log, &VerifyOptions::default()).unwrap_or_else(|error| panic!("round {round}: {error}"));
        let head = verified.head.as_ref().unwrap();
        assert!(head.at.seq <= verified.last.seq && verified.signed >= head.at.seq, "round {round}: {verified:?}");
        // Some are ended before they have said anything.
        assert!(verified.last.seq >= last, "round {round}: the log goes on");
        last = verified.last.seq;
        torn += u64::from(verified.torn > 0);
        if sync {
            let after = written(&log);
            let told = told.load(Ordering::Relaxed);
            // Unless old files were removed meanwhile, which takes thousands of lines.
            let removed = after < before;
            assert!(
                removed || after - before >= told,
                "round {round}: {told} were told, {} are in the log",
                after - before
            );
        }
    }
    let text = fs::read_dir(scene.directory.path()).unwrap();
    let aside = text.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("broken-")).count();
    assert_eq!(aside, 0, "no log was set aside");
    println!("{ROUNDS} rounds, {last} lines, {torn} torn ends");
}
