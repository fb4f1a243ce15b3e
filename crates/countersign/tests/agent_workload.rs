//! The agent's Workload API, asked by the library's own client: who gets what, and what becomes of it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod agent_scene;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use agent_scene::{Scene, eventually, is_root};
use countersign::agent::{Agent, AgentOptions, Authority, DEFAULT_CA_TTL, Rotation};
use countersign::spiffe::workload_api::{
    Code, Endpoint, JwtBundles, Responses, Status, Subject, WorkloadApiClient, WorkloadApiError, X509Bundles,
    X509Context,
};
use countersign::spiffe::{JwtVerifyOptions, SpiffeId, TrustDomain, verify_jwt_svid};

fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn rule(id: &str, more: &str) -> String {
    let (uid, exe) = (uid(), std::env::current_exe().unwrap());
    format!("[[rule]]\nmatch = {{ uid = {uid}, exe = \"{}\" }}\nspiffe_id = \"{id}\"\n{more}\n", exe.display())
}

const TABLE: &str = "[workload_api]\ntrust_domain = \"example.org\"\n";

fn options(scene: &Scene, rules: &str) -> AgentOptions {
    scene.options(rules).workload_socket(scene.path("workload.sock")).state_in_memory()
}

fn client(agent: &Agent) -> WorkloadApiClient {
    WorkloadApiClient::new(Endpoint::parse(&agent.endpoint().unwrap()).unwrap())
        .with_timeout(Some(Duration::from_secs(10)))
}

fn run<T>(task: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async { tokio::time::timeout(Duration::from_secs(60), task).await.expect("it hangs") })
}

fn status<T>(answer: Result<T, WorkloadApiError>) -> Status {
    match answer {
        Ok(_) => panic!("an answer where a refusal is due"),
        Err(error) => error.status().unwrap_or_else(|| panic!("{error}")).clone(),
    }
}

async fn next<S: Subject>(stream: &mut Responses<S>) -> Result<S, WorkloadApiError> {
    tokio::time::timeout(Duration::from_secs(20), stream.next(None)).await.expect("the stream says nothing")
}

fn ids(context: &X509Context) -> Vec<String> {
    context.svids.iter().map(|svid| svid.spiffe_id().to_string()).collect()
}

