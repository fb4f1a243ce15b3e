//! A rule as it is written in the file: the types TOML is read into before anything is believed.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use toml::Spanned;

use crate::whoami::Token;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileForm {
    #[serde(default)]
    pub(super) rule: Vec<Spanned<RuleForm>>,
}

/// One `[[rule]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleForm {
    pub(super) identity: Spanned<String>,
    #[serde(rename = "match")]
    pub(super) conditions: Spanned<MatchForm>,
    pub(super) idm_url: Option<Spanned<String>>,
    pub(super) config_url: Option<Spanned<String>>,
    pub(super) token: Option<Spanned<SecretForm>>,
    pub(super) token_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(super) allow_spoofable: bool,
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
