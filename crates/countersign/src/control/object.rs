//! A JSON object whose keys are looked at one by one: what stands in it twice is seen twice.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// The members in the order they were written.
pub(super) struct Object(pub(super) Vec<(String, Value)>);

impl Object {
    /// Takes the only member of this name out. The error is about a second one.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<Value>, String> {
        let Some(at) = self.0.iter().position(|(key, _)| key == name) else { return Ok(None) };
        let (_, value) = self.0.remove(at);
        match self.0.iter().any(|(key, _)| key == name) {
            true => Err(format!("duplicate field `{name}`")),
            false => Ok(Some(value)),
        }
    }

    /// What `type` says.
    pub(super) fn take_type(&mut self) -> Result<String, String> {
        match self.take("type")? {
            Some(Value::String(name)) => Ok(name),
            Some(_) => Err("`type` is not a string".into()),
            None => Err("missing field `type`".into()),
        }
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}