#[test]
fn every_matching_rule_gives_an_svid_and_the_first_is_the_default() {
    let scene = Scene::new();
    let rules = [
        "[[rule]]\nidentity = \"WHO\"\nmatch = { uid = 12345 }\n".to_owned(),
        rule(
            "spiffe://example.org/b",
            "hint = \"internal\"\nidentity = \"BOTH\"\ndns_names = [\"B.example.org\", \"*.b.example.org\"]",
        ),
        rule("spiffe://example.org/a", "hint = \"external\"\nx509_svid_ttl = \"10m\"\njwt_svid_ttl = 60"),
        // A hint is unique within a response, and so is a name without one.
        rule("spiffe://example.org/c", "hint = \"external\""),
        rule("spiffe://example.org/d", ""),
        rule("spiffe://example.org/d", ""),
        format!("[[rule]]\nmatch = {{ uid = {} }}\nspiffe_id = \"spiffe://example.org/other\"\n", uid() + 1),
    ];
    let agent = Agent::start(options(&scene, &(TABLE.to_owned() + &rules.concat()))).unwrap();
    assert_eq!(scene.ask(b"")["identity"], "BOTH");
    run(async {
        let client = client(&agent);
        let context = client.fetch_x509_context().await.unwrap();
        assert_eq!(ids(&context), ["spiffe://example.org/b", "spiffe://example.org/a", "spiffe://example.org/d"]);
        assert!(context.ignored.is_empty(), "{:?}", context.ignored);
        let hints: Vec<_> = context.svids.iter().map(|svid| svid.hint()).collect();
        assert_eq!(hints, [Some("internal"), Some("external"), None]);
        assert_eq!(&*context.svids[0].leaf().dns_names, [Box::from("b.example.org"), Box::from("*.b.example.org")]);
        let lifetime = |svid: usize| context.svids[svid].leaf().not_after - context.svids[svid].leaf().not_before;
        assert_eq!((lifetime(0), lifetime(1)), (3610, 610));
        assert_eq!(context.bundles.len(), 1);

        let bundles = client.fetch_x509_bundles().await.unwrap();
        let own = TrustDomain::parse("example.org").unwrap();
        assert_eq!(bundles.bundles.x509_bundle(&own), context.bundles.x509_bundle(&own));

        let audience = ["shop".to_owned(), "bank".to_owned()];
        let tokens = client.fetch_jwt_svids(&audience, None).await.unwrap();
        assert_eq!(tokens.svids.len(), 3);
        assert_eq!(tokens.svids[1].hint(), Some("external"));
        assert_eq!(tokens.svids[1].expiry() - tokens.svids[1].issued_at().unwrap(), 60);
        let only = SpiffeId::parse("spiffe://example.org/a").unwrap();
        let tokens = client.fetch_jwt_svids(&audience, Some(&only)).await.unwrap();
        assert_eq!(tokens.svids.len(), 1);
        let token = &tokens.svids[0];
        assert_eq!((token.spiffe_id(), token.audience()), (&only, &audience[..]));

        let bundles = client.fetch_jwt_bundles().await.unwrap();
        for name in &audience {
            verify_jwt_svid(token.token(), &bundles.bundles, &JwtVerifyOptions::new(name)).unwrap();
            let validated = client.validate_jwt_svid(name, token.token()).await.unwrap();
            assert_eq!(validated.spiffe_id, only);
            let claims: serde_json::Value = serde_json::from_str(&validated.claims_json).unwrap();
            assert_eq!(claims["aud"], serde_json::json!(audience));
            assert_eq!(claims["sub"], only.as_str());
            assert_eq!(claims["exp"], token.expiry());
        }
        // What is refused, and how.
        let refusal = status(client.validate_jwt_svid("thief", token.token()).await);
        assert_eq!(
            (refusal.code, refusal.message.as_str()),
            (Code::InvalidArgument, "the token is not meant for this verifier")
        );
        let forged = format!("{}x", token.token());
        assert_eq!(status(client.validate_jwt_svid("shop", &forged).await).code, Code::InvalidArgument);
        assert_eq!(status(client.validate_jwt_svid("", token.token()).await).message, "audience must be specified");
        assert_eq!(status(client.validate_jwt_svid("shop", "").await).message, "svid must be specified");
        let stranger = SpiffeId::parse("spiffe://example.org/other").unwrap();
        let refusal = status(client.fetch_jwt_svids(&audience, Some(&stranger)).await);
        assert_eq!((refusal.code, refusal.message.as_str()), (Code::PermissionDenied, "no identity issued"));
        assert_eq!(status(client.fetch_wit_svids(None).await).code, Code::Unimplemented);
        assert_eq!(status(client.fetch_wit_bundles().await).code, Code::Unimplemented);
    });
    let stats = agent.workload_stats().unwrap();
    assert!(stats.x509_svids >= 3 && stats.jwt_svids >= 4, "{stats:?}");
}

#[test]
fn an_svid_is_replaced_at_half_of_its_life() {
    let scene = Scene::new();
    let rules = TABLE.to_owned() + "x509_svid_ttl = 2\n" + &rule("spiffe://example.org/a", "");
    let agent = Agent::start(options(&scene, &rules)).unwrap();
    run(async {
        let mut stream = client(&agent).watch::<X509Context>().await.unwrap();
        let mut serials = Vec::new();
        let mut last = Instant::now();
        for round in 0..4 {
            let context = next(&mut stream).await.unwrap();
            let svid = context.default_svid().unwrap();
            assert!(!serials.contains(&svid.serial_number()));
            assert!(svid.expires_at() > std::time::SystemTime::now(), "there is no gap");
            serials.push(svid.serial_number());
            if round > 0 {
                assert!(last.elapsed() < Duration::from_millis(1900), "{:?}", last.elapsed());
            }
            last = Instant::now();
        }
    });
}

