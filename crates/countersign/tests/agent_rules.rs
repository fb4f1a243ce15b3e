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
    assert_eq!(billing.identity, "BILLING_PROD");
    assert_eq!(billing.position.unwrap().line, 2);
    assert_eq!(billing.policy.uid, Some(1001));
    assert_eq!(billing.policy.group.as_ref().unwrap().gid, 0);
    assert_eq!(billing.policy.exe, Some(PathPattern::Exact("/usr/bin/billing".into())));
    assert_eq!(billing.policy.cgroup, Some(PathPattern::Below("/system.slice".into())));
    assert_eq!(billing.policy.exe_sha256.unwrap()[..2], [0x00, 0x11]);
    assert_eq!(billing.policy.exe_sha256.unwrap()[31], 0xff);
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
    refused_at("[[rules]]\nidentity = \"A\"\n", 1, 3, "rules");
    refused_at("[[rule]]\nidentity = \"A\"\nmatch = { uid = 1 }\nspiffe_id = \"spiffe://a/b\"\n", 4, 1, "spiffe_id");
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
