//! What a rules file may say, and how it is told where it is wrong.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use countersign::agent::{RuleSet, TokenSource};
use countersign::peer::PathPattern;

fn error_of(text: &str) -> String {
    match RuleSet::parse(text) {
        Ok(_) => panic!("these rules must not be taken:\n{text}"),
        Err(error) => error.to_string(),
    }
}

/// The line and column of an error, and a part of what it says.
#[track_caller]
fn refused_at(text: &str, line: usize, column: usize, says: &str) {
    let error = RuleSet::parse(text).expect_err("these rules must not be taken");
    let position = error.position.unwrap_or_else(|| panic!("no position in {error}"));
    assert_eq!((position.line, position.column), (line, column), "{error}");
    assert!(error.message.contains(says), "{error}");
}

#[test]
fn a_full_rule_is_read() {
    let rules = RuleSet::parse(
        r#"
[[rule]]
identity = "BILLING_PROD"
match = { uid = 1001, gid = 1001, group = "root", exe = "/usr/bin/billing", process = "billing", cgroup = "/system.slice/*", unit = "billing.service", exe_sha256 = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF" }
idm_url = "https://auth.example.com/oauth2/billing"
config_url = "https://config.example.com/api/billing"
token_file = "/etc/countersign/billing.token"

[[rule]]
identity = "ROOT"
match = { user = "root", exe = "/opt/acme/*", group = 7 }
token = "inline"

[[rule]]
identity = "BY_NAME"
match = { process = "legacy" }
allow_spoofable = true
"#,
    )
    .unwrap();
    let [billing, root, by_name] = rules.rules() else {
        panic!("expected three rules");
    };
    assert_eq!(billing.identity.as_deref(), Some("BILLING_PROD"));
    assert_eq!(billing.position.unwrap().line, 2);
    assert_eq!(billing.policy.uid, Some(1001));
    assert_eq!(billing.policy.group.as_ref().unwrap().gid, 0);
    assert_eq!(billing.policy.exe, Some(PathPattern::Exact("/usr/bin/billing".into())));
    assert_eq!(billing.policy.cgroup, Some(PathPattern::Below("/system.slice".into())));
    assert_eq!(billing.policy.exe_sha256.unwrap().as_bytes()[..2], [0x00, 0x11]);
    assert_eq!(billing.policy.exe_sha256.unwrap().as_bytes()[31], 0xff);
    assert!(matches!(billing.token, TokenSource::File(_)));
    assert_eq!(root.policy.uid, Some(0));
    assert_eq!(root.policy.group.as_ref().unwrap().gid, 7);
    assert_eq!(root.idm_url, "");
    assert_eq!(root.token.read().unwrap().expose(), "inline");
    assert!(by_name.policy.allow_spoofable);
}

#[test]
fn a_typo_never_widens_access() {
    refused_at("[[rule]]\nidentity = \"A\"\nmatch = { uid = 1, exxe = \"/bin/x\" }\n", 3, 20, "exxe");
    refused_at("[[rule]]\nidentity = \"A\"\nmatch = { uid = 1 }\ntokn = \"x\"\n", 4, 1, "tokn");
    // What the addon's policies know besides, and what has no names.
    refused_at("[[rule]]\nidentity = \"A\"\nmatch = { uid = 1, pid = 7 }\n", 3, 26, "pid");
    refused_at("[[rule]]\nidentity = \"A\"\nmatch = { uid = 1, allow_spoofable = true }\n", 3, 38, "allow_spoofable");
    refused_at("[[rule]]\nidentity = \"A\"\nmatch = { uid = 1, exeSha256 = \"00\" }\n", 3, 20, "exeSha256");
    refused_at("[[rule]]\nidentity = \"A\"\nmatch = [1]\n", 3, 9, "conditions with names");
    refused_at("[[rules]]\nidentity = \"A\"\n", 1, 3, "rules");
    refused_at("[[rule]]\nidentity = \"A\"\nmatch = { uid = 1 }\nspiffe_ids = \"spiffe://a/b\"\n", 4, 1, "spiffe_ids");
}

#[test]
fn the_position_is_that_of_the_offender() {
    refused_at("[[rule]]\nidentity = \"A\"\nmatch = { uid = \"x\" }\n", 3, 17, "u32");
    refused_at("[[rule]]\nidentity = \"A\"\nmatch = { uid = -1 }\n", 3, 17, "u32");
    refused_at("[[rule]]\nidentity = \"A\"\nmatch = { uid = 4294967295 }\n", 3, 17, "no such id");
    refused_at("[[rule]]\nidentity = \"A\"\nmatch = { group = 1.5 }\n", 3, 19, "a group name or number");
    refused_at("[[rule]]\nidentity = \"A\"\nmatch = { user = \"no-such-user\" }\n", 3, 18, "no-such-user");
    refused_at("[[rule]]\nidentity = \"A\"\nmatch = { uid = 0, user = \"root\" }\n", 3, 27, "both");
    refused_at("# é\n[[rule]]\nidentity = \"é\"\nmatch = { exe = \"bin/x\" }\n", 4, 17, "absolute path");
    refused_at("[[rule]]\nidentity = \"é\\t\"\nmatch = { uid = 1 }\n", 2, 12, "control");
    refused_at("[[rule]]\nidentity = \"\"\nmatch = { uid = 1 }\n", 2, 12, "empty");
    refused_at("[[rule]]\nidentity = \"A\"\n", 1, 1, "match");
    refused_at("[[rule]]\nmatch = { uid = 1 }\n", 1, 1, "identity");
    refused_at("[[rule]]\nidentity = \"A\nmatch = { uid = 1 }\n", 2, 14, "");
    refused_at("[[rule]]\nidentity = \"A\"\nidentity = \"B\"\nmatch = { uid = 1 }\n", 3, 1, "duplicate");
    let two = "[[rule]]\nidentity = \"A\"\nmatch = { uid = 1 }\ntoken = \"x\"\ntoken_file = \"/x\"\n";
    refused_at(two, 5, 14, "both");
}

#[test]
fn a_rule_must_rest_on_what_the_kernel_vouches_for() {
    refused_at("[[rule]]\nidentity = \"A\"\nmatch = { }\n", 3, 9, "every process");
    refused_at("[[rule]]\nidentity = \"A\"\nmatch = { process = \"x\" }\n", 3, 9, "names itself");
    let allowed_but_empty = "[[rule]]\nidentity = \"A\"\nmatch = { }\nallow_spoofable = true\n";
    refused_at(allowed_but_empty, 3, 9, "every process");
    assert!(error_of("").contains("no [[rule]]"));
    assert!(error_of("rule = []").contains("no [[rule]]"));
}

#[test]
fn paths_hashes_and_names_are_checked() {
    let with = |condition: &str| format!("[[rule]]\nidentity = \"A\"\nmatch = {{ {condition} }}\n");
    for bad in [
        "exe = \"/opt/*/bin\"",
        "exe = \"/opt/a*\"",
        "exe = \"/opt/../etc/x\"",
        "exe = \"/*\"",
        "unit = \"billing\"",
        "exe = \"\"",
        "exe = \"*\"",
        "exe_sha256 = \"00\"",
        "exe_sha256 = \"zz112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF\"",
        "uid = 1, process = \"a-name-that-is-too-long\"",
        "unit = \"\"",
        "uid = 1, process = \"\"",
    ] {
        error_of(&with(bad));
    }
    RuleSet::parse(&with("exe = \"/opt/*\"")).unwrap();
}

#[test]
fn an_error_never_shows_a_token() {
    for text in [
        "[[rule]]\nidentity = \"A\"\nmatch = { uid = 1 }\ntoken = 123456789\n",
        "[[rule]]\nidentity = \"A\"\nmatch = { uid = 1 }\ntoken = [\"123456789\"]\n",
        "[[rule]]\nidentity = \"A\"\nmatch = { uid = 1 }\ntoken = { a = \"123456789\" }\n",
        "[[rule]]\nidentity = \"A\"\nmatch = { uid = 1 }\ntoken = 1.23456789\n",
        "[[rule]]\nidentity = \"A\"\nmatch = { uid = 1 }\ntoken = 2012-03-04T05:06:07.23456789Z\n",
        "[[rule]]\nidentity = \"A\"\nmatch = { uid = 1 }\ntoken = \"123456789\" \"\n",
        "[[rule]]\nidentity = \"A\"\nmatch = { uid = 1 }\ntoken = 0x123456789zz\n",
        "[[rule]]\nidentity = \"A\"\nmatch = { uid = 1 }\ntoken = s23456789\n",
    ] {
        let error = RuleSet::parse(text).expect_err("not a string");
        assert_eq!(error.position.unwrap().line, 4, "{error}");
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains("23456789"), "{shown}");
        }
    }
    let rules = RuleSet::parse("[[rule]]\nidentity = \"A\"\nmatch = { uid = 1 }\ntoken = \"123456789\"\n");
    assert!(!format!("{:?}", rules.unwrap()).contains("123456789"));
}

