//! The authority: what it issues, how its keys follow each other, and what is left of it after a crash.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use countersign::agent::{Authority, AuthorityError, DEFAULT_CA_TTL, Issuing, Rotation};
use countersign::spiffe::issue::{IssuedX509, LeafRequest};
use countersign::spiffe::{
    BundleSet, JwtVerifyOptions, Role, SpiffeBundle, SpiffeId, TrustDomain, X509Svid, X509VerifyOptions,
    verify_jwt_svid, verify_x509_svid,
};

const HOUR: i64 = 3600;

fn td() -> TrustDomain {
    TrustDomain::parse("example.org").unwrap()
}

fn id() -> SpiffeId {
    SpiffeId::parse("spiffe://example.org/billing").unwrap()
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

fn issue(issuing: &Issuing) -> IssuedX509 {
    let (id, dns_names) = (id(), ["billing.example.org".to_owned()]);
    let request =
        LeafRequest { spiffe_id: &id, dns_names: &dns_names, not_before: now() - 10, not_after: now() + HOUR };
    issuing.x509.issue(&request).unwrap()
}

fn token(issuing: &Issuing) -> String {
    issuing.jwt.issue(&id(), &["shop".to_owned(), "bank".to_owned()], now(), now() + 300).unwrap().to_string()
}

fn bundles(issuing: &Issuing) -> BundleSet {
    let mut set = BundleSet::new();
    set.insert_x509(issuing.x509_bundle.clone());
    set.insert_jwt(issuing.jwt_bundle.clone());
    set
}

#[track_caller]
fn holds(issued: &IssuedX509, token: &str, bundles: &BundleSet) {
    let svid = X509Svid::from_der(&issued.chain_der, &issued.key_der).unwrap();
    let chain: Vec<&[u8]> = svid.certificates().collect();
    for role in [Role::Server, Role::Client] {
        let options = X509VerifyOptions { role: Some(role), ..X509VerifyOptions::default() };
        assert_eq!(verify_x509_svid(&chain, bundles, &options).unwrap().spiffe_id, id());
    }
    let options = JwtVerifyOptions { require_kid: true, ..JwtVerifyOptions::new("shop") };
    assert_eq!(*verify_jwt_svid(token, bundles, &options).unwrap().spiffe_id(), id());
}

#[test]
fn what_it_issues_keeps_every_rule() {
    let authority = Authority::in_memory(td(), DEFAULT_CA_TTL).unwrap();
    let issuing = authority.current();
    let (issued, token) = (issue(&issuing), token(&issuing));
    holds(&issued, &token, &bundles(&issuing));
    let svid = X509Svid::from_der(&issued.chain_der, &issued.key_der).unwrap();
    let leaf = svid.leaf();
    assert_eq!(&*leaf.dns_names, [Box::from("billing.example.org")]);
    assert!(leaf.extended_key_usage.unwrap().server_auth && leaf.extended_key_usage.unwrap().client_auth);
    assert_eq!(leaf.serial_number.len(), 16);
    assert_ne!(
        svid.serial_number(),
        X509Svid::from_der(&issue(&issuing).chain_der, &issued.key_der)
            .map_or_else(|_| String::new(), |other| other.serial_number())
    );
    assert_eq!((leaf.not_before, leaf.not_after), (issued.not_before, issued.not_after));
    assert_eq!(svid.certificates().len(), 1);
    // The document others are handed.
    let json = authority.bundle().unwrap().to_json().unwrap();
    let read = SpiffeBundle::parse(td(), json.as_bytes()).unwrap();
    assert_eq!((read.x509_bundle().len(), read.jwt_bundle().len(), read.sequence()), (1, 1, Some(1)));
    assert!(read.skipped().is_empty() && read.warnings().is_empty());
}

/// OpenSSL reads the extensions in its own words.
#[test]
fn openssl_agrees() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::in_memory(td(), DEFAULT_CA_TTL).unwrap();
    let issuing = authority.current();
    let issued = issue(&issuing);
    let svid = X509Svid::from_der(&issued.chain_der, &issued.key_der).unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (root, leaf) = (file("root.pem", &issuing.x509_bundle.to_pem()), file("leaf.pem", &svid.chain_pem()));
    let key = file("key.pem", &svid.key_pem());
    let openssl = |args: &[&str]| {
        let output = Command::new("openssl").args(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
        said
    };
    for purpose in ["sslserver", "sslclient"] {
        let said = openssl(&["verify", "-x509_strict", "-check_ss_sig", "-purpose", purpose, "-CAfile", &root, &leaf]);
        assert!(said.contains("OK"), "{said}");
    }
    let extensions = "basicConstraints,keyUsage,extendedKeyUsage,subjectAltName,authorityKeyIdentifier";
    let said = openssl(&["x509", "-in", &leaf, "-noout", "-ext", extensions]);
    for expected in [
        "X509v3 Basic Constraints: critical\n    CA:FALSE",
        "X509v3 Key Usage: critical\n    Digital Signature\n",
        "TLS Web Server Authentication, TLS Web Client Authentication",
        "URI:spiffe://example.org/billing, DNS:billing.example.org",
        "X509v3 Authority Key Identifier",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let said = openssl(&["x509", "-in", &root, "-noout", "-ext", "basicConstraints,keyUsage,subjectAltName"]);
    for expected in
        ["critical\n    CA:TRUE, pathlen:0", "critical\n    Certificate Sign, CRL Sign", "URI:spiffe://example.org\n"]
    {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    openssl(&["pkey", "-in", &key, "-check", "-noout"]);
    assert_eq!(openssl(&["pkey", "-in", &key, "-pubout"]), openssl(&["x509", "-in", &leaf, "-noout", "-pubkey"]));
}

#[test]
fn nothing_outlives_the_keys_that_signed_it() {
    let authority = Authority::in_memory(td(), Duration::from_secs(600)).unwrap();
    let issuing = authority.current();
    let issued = issue(&issuing);
    assert_eq!(issued.not_after, issuing.x509.not_after());
    assert!(issued.not_after <= now() + 600);
    let token = issuing.jwt.issue(&id(), &["shop".to_owned()], now(), now() + HOUR).unwrap();
    let svid = verify_jwt_svid(&token, &bundles(&issuing), &JwtVerifyOptions::new("shop")).unwrap();
    assert!(svid.expires_at() <= UNIX_EPOCH + Duration::from_secs(now() as u64 + 600));
    let id = id();
    let late = LeafRequest { spiffe_id: &id, dns_names: &[], not_before: now() + 700, not_after: now() + 800 };
    assert!(issuing.x509.issue(&late).is_err());
}

#[test]
fn a_change_of_keys_breaks_no_peer() {
    let authority = Authority::in_memory(td(), DEFAULT_CA_TTL).unwrap();
    let first = authority.current();
    let (issued, signed) = (issue(&first), token(&first));
    assert!(authority.rotate(Rotation::Prepare, DEFAULT_CA_TTL).unwrap());
    let prepared = authority.current();
    // A peer that heard of the next keys judges by the present ones, and one that did not yet hear, too.
    for (issuing, bundle) in [(&first, &prepared), (&prepared, &first)] {
        holds(&issue(issuing), &token(issuing), &bundles(bundle));
    }
    assert!(authority.rotate(Rotation::Activate, DEFAULT_CA_TTL).unwrap());
    let second = authority.current();
    assert_ne!(second.x509.certificate(), first.x509.certificate());
    for bundle in [&prepared, &second] {
        holds(&issue(&second), &token(&second), &bundles(bundle));
    }
    holds(&issued, &signed, &bundles(&second));
    assert!(second.sequence > prepared.sequence && prepared.sequence > first.sequence);
    // Taken back: nothing of the old keys counts.
    assert!(authority.rotate(Rotation::Forget, DEFAULT_CA_TTL).unwrap());
    let third = authority.current();
    let svid = X509Svid::from_der(&issued.chain_der, &issued.key_der).unwrap();
    let chain: Vec<&[u8]> = svid.certificates().collect();
    let error = verify_x509_svid(&chain, &bundles(&third), &X509VerifyOptions::default()).unwrap_err();
    assert_eq!(error.code(), "unknown_issuer");
    let error = verify_jwt_svid(&signed, &bundles(&third), &JwtVerifyOptions::new("shop")).unwrap_err();
    assert_eq!(error.code(), "unknown_key_id");
}

#[test]
fn the_state_outlives_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/er");
    let authority = Authority::open(td(), DEFAULT_CA_TTL, &path).unwrap();
    for step in [Rotation::Activate, Rotation::Prepare] {
        authority.rotate(step, DEFAULT_CA_TTL).unwrap();
    }
    let before = authority.current();
    let (issued, signed) = (issue(&before), token(&before));
    assert_eq!(before.x509_bundle.len(), 3);
    // One at a time.
    assert!(matches!(Authority::open(td(), DEFAULT_CA_TTL, &path), Err(AuthorityError::Locked(_))));
    drop(authority);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(path.join("authority.json")).unwrap().mode() & 0o777, 0o600);
    let authority = Authority::open(td(), DEFAULT_CA_TTL, &path).unwrap();
    let after = authority.current();
    assert_eq!(after.sequence, before.sequence);
    assert_eq!(after.x509_bundle.to_der(), before.x509_bundle.to_der());
    assert_eq!(after.jwt_bundle, before.jwt_bundle);
    assert_eq!(after.jwt.key_id(), before.jwt.key_id());
    holds(&issued, &signed, &bundles(&after));
    // What it issues now chains by name and by key to the root that was read back.
    holds(&issue(&after), &token(&after), &bundles(&before));
}

#[test]
fn a_state_that_is_not_its_own_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    drop(Authority::open(td(), DEFAULT_CA_TTL, path).unwrap());
    let file = path.join("authority.json");
    let good = fs::read_to_string(&file).unwrap();
    let fails = |what: &str| {
        let error = Authority::open(td(), DEFAULT_CA_TTL, path).err().unwrap_or_else(|| panic!("{what}")).to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
        error
    };
    let put = |text: &[u8]| fs::write(&file, text).unwrap();
    let other = Authority::open(TrustDomain::parse("example.com").unwrap(), DEFAULT_CA_TTL, path);
    assert!(other.err().unwrap().to_string().contains("the authority of example.org, not of example.com"));
    for (what, text) in [
        ("empty", String::new()),
        ("cut", good[..good.len() / 2].to_owned()),
        ("not JSON", "\u{0}garbage".to_owned()),
        ("an unknown member", good.replacen('{', "{\"more\":1,", 1)),
        ("another format", good.replace("\"format\":1", "\"format\":2")),
        ("no key", good.replace("\"active\":{", "\"prepared\":{")),
    ] {
        put(text.as_bytes());
        fails(what);
        assert_eq!(fs::read_to_string(&file).unwrap(), text, "{what}: the file is untouched");
    }
    // The key of one root with the certificate of another.
    let key = |text: &str| {
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        json["x509"]["active"]["key"].as_str().unwrap().to_owned()
    };
    let elsewhere = tempfile::tempdir().unwrap();
    drop(Authority::open(td(), DEFAULT_CA_TTL, elsewhere.path()).unwrap());
    let stranger = key(&fs::read_to_string(elsewhere.path().join("authority.json")).unwrap());
    put(good.replace(&key(&good), &stranger).as_bytes());
    let said = fails("a foreign key");
    assert!(said.contains("not that of the certificate") && !said.contains(&stranger), "{said}");
    put(good.as_bytes());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(fails("readable for others").contains("chmod 600"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(fails("writable for others").contains("chmod go-w"));
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    let moved = path.join("elsewhere");
    fs::rename(&file, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &file).unwrap();
    fails("a symbolic link");
    fs::rename(&moved, &file).unwrap();
    assert!(Authority::open(td(), DEFAULT_CA_TTL, path).is_ok());
}

/// A process started by another thread has every descriptor of this one until it becomes another program.
#[test]
fn the_lock_goes_with_its_authority_though_a_child_still_has_its_descriptor() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::open(td(), DEFAULT_CA_TTL, directory.path()).unwrap();
    let lock = fs::canonicalize(directory.path().join("authority.lock")).unwrap();
    let number = fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap())
        .find(|entry| fs::read_link(entry.path()).is_ok_and(|to| to == lock))
        .map(|entry| entry.file_name().to_str().unwrap().parse().unwrap())
        .unwrap();
    let this = rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty()).unwrap();
    let child_has = rustix::process::pidfd_getfd(&this, number, rustix::process::PidfdGetfdFlags::empty()).unwrap();
    assert!(matches!(Authority::open(td(), DEFAULT_CA_TTL, directory.path()), Err(AuthorityError::Locked(_))));
    drop(authority);
    Authority::open(td(), DEFAULT_CA_TTL, directory.path()).unwrap();
    drop(child_has);
}

