//! Processes that try to be told another one's identity.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod agent_scene;

use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use agent_scene::{Scene, answer, eventually, is_root};
use countersign::agent::Agent;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Connects the socket it was given as its standard input, and then does what the attack asks for.
#[test]
fn accomplice() {
    let Some(socket) = std::env::var_os("ACCOMPLICE_SOCKET") else { return };
    rustix::net::connect(std::io::stdin(), &SocketAddrUnix::new(&socket).unwrap()).unwrap();
    if let Some(program) = std::env::var_os("ACCOMPLICE_BECOMES") {
        let mut program = Command::new(program);
        program.arg("60");
        if std::env::var_os("ACCOMPLICE_LETS_GO").is_some() {
            program.stdin(Stdio::null());
        }
        panic!("{}", program.exec());
    }
    if std::env::var_os("ACCOMPLICE_STAYS").is_some() {
        std::thread::sleep(Duration::from_secs(60));
    }
}

/// A connection that a child made in its own name, and that we hold as well.
fn connected_by_child(scene: &Scene, environment: &[(&str, &str)]) -> (UnixStream, Child) {
    let only_as_its_input = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, only_as_its_input, None).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "accomplice"])
        .env("ACCOMPLICE_SOCKET", scene.socket())
        .envs(environment.iter().copied())
        .stdin(socket.try_clone().unwrap())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let stream = UnixStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    eventually("the child has connected", || rustix::net::getpeername(&stream).is_ok());
    (stream, child)
}

fn sleep() -> String {
    fs::canonicalize("/usr/bin/sleep").unwrap().display().to_string()
}

/// An agent that trusts `sleep` and nobody else.
fn agent_for_sleep(scene: &Scene) -> Agent {
    let rules = format!("[[rule]]\nidentity = \"TRUSTED\"\nmatch = {{ exe = \"{}\" }}\n", sleep());
    Agent::start(scene.options(&rules).grace(Duration::from_secs(30)).connection_timeout(Duration::from_secs(60)))
        .unwrap()
}

fn ask_now(mut stream: &UnixStream) -> serde_json::Value {
    stream.write_all(b"{\"runner\":{}}").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    answer(stream.try_clone().unwrap())
}

#[test]
fn the_trusted_program_itself_is_told() {
    // So that the refusals below are about the attacks.
    let scene = Scene::new();
    let _agent = agent_for_sleep(&scene);
    let (stream, mut child) = connected_by_child(&scene, &[("ACCOMPLICE_BECOMES", &sleep())]);
    eventually("the child runs sleep", || runs_sleep(child.id()));
    // It kept its end of the connection across the exec: nothing tells it from a program that connected itself.
    assert_eq!(ask_now(&stream)["identity"], "TRUSTED");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_peer_that_died_is_gone() {
    let scene = Scene::new();
    let _agent = agent_for_sleep(&scene);
    let (stream, mut child) = connected_by_child(&scene, &[]);
    child.wait().unwrap();
    assert_eq!(ask_now(&stream)["error_code"], "E_PEER_GONE");
}

#[test]
fn whoever_takes_over_a_pid_does_not_take_over_the_connection() {
    if !is_root("choosing the next pid") {
        return;
    }
    let scene = Scene::new();
    let _agent = agent_for_sleep(&scene);
    for _ in 0..20 {
        let (stream, mut child) = connected_by_child(&scene, &[]);
        let pid = child.id();
        child.wait().unwrap();
        if fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).is_err() {
            println!("SKIPPED: taking over a pid (the kernel does not let us choose it)");
            return;
        }
        let mut newcomer = Command::new(sleep()).arg("60").spawn().unwrap();
        let taken = newcomer.id() == pid;
        if taken {
            eventually("the newcomer runs sleep", || runs_sleep(pid));
            assert_eq!(ask_now(&stream)["error_code"], "E_PEER_GONE");
        }
        newcomer.kill().unwrap();
        newcomer.wait().unwrap();
        if taken {
            return;
        }
    }
    panic!("the pid never came round");
}

#[test]
fn who_was_answered_before_lends_nothing_to_the_next_owner_of_its_pid() {
    if !is_root("choosing the next pid") {
        return;
    }
    let scene = Scene::new();
    let _agent = agent_for_sleep(&scene);
    let program = sleep();
    let trusted = &[("ACCOMPLICE_BECOMES", &*program)][..];
    let stranger = &[("ACCOMPLICE_STAYS", "1")][..];
    // What the agent keeps of a process for its next question is of no use, and no hindrance, to another process.
    for (first, then) in [(trusted, stranger), (stranger, trusted)] {
        let told = |stream: &UnixStream, child: &Child, who: &[(&str, &str)]| {
            if who == trusted {
                eventually("the child runs sleep", || runs_sleep(child.id()));
            }
            let answer = ask_now(stream);
            assert_eq!(answer["identity"] == "TRUSTED", who == trusted, "{answer}");
            assert!(who == trusted || answer["error_code"] == "E_NO_MATCH", "{answer}");
        };
        let taken = (0..20).any(|_| {
            let (stream, mut child) = connected_by_child(&scene, first);
            told(&stream, &child, first);
            let pid = child.id();
            child.kill().unwrap();
            child.wait().unwrap();
            if fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).is_err() {
                println!("SKIPPED: taking over a pid (the kernel does not let us choose it)");
                return true;
            }
            let (stream, mut child) = connected_by_child(&scene, then);
            told(&stream, &child, then);
            let taken = child.id() == pid;
            child.kill().unwrap();
            child.wait().unwrap();
            taken
        });
        assert!(taken, "the pid never came round");
    }
}

#[test]
fn a_peer_that_became_another_program_and_let_go_is_not_that_program() {
    let scene = Scene::new();
    let _agent = agent_for_sleep(&scene);
    let environment = [("ACCOMPLICE_BECOMES", &*sleep()), ("ACCOMPLICE_LETS_GO", "1")];
    let (stream, mut child) = connected_by_child(&scene, &environment);
    eventually("the child runs sleep", || runs_sleep(child.id()));
    assert_eq!(ask_now(&stream)["error_code"], "E_NO_MATCH");
    child.kill().unwrap();
    child.wait().unwrap();
}

fn runs_sleep(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.as_os_str() == &*sleep())
}
