use serde_json::Value;

use super::object::Object;

/// The longest `id` that is echoed.
const MAX_ID_BYTES: usize = 128;

/// What is asked of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Are you there?
    Ping,
    /// What are you doing?
    Status,
    /// What happened lately?
    Alerts {
        /// How many at most; `None` for what the agent finds useful.
        limit: Option<u32>,
    },
    /// What happens from now on?
    Subscribe {
        /// The number of the last alert that is known: later ones that are still kept are sent first.
        after: Option<u64>,
    },
    /// How do you stand?
    Audit {
        /// Read executables and the whole log as well.
        deep: bool,
        /// Repair the modes of files.
        fix: bool,
        /// How the caller will print the report; nothing to the agent.
        json: bool,
    },
    /// Read the rules anew.
    ReloadPolicy,
    /// Issue nothing until resumed.
    Kill {
        /// Why.
        reason: Option<String>,
    },
    /// Vouch again. Not a verb of `secureops-ipc`.
    Resume,
    /// Counters as Prometheus reads them. Not a verb of `secureops-ipc`.
    Metrics,
}

impl Verb {
    /// As it stands on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Verb::Ping => "ping",
            Verb::Status => "status",
            Verb::Alerts { .. } => "alerts",
            Verb::Subscribe { .. } => "subscribe",
            Verb::Audit { .. } => "audit",
            Verb::ReloadPolicy => "reloadPolicy",
            Verb::Kill { .. } => "kill",
            Verb::Resume => "resume",
            Verb::Metrics => "metrics",
        }
    }

    /// Does it change anything?
    pub fn writes(&self) -> bool {
        match self {
            Verb::Ping | Verb::Status | Verb::Alerts { .. } | Verb::Subscribe { .. } | Verb::Metrics => false,
            Verb::Audit { fix, .. } => *fix,
            Verb::ReloadPolicy | Verb::Kill { .. } | Verb::Resume => true,
        }
    }
}

/// What a reply is recognised by: a string or a whole number, chosen by the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Value);

impl RequestId {
    /// As JSON.
    pub fn to_json(&self) -> String {
        self.0.to_string()
    }

    pub(super) fn from_value(value: Value) -> Result<Option<RequestId>, String> {
        match &value {
            Value::Null => Ok(None),
            Value::Number(number) if number.is_u64() || number.is_i64() => Ok(Some(RequestId(value))),
            Value::String(text) if text.len() <= MAX_ID_BYTES => Ok(Some(RequestId(value))),
            _ => Err(format!("`id`: expected a whole number, or a string of at most {MAX_ID_BYTES} bytes")),
        }
    }
}

impl From<u64> for RequestId {
    fn from(number: u64) -> RequestId {
        RequestId(number.into())
    }
}

/// One line of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// To be echoed.
    pub id: Option<RequestId>,
    /// What is asked.
    pub verb: Verb,
}

/// Why a line is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    /// The `id`, as far as it could be read.
    pub id: Option<RequestId>,
    /// What is wrong.
    pub message: String,
}

impl Request {
    /// Reads a line. Keys that are not known are passed over.
    pub fn parse(line: &[u8]) -> Result<Request, RequestError> {
        let broken = |message: String| RequestError { id: None, message };
        let text = std::str::from_utf8(line).map_err(|_| broken("not UTF-8".into()))?;
        if text.is_empty() {
            return Err(broken("an empty line".into()));
        }
        let mut object: Object = serde_json::from_str(text).map_err(|error| broken(error.to_string()))?;
        let id = object.take("id").and_then(|id| RequestId::from_value(id.unwrap_or(Value::Null))).map_err(broken)?;
        match verb(&mut object) {
            Ok(verb) => Ok(Request { id, verb }),
            Err(message) => Err(RequestError { id, message }),
        }
    }

    /// The line, without its line feed: exactly what the crate `secureops-ipc` writes, and the `id` if there is one.
    pub fn to_line(&self) -> String {
        let name = self.verb.name();
        let optional = |value: Option<String>| value.unwrap_or_else(|| "null".to_owned());
        let rest = match &self.verb {
            Verb::Alerts { limit } => format!(",\"limit\":{}", optional(limit.map(|limit| limit.to_string()))),
            Verb::Audit { deep, fix, json } => format!(",\"deep\":{deep},\"fix\":{fix},\"json\":{json}"),
            Verb::Kill { reason } => {
                format!(",\"reason\":{}", optional(reason.clone().map(|reason| Value::String(reason).to_string())))
            }
            // A key that is not the crate's, so it is only there when it says something.
            Verb::Subscribe { after: Some(after) } => format!(",\"after\":{after}"),
            Verb::Subscribe { after: None }
            | Verb::Ping
            | Verb::Status
            | Verb::ReloadPolicy
            | Verb::Resume
            | Verb::Metrics => String::new(),
        };
        let id = self.id.as_ref().map_or_else(String::new, |id| format!(",\"id\":{}", id.to_json()));
        format!("{{\"type\":\"{name}\"{rest}{id}}}")
    }
}

fn verb(object: &mut Object) -> Result<Verb, String> {
    let name = object.take_type()?;
    let flag = |object: &mut Object, name: &str| match object.take(name)? {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(flag),
        Some(_) => Err(format!("`{name}`: expected true or false")),
    };
    let number = |object: &mut Object, name: &str, most: u64| match object.take(name)? {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64().filter(|number| *number <= most) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("`{name}`: expected a whole number from 0 to {most}")),
        },
    };
    Ok(match name.as_str() {
        "ping" => Verb::Ping,
        "status" => Verb::Status,
        "alerts" => Verb::Alerts { limit: number(object, "limit", u64::from(u32::MAX))?.map(|limit| limit as u32) },
        "subscribe" => Verb::Subscribe { after: number(object, "after", u64::MAX)? },
        "audit" => Verb::Audit { deep: flag(object, "deep")?, fix: flag(object, "fix")?, json: flag(object, "json")? },
        "reloadPolicy" => Verb::ReloadPolicy,
        "kill" => Verb::Kill {
            reason: match object.take("reason")? {
                None | Some(Value::Null) => None,
                Some(Value::String(reason)) => Some(reason),
                Some(_) => return Err("`reason`: expected a string".into()),
            },
        },
        "resume" => Verb::Resume,
        "metrics" => Verb::Metrics,
        _ => {
            let name: String = name.chars().take(40).collect();
            return Err(format!(
                "unknown verb {name:?}, expected one of ping, status, alerts, subscribe, audit, \
                 reloadPolicy, kill, resume, metrics"
            ));
        }
    })
}
