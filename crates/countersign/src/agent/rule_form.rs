//! A rule as it is written in the file: the types TOML is read into before anything is believed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use toml::Spanned;

use crate::whoami::Token;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileForm {
    pub(super) workload_api: Option<WorkloadApiForm>,
    #[serde(default)]
    pub(super) rule: Vec<Spanned<RuleForm>>,
}

/// The table `[workload_api]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkloadApiForm {
    pub(super) trust_domain: Option<Spanned<String>>,
    pub(super) socket: Option<Spanned<PathBuf>>,
    pub(super) state_dir: Option<Spanned<PathBuf>>,
    pub(super) ca_ttl: Option<Spanned<DurationForm>>,
    pub(super) x509_svid_ttl: Option<Spanned<DurationForm>>,
    pub(super) jwt_svid_ttl: Option<Spanned<DurationForm>>,
    #[serde(default)]
    pub(super) federates_with: BTreeMap<Spanned<String>, FederationForm>,
}

/// One foreign trust domain.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FederationForm {
    pub(super) bundle_file: Option<Spanned<PathBuf>>,
    pub(super) bundle_endpoint_url: Option<Spanned<String>>,
    pub(super) bundle_endpoint_profile: Option<Spanned<String>>,
    pub(super) endpoint_spiffe_id: Option<Spanned<String>>,
}

/// One `[[rule]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleForm {
    pub(super) identity: Option<Spanned<String>>,
    #[serde(rename = "match")]
    pub(super) conditions: Spanned<MatchForm>,
    pub(super) idm_url: Option<Spanned<String>>,
    pub(super) config_url: Option<Spanned<String>>,
    pub(super) token: Option<Spanned<SecretForm>>,
    pub(super) token_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(super) allow_spoofable: bool,
    pub(super) spiffe_id: Option<Spanned<String>>,
    pub(super) hint: Option<Spanned<String>>,
    pub(super) x509_svid_ttl: Option<Spanned<DurationForm>>,
    pub(super) jwt_svid_ttl: Option<Spanned<DurationForm>>,
    pub(super) dns_names: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) federates_with: Option<Spanned<Vec<Spanned<String>>>>,
}

/// The conditions of a rule.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MatchForm {
    pub(super) uid: Option<Spanned<u32>>,
    pub(super) user: Option<Spanned<String>>,
    pub(super) gid: Option<Spanned<u32>>,
    pub(super) group: Option<Spanned<NameOrNumber>>,
    pub(super) exe: Option<Spanned<String>>,
    pub(super) exe_sha256: Option<Spanned<String>>,
    pub(super) process: Option<Spanned<String>>,
    pub(super) cgroup: Option<Spanned<String>>,
    pub(super) unit: Option<Spanned<String>>,
}

/// A group by name or by number.
pub(super) enum NameOrNumber {
    Name(String),
    Number(u32),
}

impl<'de> Deserialize<'de> for NameOrNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = NameOrNumber;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a group name or number")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<NameOrNumber, E> {
                Ok(NameOrNumber::Name(name.to_owned()))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<NameOrNumber, E> {
                u32::try_from(number)
                    .map(NameOrNumber::Number)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A duration: seconds as a number, or hours, minutes and seconds as a text such as `"1h30m"`.
pub(super) struct DurationForm(pub(super) Duration);

impl<'de> Deserialize<'de> for DurationForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = DurationForm;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds, or a duration such as \"1h30m\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<DurationForm, E> {
                parse_duration(text).map(DurationForm).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<DurationForm, E> {
                let seconds =
                    u64::try_from(seconds).map_err(|_| E::invalid_value(de::Unexpected::Signed(seconds), &self))?;
                Ok(DurationForm(Duration::from_secs(seconds)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Each unit at most once, the large ones first.
fn parse_duration(text: &str) -> Option<Duration> {
    let (mut rest, mut seconds) = (text, 0_u64);
    for (unit, worth) in [('h', 3600), ('m', 60), ('s', 1)] {
        if let Some((number, after)) = rest.split_once(unit) {
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            seconds = number.parse::<u64>().ok()?.checked_mul(worth)?.checked_add(seconds)?;
            rest = after;
        }
    }
    (rest.is_empty() && !text.is_empty()).then_some(Duration::from_secs(seconds))
}

/// A string that must not show up in an error message, whatever was written in its place.
pub(super) struct SecretForm(pub(super) Token);

impl<'de> Deserialize<'de> for SecretForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Secret;
        // serde's own messages quote the value they did not expect, so every scalar has an answer of its own here.
        fn not_a_string<E: de::Error>() -> Result<SecretForm, E> {
            Err(E::custom("expected a string"))
        }
        impl<'de> Visitor<'de> for Secret {
            type Value = SecretForm;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretForm, E> {
                Ok(SecretForm(Token::new(text.to_owned())))
            }
            fn visit_string<E: de::Error>(self, text: String) -> Result<SecretForm, E> {
                Ok(SecretForm(Token::new(text)))
            }
            fn visit_bool<E: de::Error>(self, _: bool) -> Result<SecretForm, E> {
                not_a_string()
            }
            fn visit_i64<E: de::Error>(self, _: i64) -> Result<SecretForm, E> {
                not_a_string()
            }
            fn visit_u64<E: de::Error>(self, _: u64) -> Result<SecretForm, E> {
                not_a_string()
            }
            fn visit_i128<E: de::Error>(self, _: i128) -> Result<SecretForm, E> {
                not_a_string()
            }
            fn visit_u128<E: de::Error>(self, _: u128) -> Result<SecretForm, E> {
                not_a_string()
            }
            fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretForm, E> {
                not_a_string()
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, _: A) -> Result<SecretForm, A::Error> {
                not_a_string()
            }
            fn visit_map<A: de::MapAccess<'de>>(self, _: A) -> Result<SecretForm, A::Error> {
                not_a_string()
            }
        }
        deserializer.deserialize_any(Secret)
    }
}
