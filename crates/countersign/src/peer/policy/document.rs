use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use super::{PeerConditions, PolicyError, ProcessName, Sha256, UnitName};
use crate::peer::{Group, PathPattern, uid_of_user};

/// A policy as it is written: the `match` table of a rule in TOML, or one policy in JSON. What it does not know is an
/// error: a condition that is not understood must never count as no condition.
#[derive(serde::Deserialize)]
#[serde(
    remote = "Self",
    deny_unknown_fields,
    bound(deserialize = "S::Of<u32>: Deserialize<'de>, S::Of<String>: Deserialize<'de>, \
                       S::Of<GroupNameOrNumber>: Deserialize<'de>, S::Of<bool>: Deserialize<'de>")
)]
#[allow(missing_docs, reason = "the fields of `PeerConditions`")]
pub struct PolicyDocument<S: Shape> {
    #[serde(default, deserialize_with = "present")]
    pub uid: Option<S::Of<u32>>,
    /// The same by name.
    #[serde(default, deserialize_with = "present")]
    pub user: Option<S::Of<String>>,
    #[serde(default, deserialize_with = "present")]
    pub gid: Option<S::Of<u32>>,
    #[serde(default, deserialize_with = "present")]
    pub group: Option<S::Of<GroupNameOrNumber>>,
    #[serde(default, deserialize_with = "present")]
    pub exe: Option<S::Of<String>>,
    #[serde(default, deserialize_with = "present")]
    pub exe_sha256: Option<S::Of<String>>,
    #[serde(default, deserialize_with = "present")]
    pub process: Option<S::Of<String>>,
    #[serde(default, deserialize_with = "present")]
    pub pid: Option<S::Of<u32>>,
    #[serde(default, deserialize_with = "present")]
    pub cgroup: Option<S::Of<String>>,
    #[serde(default, deserialize_with = "present")]
    pub unit: Option<S::Of<String>>,
    #[serde(default, deserialize_with = "present")]
    pub allow_spoofable: Option<S::Of<bool>>,
}

/// Only members with names: the derived code alone would also take a list, and its first value for `uid`.
impl<'de, S: Shape> Deserialize<'de> for PolicyDocument<S>
where
    S::Of<u32>: Deserialize<'de>,
    S::Of<String>: Deserialize<'de>,
    S::Of<GroupNameOrNumber>: Deserialize<'de>,
    S::Of<bool>: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<S>(PhantomData<S>);
        impl<'de, S: Shape> Visitor<'de> for Members<S>
        where
            S::Of<u32>: Deserialize<'de>,
            S::Of<String>: Deserialize<'de>,
            S::Of<GroupNameOrNumber>: Deserialize<'de>,
            S::Of<bool>: Deserialize<'de>,
        {
            type Value = PolicyDocument<S>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("conditions with names")
            }
            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<PolicyDocument<S>, A::Error> {
                PolicyDocument::<S>::deserialize(MapAccessDeserializer::new(members))
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// How a document holds its values: alone, or each with its place in the text.
pub trait Shape {
    /// A value in the document.
    type Of<T>;
    /// The value, and its place if that is known.
    fn open<T>(held: Self::Of<T>) -> (T, Option<Range<usize>>);
}

/// Values alone, as in JSON.
pub struct Plain;

impl Shape for Plain {
    type Of<T> = T;

    fn open<T>(held: T) -> (T, Option<Range<usize>>) {
        (held, None)
    }
}

/// A value of a document that cannot be a condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct DocumentError {
    /// What is wrong.
    pub error: PolicyError,
    /// Where in the text, if the document knows.
    pub span: Option<Range<usize>>,
}