#[test]
fn the_file_itself_must_be_trustworthy() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rules.toml");
    let text = "[[rule]]\nidentity = \"A\"\nmatch = { uid = 1 }\ntoken = \"x\"\n";
    fs::write(&path, text).unwrap();
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();

    mode(0o600);
    assert_eq!(RuleSet::load(&path).unwrap().warnings(), [""; 0]);
    mode(0o644);
    let warnings = RuleSet::load(&path).unwrap().warnings().join(" ");
    assert!(warnings.contains("read the tokens"), "{warnings}");
    mode(0o660);
    let warnings = RuleSet::load(&path).unwrap().warnings().join(" ");
    assert!(warnings.contains("group"), "{warnings}");
    mode(0o606);
    let error = RuleSet::load(&path).unwrap_err().to_string();
    assert!(error.contains("rules.toml: mode 0606"), "{error}");

    mode(0o600);
    fs::write(&path, "[[rule]]\nidentity = \"A\"\nmatch = { uidd = 1 }\n").unwrap();
    let error = RuleSet::load(&path).unwrap_err().to_string();
    assert!(error.contains("rules.toml:3:11: "), "{error}");
    fs::write(&path, b"# a\n# \xff\n").unwrap();
    let error = RuleSet::load(&path).unwrap_err().to_string();
    assert!(error.contains("rules.toml:2:3: not UTF-8"), "{error}");
    let error = RuleSet::load(directory.path()).unwrap_err().to_string();
    assert!(error.contains("not a regular file"), "{error}");
    let error = RuleSet::load(&directory.path().join("none")).unwrap_err();
    assert!(error.to_string().contains("none: No such file"), "{error}");

    let fifo = directory.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let error = RuleSet::load(&fifo).unwrap_err().to_string();
    assert!(error.contains("not a regular file"), "{error}");
}

