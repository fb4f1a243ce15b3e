use std::cell::RefCell;

use super::*;
use crate::peer::{ExeDoubt, PathPattern};

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

fn process(name: &str) -> Option<ProcessName> {
    Some(ProcessName::parse(name).unwrap())
}

fn unit(name: &str) -> Option<UnitName> {
    Some(UnitName::parse(name).unwrap())
}

fn below(text: &str) -> Option<PathPattern> {
    Some(PathPattern::parse("exe", text).unwrap())
}

#[test]
fn every_condition_can_hold_and_fail() {
    let any = PeerConditions::default;
    let table: Vec<(PeerConditions, Option<&str>)> = vec![
        (PeerConditions { uid: Some(1001), ..any() }, None),
        (PeerConditions { uid: Some(0), ..any() }, Some("uid: expected 0, peer has 1001")),
        (PeerConditions { gid: Some(1002), ..any() }, None),
        (PeerConditions { gid: Some(7), ..any() }, Some("gid: expected 7, peer has 1002")),
        (PeerConditions { pid: Some(42), ..any() }, None),
        (PeerConditions { pid: Some(43), ..any() }, Some("pid: expected 43, peer has 42")),
        (PeerConditions { group: Some(1002.into()), ..any() }, None),
        (PeerConditions { group: Some(8.into()), ..any() }, None),
        (
            PeerConditions { group: Some(Group { gid: 9, name: Some("ops".into()) }), ..any() },
            Some("group: expected ops (9), peer has 1002, 7, 8"),
        ),
        (PeerConditions { process: process("billing"), allow_spoofable: true, ..any() }, None),
        (
            PeerConditions { process: process("x"), allow_spoofable: true, ..any() },
            Some("process: expected x, peer has billing"),
        ),
        (PeerConditions { cgroup: below("/system.slice/billing.service/worker"), ..any() }, None),
        (PeerConditions { cgroup: below("/system.slice/*"), ..any() }, None),
        (
            PeerConditions { cgroup: below("/user.slice/*"), ..any() },
            Some("cgroup: expected /user.slice/*, peer has /system.slice/billing.service/worker"),
        ),
        (PeerConditions { unit: unit("billing.service"), ..any() }, None),
        (
            PeerConditions { unit: unit("other.service"), ..any() },
            Some("unit: expected other.service, peer has billing.service"),
        ),
        (PeerConditions { exe: below("/opt/acme/bin/billing"), ..any() }, None),
        (PeerConditions { exe: below("/opt/acme/*"), ..any() }, None),
        (
            PeerConditions { exe: below("/usr/bin/*"), ..any() },
            Some("exe: expected /usr/bin/*, peer has /opt/acme/bin/billing"),
        ),
        (PeerConditions { exe_sha256: Some([0xab; 32].into()), ..any() }, None),
        // Every condition must hold, and the first that fails is named.
        (
            PeerConditions { uid: Some(1001), gid: Some(1), pid: Some(2), ..any() },
            Some("gid: expected 1, peer has 1002"),
        ),
    ];
    for (policy, denied) in table {
        let policy = policy.build().unwrap();
        let verdict = policy.evaluate(&billing()).unwrap();
        assert_eq!(verdict.err().map(|denied| denied.to_string()).as_deref(), denied, "{policy:?}");
    }
    let other = PeerConditions { exe_sha256: Some([1; 32].into()), ..any() };
    assert_eq!(other.build().unwrap().evaluate(&billing()).unwrap().unwrap_err().field, "exe_sha256");
}

#[test]
fn an_executable_in_doubt_matches_nothing() {
    let policy = PeerConditions { exe: below("/opt/acme/*"), ..PeerConditions::default() }.build().unwrap();
    for doubt in
        [ExeDoubt::Deleted, ExeDoubt::OtherMount, ExeDoubt::NotHolder, ExeDoubt::Permission, ExeDoubt::Unsupported]
    {
        for exe in [Exe::Doubtful("/opt/acme/bin/billing".into(), doubt), Exe::Unknown(doubt)] {
            let peer = Billing { exe, ..billing() };
            let denied = policy.evaluate(&peer).unwrap().unwrap_err();
            assert_eq!(denied.field, "exe");
            assert!(denied.actual.contains(&doubt.to_string()), "{denied}");
        }
    }
}