impl<S: Shape> PolicyDocument<S> {
    /// Reads each value. Names of users and groups are looked up.
    pub fn conditions(self) -> Result<PeerConditions, DocumentError> {
        // All fields are named here and below: a new one does not compile before it is read.
        let PolicyDocument { uid, user, gid, group, exe, exe_sha256, process, pid, cgroup, unit, allow_spoofable } =
            self;
        let uid = match (uid, user) {
            (Some(_), Some(user)) => {
                let reason = "uid and user are both given, expected one of them".to_owned();
                let error = PolicyError::Invalid { field: "user", reason };
                return Err(DocumentError { error, span: S::open(user).1 });
            }
            (uid, None) => number::<S>(uid),
            (None, user) => read::<S, _, _>(user, |name| uid_of_user(&name))?,
        };
        Ok(PeerConditions {
            uid,
            gid: number::<S>(gid),
            group: read::<S, _, _>(group, GroupNameOrNumber::look_up)?,
            exe: read::<S, _, _>(exe, |path: String| PathPattern::parse("exe", &path))?,
            exe_sha256: read::<S, _, _>(exe_sha256, |digits: String| Sha256::parse(&digits))?,
            process: read::<S, _, _>(process, |name: String| ProcessName::parse(&name))?,
            pid: number::<S>(pid),
            cgroup: read::<S, _, _>(cgroup, |path: String| PathPattern::parse("cgroup", &path))?,
            unit: read::<S, _, _>(unit, |name: String| UnitName::parse(&name))?,
            allow_spoofable: allow_spoofable.is_some_and(|allow| S::open(allow).0),
        })
    }
}

fn number<S: Shape>(held: Option<S::Of<u32>>) -> Option<u32> {
    held.map(|held| S::open(held).0)
}

fn read<S: Shape, T, U>(
    held: Option<S::Of<T>>,
    parse: impl FnOnce(T) -> Result<U, PolicyError>,
) -> Result<Option<U>, DocumentError> {
    let Some(held) = held else { return Ok(None) };
    let (value, span) = S::open(held);
    parse(value).map(Some).map_err(|error| DocumentError { error, span })
}

/// A member that is there has a value: `null` is not the same as no member.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A group by name or by number.
pub enum GroupNameOrNumber {
    /// The name.
    Name(String),
    /// The number.
    Number(u32),
}

impl GroupNameOrNumber {
    fn look_up(self) -> Result<Group, PolicyError> {
        match self {
            GroupNameOrNumber::Number(gid) => Ok(Group::from(gid)),
            GroupNameOrNumber::Name(name) => Group::named(&name),
        }
    }
}

impl<'de> Deserialize<'de> for GroupNameOrNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = GroupNameOrNumber;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a group name or number")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<GroupNameOrNumber, E> {
                Ok(GroupNameOrNumber::Name(name.to_owned()))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<GroupNameOrNumber, E> {
                u32::try_from(number)
                    .map(GroupNameOrNumber::Number)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<GroupNameOrNumber, E> {
                u32::try_from(number)
                    .map(GroupNameOrNumber::Number)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<PeerConditions, String> {
        let document: PolicyDocument<Plain> = serde_json::from_str(json).map_err(|error| error.to_string())?;
        document.conditions().map_err(|error| error.to_string())
    }

    #[test]
    fn every_member_is_read() {
        let hash = "ab".repeat(32);
        let json = format!(
            r#"{{"uid":1,"gid":2,"group":3,"exe":"/a/*","exe_sha256":"{hash}","process":"p","pid":4,
                 "cgroup":"/c","unit":"u.service","allow_spoofable":true}}"#
        );
        let expected = PeerConditions {
            uid: Some(1),
            gid: Some(2),
            group: Some(3.into()),
            exe: Some(PathPattern::Below("/a".into())),
            exe_sha256: Some([0xab; 32].into()),
            process: Some(ProcessName::parse("p").unwrap()),
            pid: Some(4),
            cgroup: Some(PathPattern::Exact("/c".into())),
            unit: Some(UnitName::parse("u.service").unwrap()),
            allow_spoofable: true,
        };
        assert_eq!(parse(&json), Ok(expected));
    }

    #[test]
    fn what_is_not_understood_is_never_no_condition() {
        for json in [
            r#"{"uid":1,"exe_sha255":"x"}"#,
            r#"{"uid":1,"exe":null}"#,
            r#"{"uid":1,"exe":1}"#,
            r#"{"uid":"1"}"#,
            r#"{"uid":-1}"#,
            r#"{"uid":4294967296}"#,
            r#"{"uid":1.5}"#,
            r#"{"uid":1,"uid":2}"#,
            r#"{"uid":1,"group":true}"#,
            r#"{"uid":1,"group":-1}"#,
            r#"{"uid":1,"group":4294967296}"#,
            r#"{"uid":1,"unit":["u.service"]}"#,
            r#"{"uid":1,"allow_spoofable":"yes"}"#,
            r#"{"uid":1,"user":"root"}"#,
            r#"{"uid":1,"process":""}"#,
            "[]",
            "null",
        ] {
            assert!(parse(json).is_err(), "{json}");
        }
    }
}
