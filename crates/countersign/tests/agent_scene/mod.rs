//! What the tests of the agent stand on: a directory, an agent in it, and clients that speak raw bytes.
#![allow(dead_code, clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use countersign::agent::{Agent, AgentOptions};
use serde_json::Value;

pub struct Scene {
    pub directory: tempfile::TempDir,
}

impl Scene {
    pub fn new() -> Scene {
        let directory = tempfile::tempdir().unwrap();
        // Other users shall get through to the socket.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Scene { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn socket(&self) -> PathBuf {
        self.path("whoami.sock")
    }

    /// Writes a file that only its owner can read, in one move.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let (path, new) = (self.path(name), self.path(&format!("{name}.new")));
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&new, &path).unwrap();
        path
    }

    pub fn options(&self, rules: &str) -> AgentOptions {
        AgentOptions::default().rules_text(rules).socket(self.socket())
    }

    pub fn start(&self, rules: &str) -> Agent {
        Agent::start(self.options(rules)).unwrap()
    }

    pub fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends bytes, half-closes, and reads the answer to its end.
    pub fn ask(&self, request: &[u8]) -> Value {
        let mut stream = self.connect();
        let _ = stream.write_all(request);
        let _ = stream.shutdown(Shutdown::Write);
        answer(stream)
    }
}

/// In a copy of the test program that runs as somebody else: speaks to the socket it is told of, and prints what it
/// hears. Every test program that sends out guests has a test called `guest` that is nothing but this.
pub fn be_the_guest() {
    let Some(socket) = std::env::var_os("GUEST_SOCKET") else { return };
    let waiting: usize = std::env::var("GUEST_WAITING").map_or(0, |count| count.parse().unwrap());
    let crowd: Vec<UnixStream> = (0..waiting).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    // The last one to come is the one that is told.
    std::thread::sleep(Duration::from_millis(if crowd.is_empty() { 0 } else { 200 }));
    let stream = UnixStream::connect(&socket).unwrap();
    if crowd.is_empty() {
        stream.shutdown(Shutdown::Write).unwrap();
    }
    println!("\nTOLD {}", answer(stream));
}

impl Scene {
    /// A guest with these arguments to `setpriv`, and what it is told.
    #[track_caller]
    pub fn guest(&self, setpriv: &[&str], waiting: usize) -> Value {
        let program = self.path("guest");
        if !program.exists() {
            fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let output = Command::new("setpriv")
            .args(setpriv)
            .arg(&program)
            .args(["--exact", "guest", "--nocapture"])
            .env("GUEST_SOCKET", self.socket())
            .env("GUEST_WAITING", waiting.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = said.lines().find_map(|line| line.strip_prefix("TOLD "));
        let told = told.unwrap_or_else(|| panic!("{said} {}", String::from_utf8_lossy(&output.stderr)));
        serde_json::from_str(told).unwrap()
    }
}

/// Everything up to the end of the stream, which must be one JSON document.
#[track_caller]
pub fn answer(mut stream: UnixStream) -> Value {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&bytes)))
}

/// A rule for our own user and this very program.
pub fn own_rule(identity: &str) -> String {
    let uid = rustix::process::geteuid().as_raw();
    let exe = std::env::current_exe().unwrap();
    format!(
        "[[rule]]\nidentity = \"{identity}\"\nmatch = {{ uid = {uid}, exe = \"{}\" }}\nidm_url = \"https://idm\"\nconfig_url = \"https://config\"\ntoken = \"t0ken\"\n",
        exe.display()
    )
}

pub fn is_root(what: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("SKIPPED: {what} (needs root)");
    }
    root
}

/// The agent's own program, as a child.
pub struct Daemon {
    pub child: Child,
    pub log: std::sync::mpsc::Receiver<String>,
}

impl Daemon {
    pub fn command() -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign-agent"));
        for name in ["LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET"] {
            command.env_remove(name);
        }
        command
    }

    pub fn spawn(mut command: Command) -> Daemon {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let (send, log) = std::sync::mpsc::channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| send.send(line)));
        Daemon { child, log }
    }

    /// Reads the log up to a line that has this in it.
    #[track_caller]
    pub fn until(&self, part: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut seen = String::new();
        while let Ok(line) = self.log.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if line.contains(part) {
                return line;
            }
            seen += &line;
            seen.push('\n');
        }
        panic!("the log never said {part:?}:\n{seen}");
    }

    pub fn signal(&self, name: &str) {
        // Where upper case is not that of English, `kill` does not know all names of signals.
        let mut kill = Command::new("kill");
        let sent = kill.env("LC_ALL", "C").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Ends it in order, and returns its exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is so.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