#[test]
fn what_a_system_cannot_say_matches_nothing() {
    let nobody = PeerCredentials { pid: None, uid: None, gid: None, groups: None, security_label: None };
    for policy in [
        PeerConditions { uid: Some(0), ..PeerConditions::default() },
        PeerConditions { gid: Some(0), ..PeerConditions::default() },
        PeerConditions { pid: Some(1), ..PeerConditions::default() },
        PeerConditions { group: Some(0.into()), ..PeerConditions::default() },
    ] {
        let peer = Billing { credentials: nobody.clone(), ..billing() };
        assert_eq!(policy.build().unwrap().evaluate(&peer).unwrap().unwrap_err().actual, "unknown");
    }
}

#[test]
fn a_refusal_by_credentials_reads_nothing_else() {
    let peer = billing();
    let policy =
        PeerConditions { uid: Some(0), exe: below("/opt/acme/*"), ..PeerConditions::default() }.build().unwrap();
    assert!(policy.evaluate(&peer).unwrap().is_err());
    assert!(peer.asked.borrow().is_empty());
    let policy = PeerConditions { unit: unit("x.service"), exe: below("/opt/acme/*"), ..PeerConditions::default() }
        .build()
        .unwrap();
    assert!(policy.evaluate(&peer).unwrap().is_err());
    assert_eq!(*peer.asked.borrow(), ["cgroup"]);
}

#[test]
fn a_policy_must_rest_on_something() {
    let empty = PeerConditions::default();
    let spoofable = PeerConditions { process: process("billing"), ..PeerConditions::default() };
    assert_eq!(empty.clone().build(), Err(PolicyError::Empty));
    assert_eq!(PeerConditions { allow_spoofable: true, ..empty.clone() }.build(), Err(PolicyError::Empty));
    assert_eq!(spoofable.clone().build(), Err(PolicyError::Spoofable));
    assert!(PeerConditions { uid: Some(0), ..spoofable.clone() }.build().is_ok());
}

#[test]
fn values_that_mean_nothing_are_refused() {
    let field = |policy: PeerConditions| match policy.build() {
        Err(PolicyError::Invalid { field, .. }) => Some(field),
        _ => None,
    };
    let any = PeerConditions::default;
    for exe in [PathPattern::Exact("billing".into()), PathPattern::Below("/".into()), PathPattern::Exact("/a/*".into())]
    {
        assert_eq!(field(PeerConditions { exe: Some(exe.clone()), ..any() }), Some("exe"), "{exe}");
        assert_eq!(field(PeerConditions { cgroup: Some(exe), ..any() }), Some("cgroup"));
    }
    for unit in ["billing", "", ".service", "a b.service", "system.slice", "a/b.service"] {
        assert!(matches!(UnitName::parse(unit), Err(PolicyError::Invalid { field: "unit", .. })), "{unit}");
    }
    for unit in ["billing.service", "user@1000.service", "session-1.scope"] {
        assert!(UnitName::parse(unit).is_ok(), "{unit}");
    }
    for process in ["x".repeat(16), String::new()] {
        assert!(matches!(ProcessName::parse(&process), Err(PolicyError::Invalid { field: "process", .. })));
    }
    assert_eq!(field(PeerConditions { pid: Some(0), ..any() }), Some("pid"));
}

#[test]
fn a_hash_is_64_hexadecimal_digits() {
    assert_eq!(Sha256::parse(&"aB".repeat(32)), Ok([0xab; 32].into()));
    for text in ["", "ab", &"g".repeat(64), &"ab".repeat(33), &"+a".repeat(32), &"é".repeat(32)] {
        assert!(Sha256::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_group_is_looked_up_by_name() {
    assert_eq!(Group::named("root").map(|group| group.gid), Ok(0));
    assert!(Group::named("no-such-group-here").is_err());
}
