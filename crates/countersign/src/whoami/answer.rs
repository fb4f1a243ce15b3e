use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::{Identity, Runner, Token, WhoamiError};

/// The daemon's other answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonRefusal {
    /// `E_NO_MATCH` and the like.
    pub error_code: String,
    /// For people.
    pub message: String,
}

impl DaemonRefusal {
    /// The answer as it goes over the wire.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::json!({ "status": "error", "error_code": self.error_code, "message": self.message })
            .to_string()
            .into_bytes()
    }
}

/// Parse the answer of the daemon. When an answer carries both bodies the error wins: a refused identity
/// is not an identity.
pub fn parse_answer(bytes: &[u8]) -> Result<Identity, WhoamiError> {
    let text = std::str::from_utf8(bytes).map_err(|_| WhoamiError::InvalidJson("it is not UTF-8".into()))?;
    if text.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
        return Err(WhoamiError::InvalidJson("the daemon closed the connection without an answer".into()));
    }
    let body: Body = serde_json::from_str(text).map_err(|error| WhoamiError::InvalidJson(describe(&error)))?;
    body.classify()
}

/// serde_json's messages may quote a value of the wrong type; an answer holds a token, so only position and kind
/// are repeated.
fn describe(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let kind = match error.classify() {
        Category::Eof => "it ends in the middle of the document",
        Category::Syntax => "it is not one JSON document",
        Category::Data => return error.to_string(),
        Category::Io => "it cannot be read",
    };
    format!("{kind} (line {}, column {})", error.line(), error.column())
}

/// A field as it came: nothing is refused before it is known which of the two bodies this is.
#[derive(Default)]
enum Field<T> {
    #[default]
    Absent,
    Is(T),
    /// What is wrong, to be appended to the name of the field (with its closing quote).
    Wrong(String),
}

impl<T> Field<T> {
    fn take(self, name: &'static str) -> Result<T, WhoamiError> {
        match self {
            Field::Is(value) => Ok(value),
            Field::Absent => Err(WhoamiError::MissingField { field: name, hint: "" }),
            Field::Wrong(why) => Err(WhoamiError::InvalidJson(format!("`{name}{why}"))),
        }
    }

    fn is_absent(&self) -> bool {
        matches!(self, Field::Absent)
    }
}

#[derive(Default)]
struct Body {
    status: Field<String>,
    identity: Field<String>,
    idm_url: Field<String>,
    config_url: Field<String>,
    token: Field<String>,
    runner: Field<Runner>,
    error_code: Field<String>,
    message: Field<String>,
    older_generation: bool,
}

