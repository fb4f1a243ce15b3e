use std::cell::RefCell;

use super::*;
use crate::peer::ExeDoubt;

/// A peer made of facts, that notes which of them were asked for.
struct Billing {
    credentials: PeerCredentials,
    exe: Exe,
    asked: RefCell<Vec<&'static str>>,
}

impl Facts for Billing {
    fn ids(&self) -> PeerIds {
        self.credentials.ids()
    }
    fn credentials(&self) -> &PeerCredentials {
        &self.credentials
    }
    fn comm(&self) -> Result<Option<String>, PeerError> {
        self.asked.borrow_mut().push("comm");
        Ok(Some("billing".into()))
    }
    fn cgroup(&self) -> Result<Option<String>, PeerError> {
        self.asked.borrow_mut().push("cgroup");
        Ok(Some("/system.slice/billing.service/worker".into()))
    }
    fn exe(&self) -> Result<Exe, PeerError> {
        self.asked.borrow_mut().push("exe");
        Ok(self.exe.clone())
    }
    fn exe_sha256(&self) -> Result<Option<[u8; 32]>, PeerError> {
        self.asked.borrow_mut().push("sha");
        Ok(Some([0xab; 32]))
    }
}

fn billing() -> Billing {
    Billing {
        credentials: PeerCredentials {
            pid: Some(42),
            uid: Some(1001),
            gid: Some(1002),
            groups: Some(vec![7, 8]),
            security_label: None,
        },
        exe: Exe::Proven("/opt/acme/bin/billing".into()),
        asked: RefCell::default(),
    }
}

fn below(text: &str) -> Option<PathPattern> {
    Some(PathPattern::parse("exe", text).unwrap())
}

#[test]
fn every_condition_can_hold_and_fail() {
    let any = PeerPolicy::default;
    let table: Vec<(PeerPolicy, Option<&str>)> = vec![
        (PeerPolicy { uid: Some(1001), ..any() }, None),
        (PeerPolicy { uid: Some(0), ..any() }, Some("uid: expected 0, peer has 1001")),
        (PeerPolicy { gid: Some(1002), ..any() }, None),
        (PeerPolicy { gid: Some(7), ..any() }, Some("gid: expected 7, peer has 1002")),
        (PeerPolicy { pid: Some(42), ..any() }, None),
        (PeerPolicy { pid: Some(43), ..any() }, Some("pid: expected 43, peer has 42")),
        (PeerPolicy { group: Some(1002.into()), ..any() }, None),
        (PeerPolicy { group: Some(8.into()), ..any() }, None),
        (
            PeerPolicy { group: Some(Group { gid: 9, name: Some("ops".into()) }), ..any() },
            Some("group: expected ops (9), peer has 1002, 7, 8"),
        ),
        (PeerPolicy { process: Some("billing".into()), allow_spoofable: true, ..any() }, None),
        (
            PeerPolicy { process: Some("x".into()), allow_spoofable: true, ..any() },
            Some("process: expected x, peer has billing"),
        ),
        (PeerPolicy { cgroup: below("/system.slice/billing.service/worker"), ..any() }, None),
        (PeerPolicy { cgroup: below("/system.slice/*"), ..any() }, None),
        (
            PeerPolicy { cgroup: below("/user.slice/*"), ..any() },
            Some("cgroup: expected /user.slice/*, peer has /system.slice/billing.service/worker"),
        ),
        (PeerPolicy { unit: Some("billing.service".into()), ..any() }, None),
        (
            PeerPolicy { unit: Some("other.service".into()), ..any() },
            Some("unit: expected other.service, peer has billing.service"),
        ),
        (PeerPolicy { exe: below("/opt/acme/bin/billing"), ..any() }, None),
        (PeerPolicy { exe: below("/opt/acme/*"), ..any() }, None),
        (
            PeerPolicy { exe: below("/usr/bin/*"), ..any() },
            Some("exe: expected /usr/bin/*, peer has /opt/acme/bin/billing"),
        ),
        (PeerPolicy { exe_sha256: Some([0xab; 32]), ..any() }, None),
        // Every condition must hold, and the first that fails is named.
        (PeerPolicy { uid: Some(1001), gid: Some(1), pid: Some(2), ..any() }, Some("gid: expected 1, peer has 1002")),
    ];
    for (policy, denied) in table {
        let policy = policy.validated().unwrap();
        let verdict = policy.judge(&billing()).unwrap();
        assert_eq!(verdict.err().map(|denied| denied.to_string()).as_deref(), denied, "{policy:?}");
    }
    let other = PeerPolicy { exe_sha256: Some([1; 32]), ..any() };
    assert_eq!(other.judge(&billing()).unwrap().unwrap_err().field, "exe_sha256");
}

