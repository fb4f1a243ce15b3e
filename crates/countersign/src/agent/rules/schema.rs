//! A rule as it is written in the file: the types that TOML is read into before anything is checked.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use toml::Spanned;

use crate::peer::{PolicyDocument, Shape};
use crate::whoami::Token;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::agent) struct FileForm {
    pub(in crate::agent) workload_api: Option<WorkloadApiForm>,
    #[serde(default)]
    pub(in crate::agent) rule: Vec<Spanned<RuleForm>>,
}

/// The table `[workload_api]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::agent) struct WorkloadApiForm {
    pub(in crate::agent) trust_domain: Option<Spanned<String>>,
    pub(in crate::agent) socket: Option<Spanned<PathBuf>>,
    pub(in crate::agent) state_dir: Option<Spanned<PathBuf>>,
    pub(in crate::agent) ca_ttl: Option<Spanned<DurationForm>>,
    pub(in crate::agent) x509_svid_ttl: Option<Spanned<DurationForm>>,
    pub(in crate::agent) jwt_svid_ttl: Option<Spanned<DurationForm>>,
    #[serde(default)]
    pub(in crate::agent) federates_with: BTreeMap<Spanned<String>, FederationForm>,
}

/// One foreign trust domain.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::agent) struct FederationForm {
    pub(in crate::agent) bundle_file: Option<Spanned<PathBuf>>,
    pub(in crate::agent) bundle_endpoint_url: Option<Spanned<String>>,
    pub(in crate::agent) bundle_endpoint_profile: Option<Spanned<String>>,
    pub(in crate::agent) endpoint_spiffe_id: Option<Spanned<String>>,
}

/// One `[[rule]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::agent) struct RuleForm {
    pub(in crate::agent) identity: Option<Spanned<String>>,
    #[serde(rename = "match")]
    pub(in crate::agent) conditions: Spanned<MatchForm>,
    pub(in crate::agent) idm_url: Option<Spanned<String>>,
    pub(in crate::agent) config_url: Option<Spanned<String>>,
    pub(in crate::agent) token: Option<Spanned<SecretForm>>,
    pub(in crate::agent) token_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(in crate::agent) allow_spoofable: bool,
    pub(in crate::agent) spiffe_id: Option<Spanned<String>>,
    pub(in crate::agent) hint: Option<Spanned<String>>,
    pub(in crate::agent) x509_svid_ttl: Option<Spanned<DurationForm>>,
    pub(in crate::agent) jwt_svid_ttl: Option<Spanned<DurationForm>>,
    pub(in crate::agent) dns_names: Option<Spanned<Vec<Spanned<String>>>>,
    pub(in crate::agent) federates_with: Option<Spanned<Vec<Spanned<String>>>>,
}

/// The conditions of a rule, each with its place in the file.
pub(in crate::agent) type MatchForm = PolicyDocument<InText>;

/// Values with their place in the text.
pub(in crate::agent) struct InText;

impl Shape for InText {
    type Of<T> = Spanned<T>;

    fn open<T>(held: Spanned<T>) -> (T, Option<Range<usize>>) {
        let span = held.span();
        (held.into_inner(), Some(span))
    }
}

/// A duration: seconds as a number, or hours, minutes and seconds as a text such as `"1h30m"`.
pub(in crate::agent) struct DurationForm(pub(in crate::agent) Duration);

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

/// A string that must not show up in an error message, even if a value of another type stands in its place.
pub(in crate::agent) struct SecretForm(pub(in crate::agent) Token);

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