#[test]
fn a_token_file_is_only_its_owners() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let source = TokenSource::File(path.clone());
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    let refused = |says: &str| {
        let error = source.read().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    };

    refused("No such file");
    fs::write(&path, "s3cret\n").unwrap();
    for open in [0o640, 0o604, 0o620, 0o644, 0o601] {
        mode(open);
        refused("others than its owner");
    }
    mode(0o600);
    assert_eq!(source.read().unwrap().expose(), "s3cret");
    for (text, token) in [("a\n\n", "a\n"), ("a\r\n", "a"), ("", ""), (" a ", " a ")] {
        fs::write(&path, text).unwrap();
        assert_eq!(source.read().unwrap().expose(), token);
    }
    fs::write(&path, b"\xff").unwrap();
    refused("not UTF-8");
    fs::write(&path, "x".repeat(64 * 1024)).unwrap();
    assert_eq!(source.read().unwrap().expose().len(), 64 * 1024);
    fs::write(&path, "x".repeat(64 * 1024 + 1)).unwrap();
    refused("longer than");

    // Mounted secrets are symbolic links to the real file.
    let link = directory.path().join("link");
    fs::write(&path, "linked").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert_eq!(TokenSource::File(link).read().unwrap().expose(), "linked");
    let error = TokenSource::File(directory.path().into()).read();
    assert!(error.unwrap_err().to_string().contains("not a regular"));

    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(1001), None).unwrap();
        refused("owned by uid 1001");
    } else {
        println!("SKIPPED: a token file of another user (needs root)");
    }
}

