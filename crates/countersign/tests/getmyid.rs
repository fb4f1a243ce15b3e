//! The real client crate against our agent: blocking and async, with and without a runner.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod agent_scene;

use agent_scene::{Scene, own_rule};
use getmyid::{AsyncClient, Client, GetMyIdError, Identity, RunnerRequest};

const ROUNDS: usize = 200;

fn runner() -> RunnerRequest {
    RunnerRequest::new()
        .with_instance_id(u64::MAX)
        .with_timestamp(1_738_512_000)
        .with_field("zone", "b")
        .with_field("uid", 0)
        .with_field("identity", "ROOT")
}

#[track_caller]
fn check(identity: &Identity, with_runner: bool) {
    assert_eq!(identity.identity, "GETMYID");
    assert_eq!(identity.idm_url, "https://idm");
    assert_eq!(identity.config_url, "https://config");
    assert_eq!(identity.token, "t0ken");
    let runner = &identity.runner;
    assert_eq!(runner.identity, "GETMYID");
    assert_eq!(runner.pid, std::process::id());
    assert_eq!(runner.uid, rustix::process::geteuid().as_raw());
    assert_eq!(runner.gid, rustix::process::getegid().as_raw());
    assert_eq!(runner.process, std::fs::read_to_string("/proc/self/comm").unwrap().trim_end());
    assert_eq!(runner.hostname, rustix::system::uname().nodename().to_str().unwrap());
    assert_eq!(runner.instance_id, with_runner.then_some(u64::MAX));
    assert_eq!(runner.timestamp, with_runner.then_some(1_738_512_000));
    let extra: Vec<&str> = runner.extra.keys().map(String::as_str).collect();
    assert_eq!(extra, if with_runner { vec!["zone"] } else { vec![] });
}

#[test]
fn the_blocking_client_is_answered() {
    let scene = Scene::new();
    let _agent = scene.start(&own_rule("GETMYID"));
    let client = Client::builder().socket_path(scene.socket()).build();
    for _ in 0..ROUNDS {
        check(&client.get_identity().unwrap(), false);
        check(&client.get_identity_with_runner(Some(runner())).unwrap(), true);
    }
}

#[test]
fn the_async_client_is_answered() {
    let scene = Scene::new();
    let _agent = scene.start(&own_rule("GETMYID"));
    let client = AsyncClient::builder().socket_path(scene.socket()).build();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for _ in 0..ROUNDS {
            check(&client.get_identity().await.unwrap(), false);
            check(&client.get_identity_with_runner(Some(runner())).await.unwrap(), true);
        }
    });
}

#[test]
fn a_refusal_reaches_it_as_the_daemons_word() {
    let scene = Scene::new();
    let _agent = scene.start("[[rule]]\nidentity = \"A\"\nmatch = { exe = \"/usr/bin/none\" }\n");
    let client = Client::builder().socket_path(scene.socket()).build();
    for runner in [None, Some(runner())] {
        match client.get_identity_with_runner(runner) {
            Err(GetMyIdError::DaemonError { code, message }) => {
                assert_eq!(code, "E_NO_MATCH");
                let uid = rustix::process::geteuid().as_raw();
                let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
                assert_eq!(message, format!("No identity rule matches process '{}' (uid={uid})", comm.trim_end()));
            }
            other => panic!("expected a refusal, got {other:?}"),
        }
    }
}