impl Body {
    fn classify(self) -> Result<Identity, WhoamiError> {
        let status = self.status.take("status")?;
        let ok = status == "ok";
        let has_identity = !self.identity.is_absent();
        match (self.error_code, self.message) {
            (Field::Is(code), Field::Is(message)) => {
                // The original reads `ok` with nothing but an error body as an identity that is missing.
                if ok && !has_identity {
                    return Err(WhoamiError::MissingField { field: "identity", hint: "" });
                }
                return Err(WhoamiError::Daemon { code, message });
            }
            (code, message) if !ok => {
                code.take("error_code")?;
                message.take("message")?;
            }
            _ => {}
        }
        if self.runner.is_absent() && self.older_generation {
            return Err(WhoamiError::MissingField {
                field: "runner",
                hint: ": this daemon speaks an older generation of the protocol",
            });
        }
        Ok(Identity {
            identity: self.identity.take("identity")?,
            idm_url: self.idm_url.take("idm_url")?,
            config_url: self.config_url.take("config_url")?,
            token: Token::new(self.token.take("token")?),
            runner: self.runner.take("runner")?,
        })
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn text(value: Value) -> Field<String> {
    match value {
        Value::String(text) => Field::Is(text),
        other => Field::Wrong(format!("` must be a string, it is {}", kind(&other))),
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Top;
        impl<'de> Visitor<'de> for Top {
            type Value = Body;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Body, A::Error> {
                let mut body = Body::default();
                while let Some(key) = map.next_key::<String>()? {
                    if key == "runner" {
                        if !body.runner.is_absent() {
                            return Err(de::Error::duplicate_field("runner"));
                        }
                        body.runner = map.next_value::<RunnerField>()?.0;
                        continue;
                    }
                    let (slot, name) = match key.as_str() {
                        "status" => (&mut body.status, "status"),
                        "identity" => (&mut body.identity, "identity"),
                        "idm_url" => (&mut body.idm_url, "idm_url"),
                        "config_url" => (&mut body.config_url, "config_url"),
                        "token" => (&mut body.token, "token"),
                        "error_code" => (&mut body.error_code, "error_code"),
                        "message" => (&mut body.message, "message"),
                        other => {
                            body.older_generation |= matches!(other, "pid" | "kanidm_url");
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    if !slot.is_absent() {
                        return Err(de::Error::duplicate_field(name));
                    }
                    *slot = text(map.next_value()?);
                }
                Ok(body)
            }
        }
        deserializer.deserialize_map(Top)
    }
}

struct RunnerField(Field<Runner>);

impl<'de> Deserialize<'de> for RunnerField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Flat;
        impl<'de> Visitor<'de> for Flat {
            type Value = RunnerField;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RunnerField, A::Error> {
                let mut runner = RunnerParts::default();
                while let Some(key) = map.next_key::<String>()? {
                    let value = map.next_value()?;
                    runner.put(key, value).map_err(de::Error::duplicate_field)?;
                }
                Ok(RunnerField(runner.finish()))
            }
            fn visit_unit<E>(self) -> Result<RunnerField, E> {
                Ok(RunnerField(Field::Wrong("must be an object, it is null".into())))
            }
            fn visit_bool<E>(self, _: bool) -> Result<RunnerField, E> {
                Ok(RunnerField(Field::Wrong("must be an object, it is a boolean".into())))
            }
            fn visit_u64<E>(self, _: u64) -> Result<RunnerField, E> {
                Ok(RunnerField(Field::Wrong("must be an object, it is a number".into())))
            }
            fn visit_i64<E>(self, _: i64) -> Result<RunnerField, E> {
                Ok(RunnerField(Field::Wrong("must be an object, it is a number".into())))
            }
            fn visit_f64<E>(self, _: f64) -> Result<RunnerField, E> {
                Ok(RunnerField(Field::Wrong("must be an object, it is a number".into())))
            }
            fn visit_str<E>(self, _: &str) -> Result<RunnerField, E> {
                Ok(RunnerField(Field::Wrong("must be an object, it is a string".into())))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<RunnerField, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(RunnerField(Field::Wrong("must be an object, it is an array".into())))
            }
        }
        deserializer.deserialize_any(Flat)
    }
}

/// Bits of `RunnerParts::seen`, in the order of the names.
const TYPED: [&str; 8] = ["identity", "hostname", "process", "pid", "uid", "gid", "instance_id", "timestamp"];

#[derive(Default)]
struct RunnerParts {
    runner: Runner,
    seen: u8,
    wrong: Option<String>,
}

impl RunnerParts {
    fn put(&mut self, key: String, value: Value) -> Result<(), &'static str> {
        let Some(index) = TYPED.iter().position(|name| *name == key) else {
            // A key the protocol does not know: the last one wins, as in the original.
            self.runner.extra.insert(key, value);
            return Ok(());
        };
        if self.seen & (1 << index) != 0 {
            return Err(TYPED[index]);
        }
        self.seen |= 1 << index;
        let wrong = match index {
            0 => set_text(&mut self.runner.identity, value),
            1 => set_text(&mut self.runner.hostname, value),
            2 => set_text(&mut self.runner.process, value),
            3 => set_u32(&mut self.runner.pid, &value),
            4 => set_u32(&mut self.runner.uid, &value),
            5 => set_u32(&mut self.runner.gid, &value),
            6 => set_u64(&mut self.runner.instance_id, &value),
            _ => set_u64(&mut self.runner.timestamp, &value),
        };
        if let (Some(expected), None) = (wrong, &self.wrong) {
            self.wrong = Some(format!(".{}` must be {expected}", TYPED[index]));
        }
        Ok(())
    }

    fn finish(self) -> Field<Runner> {
        match self.wrong {
            Some(why) => Field::Wrong(why),
            None => Field::Is(self.runner),
        }
    }
}

fn set_text(slot: &mut String, value: Value) -> Option<&'static str> {
    match value {
        Value::String(text) => {
            *slot = text;
            None
        }
        _ => Some("a string"),
    }
}

fn set_u32(slot: &mut Option<u32>, value: &Value) -> Option<&'static str> {
    match value.as_u64().and_then(|number| u32::try_from(number).ok()) {
        Some(number) => {
            *slot = Some(number);
            None
        }
        None => Some("an integer from 0 to 4294967295"),
    }
}

fn set_u64(slot: &mut Option<u64>, value: &Value) -> Option<&'static str> {
    match (value, value.as_u64()) {
        (Value::Null, _) => None,
        (_, Some(number)) => {
            *slot = Some(number);
            None
        }
        _ => Some("an integer from 0 to 18446744073709551615, or null"),
    }
}