#[test]
fn the_examples_are_rules() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut read = 0;
    for example in fs::read_dir(examples).unwrap() {
        let path = example.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let rules = RuleSet::parse(&fs::read_to_string(&path).unwrap()).unwrap();
            assert!(rules.lint().is_empty(), "{}", path.display());
            read += 1;
        }
    }
    assert!(read > 0);
}

/// A rule that is good but for the given lines, below a table with these.
fn svid_rule(table: &str, lines: &str) -> String {
    format!("[workload_api]\ntrust_domain = \"example.org\"\n{table}\n[[rule]]\nmatch = {{ uid = 1 }}\n{lines}\n")
}

const FEDERATED: &str = "[workload_api.federates_with.\"partner.org\"]\nbundle_file = \"/etc/partner.json\"";

#[test]
fn rules_give_svids() {
    let rules = RuleSet::parse(&svid_rule(
        "socket = \"/run/w.sock\"\nstate_dir = \"/var/lib/x\"\nca_ttl = \"48h\"\nx509_svid_ttl = \"1h30m\"\njwt_svid_ttl = 90\n[workload_api.federates_with.\"Partner.org\"]\nbundle_file = \"/etc/partner.json\"\nbundle_endpoint_url = \"https://partner.org/bundle\"\nbundle_endpoint_profile = \"https_spiffe\"\nendpoint_spiffe_id = \"spiffe://partner.org/endpoint\"\n[workload_api.federates_with.other]\nbundle_endpoint_url = \"https://other:8443\"\nbundle_endpoint_profile = \"https_web\"",
        "spiffe_id = \"spiffe://Example.org/a/B\"\nhint = \"internal\"\nx509_svid_ttl = \"10m\"\njwt_svid_ttl = \"1m5s\"\ndns_names = [\"A.example.org\", \"*.a.example.org\"]\nfederates_with = [\"spiffe://partner.org\", \"other\"]",
    ))
    .unwrap();
    let [rule] = rules.rules() else { panic!("one rule") };
    assert_eq!((rule.identity.as_deref(), rule.name()), (None, "spiffe://example.org/a/B"));
    let svid = rule.svid.as_ref().unwrap();
    let seconds = |ttl: Option<std::time::Duration>| ttl.unwrap().as_secs();
    assert_eq!((seconds(svid.x509_svid_ttl), seconds(svid.jwt_svid_ttl)), (600, 65));
    assert_eq!(svid.dns_names, ["a.example.org", "*.a.example.org"]);
    assert_eq!(svid.federates_with.iter().map(|name| name.name()).collect::<Vec<_>>(), ["partner.org", "other"]);
    let settings = rules.workload_api().unwrap();
    assert_eq!(
        (seconds(settings.ca_ttl), seconds(settings.x509_svid_ttl), seconds(settings.jwt_svid_ttl)),
        (172_800, 5400, 90)
    );
    assert_eq!(settings.federates_with.len(), 2);
    assert!(rules.warnings().is_empty() && rules.lint().is_empty());
    let alone = RuleSet::parse("[[rule]]\nmatch = { uid = 1 }\nspiffe_id = \"spiffe://a/b\"\n").unwrap();
    assert!(alone.warnings()[0].contains("--trust-domain"));
}