#[test]
fn rules_add_and_withdraw_while_streams_are_open() {
    let scene = Scene::new();
    let both = [TABLE, &rule("spiffe://example.org/a", ""), &rule("spiffe://example.org/b", "")].concat();
    let one = [TABLE, &rule("spiffe://example.org/b", "")].concat();
    let none =
        [TABLE, &format!("[[rule]]\nmatch = {{ uid = {} }}\nspiffe_id = \"spiffe://example.org/a\"\n", uid() + 1)]
            .concat();
    let file = scene.write("rules.toml", &both);
    let options = options(&scene, "").rules_file(&file).reload_interval(Duration::from_millis(20));
    let agent = Agent::start(options).unwrap();
    run(async {
        let client = client(&agent);
        let mut stream = client.watch::<X509Context>().await.unwrap();
        let mut bundles = client.watch::<JwtBundles>().await.unwrap();
        let first = next(&mut stream).await.unwrap();
        assert_eq!(ids(&first), ["spiffe://example.org/a", "spiffe://example.org/b"]);
        next(&mut bundles).await.unwrap();
        // What stays is not issued again.
        scene.write("rules.toml", &one);
        let second = next(&mut stream).await.unwrap();
        assert_eq!(ids(&second), ["spiffe://example.org/b"]);
        assert_eq!(second.svids[0], first.svids[1]);
        // A broken file, or one that changes what is built on, changes nothing.
        scene.write("rules.toml", "[[rule]]\n");
        assert!(agent.reload().is_err());
        scene.write("rules.toml", &both.replace("example.org", "example.com"));
        assert!(agent.reload().unwrap_err().to_string().contains("takes a restart"));
        // Nothing left.
        scene.write("rules.toml", &none);
        let refusal = status(next(&mut stream).await);
        assert_eq!((refusal.code, refusal.message.as_str()), (Code::PermissionDenied, "no identity issued"));
        assert_eq!(status(next(&mut bundles).await).code, Code::PermissionDenied);
        assert_eq!(status(client.fetch_jwt_svids(&["x".to_owned()], None).await).code, Code::PermissionDenied);
        assert_eq!(status(client.fetch_x509_bundles().await).code, Code::PermissionDenied);
        assert_eq!(status(client.validate_jwt_svid("x", "y").await).code, Code::PermissionDenied);
        // And back.
        scene.write("rules.toml", &both);
        agent.reload().unwrap();
        assert_eq!(client.fetch_x509_context().await.unwrap().svids.len(), 2);
    });
}

#[test]
fn a_change_of_keys_reaches_everybody_and_breaks_nobody() {
    let scene = Scene::new();
    let agent = Agent::start(options(&scene, &(TABLE.to_owned() + &rule("spiffe://example.org/a", "")))).unwrap();
    let own = TrustDomain::parse("example.org").unwrap();
    run(async {
        let client = client(&agent);
        let mut stream = client.watch::<X509Context>().await.unwrap();
        let mut roots = client.watch::<X509Bundles>().await.unwrap();
        let mut keys = client.watch::<JwtBundles>().await.unwrap();
        let first = next(&mut stream).await.unwrap();
        let token = client.fetch_jwt_svids(&["shop".to_owned()], None).await.unwrap().svids.remove(0);
        let valid = async |audience: &str| client.validate_jwt_svid(audience, token.token()).await.is_ok();
        next(&mut roots).await.unwrap();
        next(&mut keys).await.unwrap();
        for (step, count) in [(Rotation::Prepare, 2), (Rotation::Activate, 2)] {
            agent.rotate_authority(step).unwrap();
            let context = next(&mut stream).await.unwrap();
            assert_eq!(context.svids, first.svids, "a good SVID is kept");
            assert_eq!(context.bundles.x509_bundle(&own).unwrap().len(), count);
            assert_eq!(next(&mut roots).await.unwrap().bundles.x509_bundle(&own).unwrap().len(), count);
            if step == Rotation::Prepare {
                assert_eq!(next(&mut keys).await.unwrap().bundles.jwt_bundle(&own).unwrap().len(), count);
            }
            assert!(valid("shop").await);
        }
        // Taken back: the SVID is replaced at once, the token is refused.
        agent.rotate_authority(Rotation::Forget).unwrap();
        let context = next(&mut stream).await.unwrap();
        assert_ne!(context.svids, first.svids);
        assert_eq!(context.bundles.x509_bundle(&own).unwrap().len(), 1);
        assert!(!valid("shop").await);
    });
}