/// In a copy of this program: changes keys without end.
#[test]
fn rotate_until_killed() {
    let Some(path) = std::env::var_os("AUTHORITY_STATE") else { return };
    let authority = Authority::open(td(), DEFAULT_CA_TTL, Path::new(&path)).unwrap();
    println!("\nOPEN {}", authority.current().sequence);
    for step in [Rotation::Prepare, Rotation::Activate, Rotation::Forget].into_iter().cycle() {
        authority.rotate(step, DEFAULT_CA_TTL).unwrap();
        println!("\nTOLD {}", authority.current().sequence);
    }
}

/// kill -9 at any moment, 200 times: it starts again, and what it told others is still known.
#[test]
fn it_starts_again_after_any_crash() {
    let directory = tempfile::tempdir().unwrap();
    let mut told = 0;
    let mut changes = 0;
    for round in 0..200_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "rotate_until_killed", "--nocapture", "--test-threads=1"])
            .env("AUTHORITY_STATE", directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        // Half of them die while they change keys, after so many changes, the others while they start.
        let lived = |said: &str| said.contains("OPEN") && said.matches("TOLD").count() as u64 >= round / 2 % 6;
        while round % 2 == 0 && !lived(&said) && output.read_line(&mut said).unwrap() > 0 {}
        std::thread::sleep(Duration::from_micros(if round % 2 == 0 { 0 } else { 15_000 } + (round * 7919) % 9000));
        child.kill().unwrap();
        output.read_to_string(&mut said).unwrap();
        child.wait().unwrap();
        let last = said.lines().filter_map(|line| line.strip_prefix("TOLD ")?.parse::<u64>().ok()).next_back();
        changes += said.matches("TOLD").count();
        told = last.unwrap_or(told).max(told);
        let authority = Authority::open(td(), DEFAULT_CA_TTL, directory.path()).unwrap();
        let issuing = authority.current();
        assert!(issuing.sequence >= told, "round {round}: {} was told of {told}", issuing.sequence);
        holds(&issue(&issuing), &token(&issuing), &bundles(&issuing));
    }
    println!("{changes} changes of keys were told of in 200 lives");
    assert!(changes > 200, "the crashes came too early to show anything: {changes} changes");
    let left: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|found| found.unwrap().file_name()).collect();
    assert!(left.len() <= 3, "{left:?}");
}
