//! JSON in which an object says everything once.
//!
//! RFC 8259 4 leaves open which of two members with the same name counts. Where a document decides whom to trust, two
//! readers must not be able to disagree, so such a document is refused as a whole.

use std::{collections::HashSet, fmt};

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Reads an object. What serde derives for a struct would take an array as well, member by member in the order they are
/// declared: a document that no writer produces and every other reader refuses.
pub(crate) fn object<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, serde_json::Error> {
    if !text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
        return Err(de::Error::custom("not an object"));
    }
    serde_json::from_str(text)
}

/// Reads any JSON value, keeps nothing, and fails on an object that names a member twice, at any depth.
pub(crate) struct EachMemberOnce;

impl<'de> Deserialize<'de> for EachMemberOnce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = EachMemberOnce;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !seen.insert(name) {
                return Err(de::Error::custom(DUPLICATE));
            }
            map.next_value::<EachMemberOnce>()?;
        }
        Ok(EachMemberOnce)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<EachMemberOnce>()?.is_some() {}
        Ok(EachMemberOnce)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(EachMemberOnce)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(EachMemberOnce)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(EachMemberOnce)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(EachMemberOnce)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(EachMemberOnce)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(EachMemberOnce)
    }
}

const DUPLICATE: &str = "a member is named twice";

/// Where and how a JSON document is wrong, without repeating what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at line {line}, column {column}")]
pub(crate) struct JsonFault {
    what: &'static str,
    line: usize,
    column: usize,
}

impl JsonFault {
    pub fn is_duplicate(&self) -> bool {
        self.what == DUPLICATE
    }
}

impl From<serde_json::Error> for JsonFault {
    fn from(error: serde_json::Error) -> Self {
        use serde_json::error::Category;
        let text = error.to_string();
        let what = match error.classify() {
            Category::Eof => "the JSON ends early",
            Category::Syntax | Category::Io => "not JSON",
            Category::Data if text.starts_with(DUPLICATE) || text.starts_with("duplicate field") => DUPLICATE,
            Category::Data if text.starts_with("missing field") => "a member is missing",
            Category::Data => "a member is not of its kind",
        };
        Self { what, line: error.line(), column: error.column() }
    }
}
