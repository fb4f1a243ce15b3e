//! Another process to be the peer of: this very test program, started again and told what to do.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Runs in the started process: connects, then becomes what its standard input says, or ends with it.
#[test]
#[allow(clippy::zombie_processes, reason = "this process becomes another program, which knows no children")]
fn act() {
    let Ok(path) = std::env::var("PEER_PROCESS_CONNECT") else {
        return;
    };
    let descriptors: Vec<fs::File> = (0..std::env::var("PEER_PROCESS_BALLAST").map_or(0, |n| n.parse().unwrap()))
        .map(|_| fs::File::open("/dev/null").unwrap())
        .collect();
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(b"!").unwrap();
    if let Some(line) = std::io::stdin().lines().next() {
        let line = line.unwrap();
        let (verb, program) = line.split_once(' ').unwrap();
        match verb {
            "keep" => std::mem::forget(survivor(&stream)),
            // Left with another process: it ends by itself, nobody here can end it.
            "leave" => {
                let _with_the_child = survivor(&stream);
                Command::new("sleep").arg("5").stdin(Stdio::null()).spawn().unwrap();
            }
            _ => {}
        }
        let error = Command::new(program).arg("1000").stdin(Stdio::null()).exec();
        panic!("{program}: {error}");
    }
    drop(descriptors);
    std::process::exit(0);
}

/// A copy of the socket that survives an exec.
fn survivor(stream: &UnixStream) -> std::os::fd::OwnedFd {
    let copy = rustix::io::dup(stream).unwrap();
    rustix::io::fcntl_setfd(&copy, rustix::io::FdFlags::empty()).unwrap();
    assert!(copy.as_raw_fd() > 2);
    copy
}

/// A directory everybody may enter, with a listening socket and a copy of this program in it.
pub struct Stage {
    pub dir: PathBuf,
    pub listener: UnixListener,
}

impl Stage {
    pub fn new() -> Stage {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("peer-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let dir = std::env::temp_dir().join(name);
        // One left over by another pid namespace may have our name.
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        let listener = UnixListener::bind(dir.join("socket")).unwrap();
        fs::set_permissions(dir.join("socket"), fs::Permissions::from_mode(0o777)).unwrap();
        let stage = Stage { dir, listener };
        stage.copy(&std::env::current_exe().unwrap(), "program");
        stage
    }

    pub fn copy(&self, program: &Path, name: &str) -> PathBuf {
        let copy = self.dir.join(name);
        // By another process: a descriptor of ours that writes to it could be inherited by a child that another test
        // starts just now, and a file open for writing cannot be run.
        assert!(Command::new("cp").arg(program).arg(&copy).status().unwrap().success());
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        copy
    }

    pub fn program(&self) -> PathBuf {
        self.dir.join("program")
    }

    /// What to run to have a peer, after `prefix` (another program that runs its arguments).
    pub fn command(&self, prefix: &[&str]) -> Command {
        let program = self.program();
        let mut words = prefix.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
        words.push(program.to_str().unwrap().to_owned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(Stage::arguments());
        command.env("PEER_PROCESS_CONNECT", self.dir.join("socket")).stdin(Stdio::piped()).stdout(Stdio::null());
        command
    }

    pub fn arguments() -> [String; 4] {
        let (_crate, module) = module_path!().split_once("::").unwrap();
        ["--exact".into(), format!("{module}::act"), "--nocapture".into(), "--test-threads=1".into()]
    }

    /// Starts it, and accepts its connection.
    pub fn connect(&self, prefix: &[&str]) -> Connected {
        self.connect_by(self.command(prefix))
    }

    pub fn connect_by(&self, mut command: Command) -> Connected {
        let child = command.spawn().unwrap();
        let (mut stream, _) = self.listener.accept().unwrap();
        stream.read_exact(&mut [0]).unwrap();
        Connected { child, stream }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

pub struct Connected {
    pub child: Child,
    pub stream: UnixStream,
}

impl Connected {
    /// Has the peer become another program, and waits until it has.
    pub fn exec(&mut self, verb: &str, program: &Path) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{verb} {}", program.display()).unwrap();
        let name = program.file_name().unwrap().to_str().unwrap();
        let comm = format!("/proc/{}/comm", self.child.id());
        wait_until(|| fs::read_to_string(&comm).unwrap().trim() == &name[..name.len().min(15)]);
    }

    /// Ends the peer; its pid is free afterwards.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn wait_until(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Starts a program under exactly this pid (in a pid namespace of our own, where nobody else takes numbers).
pub fn take_over(pid: u32, program: &Path) -> Child {
    for _ in 0..1000 {
        fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).unwrap();
        let mut child = Command::new(program).arg("1000").spawn().unwrap();
        if child.id() == pid {
            return child;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    panic!("the pid {pid} could not be taken over");
}

/// Runs one test of this program again as the first process of a new pid namespace. True: we are in it.
pub fn in_a_pid_namespace(test: &str) -> bool {
    if std::env::var_os("PEER_PROCESS_NAMESPACE").is_some() {
        return true;
    }
    let status = Command::new("unshare")
        .args(["-f", "-p", "--mount-proc", "--kill-child"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("PEER_PROCESS_NAMESPACE", "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed in its pid namespace");
    false
}

/// Tests that need other users, namespaces or mounts cannot be had without root.
pub fn skipped(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("SKIPPED {test}: needs root");
    }
    !root
}