#[test]
fn what_is_said_of_svids_is_checked_where_it_stands() {
    let id = "spiffe_id = \"spiffe://example.org/a\"\n";
    for (line, column, says, table, lines) in [
        (6, 13, "wrong_scheme", "", "spiffe_id = \"https://example.org/a\""),
        (6, 13, "names a trust domain", "", "spiffe_id = \"spiffe://example.org\""),
        (6, 13, "no authority of another", "", "spiffe_id = \"spiffe://example.com/a\""),
        (4, 1, "gives nothing", "", ""),
        (6, 8, "no spiffe_id", "", "hint = \"x\"\nidentity = \"A\""),
        (6, 13, "no spiffe_id", "", "dns_names = []\nidentity = \"A\""),
        (7, 11, "goes with an identity", "", &format!("{id}idm_url = \"x\"")),
        (7, 9, "goes with an identity", "", &format!("{id}token = \"x\"")),
        (7, 8, "leave it out", "", &format!("{id}hint = \"\"")),
        (7, 8, "longer than 1024", "", &format!("{id}hint = \"{}\"", "x".repeat(1025))),
        (7, 8, "control characters", "", &format!("{id}hint = \"a\\u0007\"")),
        (7, 20, "not a DNS name", "", &format!("{id}dns_names = [\"ok\", \"-a\"]")),
        (7, 14, "not a DNS name", "", &format!("{id}dns_names = [\"a..b\"]")),
        (7, 17, "at least one second", "", &format!("{id}x509_svid_ttl = 0")),
        (7, 16, "1h30m", "", &format!("{id}jwt_svid_ttl = \"soon\"")),
        (7, 16, "1h30m", "", &format!("{id}jwt_svid_ttl = \"1m1h\"")),
        (7, 16, "1h30m", "", &format!("{id}jwt_svid_ttl = -1")),
        (7, 19, "not among those", "", &format!("{id}federates_with = [\"partner.org\"]")),
        (3, 17, "longer than ca_ttl", "x509_svid_ttl = \"2h\"\nca_ttl = \"1h\"", id),
        (3, 10, "absolute path", "socket = \"w.sock\"", id),
        (3, 13, "absolute path", "state_dir = \"x\"", id),
        (3, 1, "unknown field", "sockets = 1", id),
        (3, 30, "own trust domain", "[workload_api.federates_with.\"example.org\"]\nbundle_file = \"/x\"", id),
        (3, 30, "expected bundle_file or", "[workload_api.federates_with.\"partner.org\"]", id),
        (
            4,
            23,
            "user information",
            "[workload_api.federates_with.partner]\nbundle_endpoint_url = \"https://u@x\"\nbundle_endpoint_profile = \"https_web\"",
            id,
        ),
        (
            4,
            23,
            "expected https",
            "[workload_api.federates_with.partner]\nbundle_endpoint_url = \"http://x\"\nbundle_endpoint_profile = \"https_web\"",
            id,
        ),
        (4, 23, "profile is missing", "[workload_api.federates_with.partner]\nbundle_endpoint_url = \"https://x\"", id),
        (
            5,
            27,
            "expected https_web or",
            "[workload_api.federates_with.partner]\nbundle_endpoint_url = \"https://x\"\nbundle_endpoint_profile = \"web\"",
            id,
        ),
        (
            5,
            27,
            "needs endpoint_spiffe_id",
            "[workload_api.federates_with.partner]\nbundle_endpoint_url = \"https://x\"\nbundle_endpoint_profile = \"https_spiffe\"",
            id,
        ),
    ] {
        let error = RuleSet::parse(&svid_rule(table, lines)).expect_err(lines);
        let position = error.position.unwrap_or_else(|| panic!("no position in {error}"));
        let found = error.message.contains(says) || says == "wrong_scheme" && error.message.contains("scheme");
        let exact = (position.line, position.column) == (line, column);
        assert!(found && exact, "expected {line}:{column} {says}: {error}");
    }
    let unknown = svid_rule(FEDERATED, &format!("{id}federates_with = [\"partner.org\", \"other.org\"]"));
    assert!(error_of(&unknown).contains("other.org is not among those"));
}