#[test]
fn foreign_bundles_come_from_files_and_from_who_fetches_them() {
    let scene = Scene::new();
    let foreign =
        |name: &str| Authority::in_memory(TrustDomain::parse(name).unwrap(), DEFAULT_CA_TTL).unwrap().bundle().unwrap();
    let (partner, other) = (foreign("partner.org"), foreign("other.org"));
    let file = scene.write("partner.json", &partner.to_json().unwrap());
    let table = format!(
        "{TABLE}[workload_api.federates_with.\"partner.org\"]\nbundle_file = \"{}\"\n\
         [workload_api.federates_with.\"other.org\"]\nbundle_endpoint_url = \"https://other.org/bundle\"\nbundle_endpoint_profile = \"https_web\"\n",
        file.display()
    );
    let rules = table
        + &rule("spiffe://example.org/a", "federates_with = [\"partner.org\", \"other.org\"]")
        + &rule("spiffe://example.org/b", "");
    let agent = Agent::start(options(&scene, &rules).reload_interval(Duration::from_millis(20))).unwrap();
    let names =
        |bundles: &countersign::spiffe::BundleSet| bundles.trust_domains().map(ToString::to_string).collect::<Vec<_>>();
    run(async {
        let client = client(&agent);
        let mut stream = client.watch::<X509Context>().await.unwrap();
        let context = next(&mut stream).await.unwrap();
        assert_eq!(names(&context.bundles), ["example.org", "partner.org"]);
        let [(wanted, endpoint)] = &agent.bundle_endpoints()[..] else { panic!("one endpoint") };
        assert_eq!((wanted.name(), endpoint.url.as_str()), ("other.org", "https://other.org/bundle"));
        assert_eq!(agent.take_foreign_bundle(wanted, other.clone()), Some(true));
        assert_eq!(names(&next(&mut stream).await.unwrap().bundles), ["example.org", "other.org", "partner.org"]);
        assert_eq!(agent.take_foreign_bundle(wanted, other.clone()), Some(false));
        assert_eq!(agent.take_foreign_bundle(wanted, other.clone().with_sequence(Some(0))), None, "older");
        assert_eq!(agent.take_foreign_bundle(&TrustDomain::parse("nobody.org").unwrap(), other.clone()), None);
        assert_eq!(client.fetch_jwt_bundles().await.unwrap().bundles.len(), 3);
        // A new one, as PEM: no keys for tokens in it.
        scene.write("partner.json", &foreign("partner.org").x509_bundle().to_pem());
        let context = next(&mut stream).await.unwrap();
        assert_eq!(context.bundles.len(), 3);
        // A broken one leaves the last in force; an empty one trusts nobody.
        scene.write("partner.json", "{");
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(client.fetch_x509_bundles().await.unwrap().bundles.len(), 3);
        scene.write("partner.json", "{\"keys\":[]}");
        assert_eq!(names(&next(&mut stream).await.unwrap().bundles), ["example.org", "other.org"]);
        // A token of a partner is judged by the partner's keys.
        scene.write("partner.json", &partner.to_json().unwrap());
        next(&mut stream).await.unwrap();
    });
}