#[test]
fn an_executable_in_doubt_matches_nothing() {
    let policy = PeerPolicy { exe: below("/opt/acme/*"), ..PeerPolicy::default() };
    for doubt in
        [ExeDoubt::Deleted, ExeDoubt::OtherMount, ExeDoubt::NotHolder, ExeDoubt::Permission, ExeDoubt::Unsupported]
    {
        for exe in [Exe::Doubtful("/opt/acme/bin/billing".into(), doubt), Exe::Unknown(doubt)] {
            let peer = Billing { exe, ..billing() };
            let denied = policy.judge(&peer).unwrap().unwrap_err();
            assert_eq!(denied.field, "exe");
            assert!(denied.actual.contains(&doubt.to_string()), "{denied}");
        }
    }
}

#[test]
fn what_a_system_cannot_say_matches_nothing() {
    let nobody = PeerCredentials { pid: None, uid: None, gid: None, groups: None, security_label: None };
    for policy in [
        PeerPolicy { uid: Some(0), ..PeerPolicy::default() },
        PeerPolicy { gid: Some(0), ..PeerPolicy::default() },
        PeerPolicy { pid: Some(1), ..PeerPolicy::default() },
        PeerPolicy { group: Some(0.into()), ..PeerPolicy::default() },
    ] {
        let peer = Billing { credentials: nobody.clone(), ..billing() };
        assert_eq!(policy.judge(&peer).unwrap().unwrap_err().actual, "unknown");
    }
}

#[test]
fn a_refusal_by_credentials_reads_nothing_else() {
    let peer = billing();
    let policy = PeerPolicy { uid: Some(0), exe: below("/opt/acme/*"), ..PeerPolicy::default() };
    assert!(policy.judge(&peer).unwrap().is_err());
    assert!(peer.asked.borrow().is_empty());
    let policy = PeerPolicy { unit: Some("x.service".into()), exe: below("/opt/acme/*"), ..PeerPolicy::default() };
    assert!(policy.judge(&peer).unwrap().is_err());
    assert_eq!(*peer.asked.borrow(), ["cgroup"]);
}

#[test]
fn a_policy_must_rest_on_something() {
    let empty = PeerPolicy::default();
    let spoofable = PeerPolicy { process: Some("billing".into()), ..PeerPolicy::default() };
    assert_eq!(empty.clone().validated(), Err(PolicyError::Empty));
    assert_eq!(PeerPolicy { allow_spoofable: true, ..empty.clone() }.validated(), Err(PolicyError::Empty));
    assert_eq!(spoofable.clone().validated(), Err(PolicyError::Spoofable));
    assert!(PeerPolicy { uid: Some(0), ..spoofable.clone() }.validated().is_ok());
    // Not validated, they still let nobody in.
    for policy in [empty, spoofable] {
        assert_eq!(policy.judge(&billing()).unwrap().unwrap_err().field, "policy");
    }
}

#[test]
fn values_that_mean_nothing_are_refused() {
    let field = |policy: PeerPolicy| match policy.validated() {
        Err(PolicyError::Invalid { field, .. }) => Some(field),
        _ => None,
    };
    let any = PeerPolicy::default;
    for exe in [PathPattern::Exact("billing".into()), PathPattern::Below("/".into()), PathPattern::Exact("/a/*".into())]
    {
        assert_eq!(field(PeerPolicy { exe: Some(exe.clone()), ..any() }), Some("exe"), "{exe}");
        assert_eq!(field(PeerPolicy { cgroup: Some(exe), ..any() }), Some("cgroup"));
    }
    for unit in ["billing", "", ".service", "a b.service", "system.slice", "a/b.service"] {
        assert_eq!(field(PeerPolicy { unit: Some(unit.into()), ..any() }), Some("unit"), "{unit}");
    }
    for unit in ["billing.service", "user@1000.service", "session-1.scope"] {
        assert!(PeerPolicy { unit: Some(unit.into()), ..any() }.validated().is_ok(), "{unit}");
    }
    assert_eq!(field(PeerPolicy { uid: Some(0), process: Some("x".repeat(16)), ..any() }), Some("process"));
    assert_eq!(field(PeerPolicy { uid: Some(0), process: Some(String::new()), ..any() }), Some("process"));
    assert_eq!(field(PeerPolicy { pid: Some(0), ..any() }), Some("pid"));
}

#[test]
fn a_hash_is_64_hexadecimal_digits() {
    assert_eq!(PeerPolicy::parse_sha256(&"aB".repeat(32)), Ok([0xab; 32]));
    for text in ["", "ab", &"g".repeat(64), &"ab".repeat(33), &"+a".repeat(32), &"é".repeat(32)] {
        assert!(PeerPolicy::parse_sha256(text).is_err(), "{text}");
    }
}

#[test]
fn a_group_is_looked_up_by_name() {
    assert_eq!(Group::named("root").map(|group| group.gid), Ok(0));
    assert!(Group::named("no-such-group-here").is_err());
}