/// In a copy of this program that runs as somebody else: fetches, and prints what it gets.
#[test]
fn guest() {
    let Some(endpoint) = std::env::var_os("GUEST_ENDPOINT") else { return };
    let endpoint = Endpoint::parse(endpoint.to_str().unwrap()).unwrap();
    run(async {
        let told = match WorkloadApiClient::new(endpoint).fetch_x509_context().await {
            Ok(context) => ids(&context).join(" "),
            Err(error) => error.to_string(),
        };
        println!("\nTOLD {told}");
    });
}

fn guest_is_told(scene: &Scene, setpriv: &[&str], endpoint: &str) -> String {
    let program = scene.path("guest");
    if !program.exists() {
        assert!(Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&program).status().unwrap().success());
    }
    let mut command = Command::new("setpriv");
    command.args(setpriv).arg(&program).args(["--exact", "guest", "--nocapture"]).env("GUEST_ENDPOINT", endpoint);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.lines().find_map(|line| line.strip_prefix("TOLD ")).unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[test]
fn the_kernel_says_who_gets_what() {
    if !is_root("the_kernel_says_who_gets_what") {
        return;
    }
    let scene = Scene::new();
    let program = scene.path("guest");
    assert!(Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&program).status().unwrap().success());
    let hash = Command::new("sha256sum").arg(&program).output().unwrap();
    let hash = String::from_utf8_lossy(&hash.stdout)[..64].to_owned();
    let rules = format!(
        "{TABLE}[[rule]]\nmatch = {{ uid = 1001 }}\nspiffe_id = \"spiffe://example.org/by-uid\"\n\
         [[rule]]\nmatch = {{ exe_sha256 = \"{hash}\" }}\nspiffe_id = \"spiffe://example.org/by-hash\"\n\
         [[rule]]\nmatch = {{ exe = \"{}\", uid = 1002 }}\nspiffe_id = \"spiffe://example.org/by-exe\"\n\
         [[rule]]\nmatch = {{ exe = \"/usr/bin/true\" }}\nspiffe_id = \"spiffe://example.org/never\"\n",
        program.display()
    );
    let agent = Agent::start(options(&scene, &rules)).unwrap();
    let told = |uid: &str| {
        guest_is_told(&scene, &["--reuid", uid, "--regid", uid, "--clear-groups"], &agent.endpoint().unwrap())
    };
    assert_eq!(told("1001"), "spiffe://example.org/by-uid spiffe://example.org/by-hash");
    assert_eq!(told("1002"), "spiffe://example.org/by-hash spiffe://example.org/by-exe");
    // Without the hash nothing is left for a third.
    let fewer = rules.replace(&hash, &"0".repeat(64));
    agent.replace_rules(&fewer).unwrap();
    assert!(told("1003").contains("no identity issued"), "{}", told("1003"));
}

/// In a copy of this program: opens a stream, and leaves the connection to another process when it dies.
#[test]
fn heir() {
    let Some(path) = std::env::var_os("HEIR_SOCKET") else { return };
    let socket = std::os::unix::net::UnixStream::connect(Path::new(&path)).unwrap();
    // It outlives us in a program that knows nothing of it.
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::empty()).unwrap();
    #[allow(clippy::zombie_processes)] // it is the one that lives on
    let child = Command::new("sleep").arg("600").stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    println!("\nHEIR {}", child.id());
    std::thread::sleep(Duration::from_secs(600));
}

#[test]
fn the_death_of_the_peer_ends_the_connection() {
    let scene = Scene::new();
    let rules = format!("{TABLE}[[rule]]\nmatch = {{ uid = {} }}\nspiffe_id = \"spiffe://example.org/a\"\n", uid());
    let agent = Agent::start(options(&scene, &rules)).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "heir", "--nocapture", "--test-threads=1"])
        .env("HEIR_SOCKET", agent.workload_socket_path().unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    use std::io::{BufRead, BufReader};
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let heir = lines.find_map(|line| line.strip_prefix("HEIR ").map(str::to_owned)).unwrap();
    eventually("it is connected", || agent.workload_stats().unwrap().connections == 1);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(agent.workload_stats().unwrap().connections, 1);
    child.kill().unwrap();
    child.wait().unwrap();
    // The descriptor is still open in the heir.
    eventually("the connection is closed", || agent.workload_stats().unwrap().connections == 0);
    assert!(Path::new(&format!("/proc/{heir}")).exists());
    let _ = Command::new("kill").arg(heir).status();
}

#[test]
fn a_stopping_agent_says_goodbye() {
    let scene = Scene::new();
    let agent = Agent::start(options(&scene, &(TABLE.to_owned() + &rule("spiffe://example.org/a", "")))).unwrap();
    run(async {
        let mut stream = client(&agent).watch::<X509Context>().await.unwrap();
        next(&mut stream).await.unwrap();
        let begun = Instant::now();
        let closing = std::thread::spawn(move || agent.close());
        let refusal = status(next(&mut stream).await);
        assert_eq!((refusal.code, refusal.message.as_str()), (Code::Unavailable, "the agent is shutting down"));
        drop(stream);
        tokio::task::spawn_blocking(|| closing.join().unwrap()).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    });
    assert!(!scene.path("workload.sock").exists());
}

#[test]
fn the_keys_outlive_the_agent() {
    let scene = Scene::new();
    let rules = TABLE.to_owned() + &rule("spiffe://example.org/a", "");
    let with_state =
        || scene.options(&rules).workload_socket(scene.path("workload.sock")).state_dir(scene.path("state"));
    let agent = Agent::start(with_state()).unwrap();
    let (svid, token) = run(async {
        let client = client(&agent);
        let context = client.fetch_x509_context().await.unwrap();
        let token = client.fetch_jwt_svids(&["shop".to_owned()], None).await.unwrap().svids.remove(0);
        (context.svids[0].clone(), token)
    });
    // Two agents never share a state.
    let second = Agent::start(
        scene.options(&rules).socket(scene.path("w2")).workload_socket(scene.path("s2")).state_dir(scene.path("state")),
    );
    assert!(second.err().unwrap().to_string().contains("another agent has this state directory"));
    assert!(!scene.path("w2").exists() && !scene.path("s2").exists(), "what failed leaves nothing behind");
    agent.close();
    let agent = Agent::start(with_state()).unwrap();
    run(async {
        let client = client(&agent);
        let bundles = client.fetch_x509_bundles().await.unwrap().bundles;
        let chain: Vec<&[u8]> = svid.certificates().collect();
        countersign::spiffe::verify_x509_svid(&chain, &bundles, &Default::default()).unwrap();
        client.validate_jwt_svid("shop", token.token()).await.unwrap();
    });
}

#[test]
fn it_takes_a_table_or_an_option_to_serve_it() {
    let scene = Scene::new();
    let whoami_only = Agent::start(scene.options("[[rule]]\nidentity = \"A\"\nmatch = { uid = 0 }\n")).unwrap();
    assert_eq!((whoami_only.endpoint(), whoami_only.workload_stats()), (None, None));
    drop(whoami_only);
    let text = rule("spiffe://example.org/a", "");
    let without = Agent::start(scene.options(&text).workload_socket(scene.path("w"))).err().unwrap().to_string();
    assert!(without.contains("--trust-domain"), "{without}");
    let other = TrustDomain::parse("example.com").unwrap();
    let wrong = Agent::start(scene.options(&text).trust_domain(other).state_in_memory()).err().unwrap().to_string();
    assert!(wrong.contains("rule 1 (line 1): spiffe_id is not in the trust domain example.com"), "{wrong}");
    let told = TrustDomain::parse("example.org").unwrap();
    let options = scene.options(&text).trust_domain(told).state_in_memory().workload_socket(scene.path("w"));
    let agent = Agent::start(options).unwrap();
    assert_eq!(run(client(&agent).fetch_x509_context()).unwrap().svids.len(), 1);
    let left: Vec<_> = fs::read_dir(scene.directory.path()).unwrap().map(|found| found.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}
