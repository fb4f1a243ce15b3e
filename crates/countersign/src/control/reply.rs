use serde_json::{Map, Value};

use super::alert::Alert;
use super::code::ControlCode;
use super::object::Object;
use super::request::RequestId;

/// One line of an agent.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// It was done.
    Ok {
        /// The `id` of the request, where the agent echoes it.
        id: Option<RequestId>,
        /// The payload, without `type` and `id`.
        payload: Map<String, Value>,
    },
    /// It was not done.
    Err {
        /// The `id` of the request, where the agent echoes it.
        id: Option<RequestId>,
        /// Why, for a program.
        code: String,
        /// Why, for a person.
        message: String,
    },
    /// Something happened. No request asked for this very line.
    Alert(Alert),
    /// An empty line: what the crate `secureops-ipc` sends for every error, and for every success that is no object.
    Blank,
}

impl Reply {
    /// Reads a line. The error says why it is none of the four.
    pub fn parse(line: &[u8]) -> Result<Reply, String> {
        if line.is_empty() {
            return Ok(Reply::Blank);
        }
        let text = std::str::from_utf8(line).map_err(|_| "not UTF-8".to_owned())?;
        let mut object: Object = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let kind = object.take_type()?;
        let id = |object: &mut Object| RequestId::from_value(object.take("id")?.unwrap_or(Value::Null));
        match kind.as_str() {
            "ok" => {
                let id = id(&mut object)?;
                Ok(Reply::Ok { id, payload: object.0.into_iter().collect() })
            }
            "err" => {
                let id = id(&mut object)?;
                let mut text = |name| match object.take(name)? {
                    Some(Value::String(text)) => Ok(text),
                    _ => Err(format!("an error without `{name}`")),
                };
                Ok(Reply::Err { id, code: text("code")?, message: text("message")? })
            }
            "alert" => {
                let alert = Value::Object(object.0.into_iter().collect());
                serde_json::from_value(alert).map(Reply::Alert).map_err(|error| error.to_string())
            }
            other => Err(format!("unknown frame {:?}", other.chars().take(40).collect::<String>())),
        }
    }
}

/// A line that says yes, with its line feed. The payload is a JSON object without `type` and `id`.
pub fn ok_frame(id: Option<&RequestId>, payload: &str) -> String {
    let members = payload.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
    let comma = if members.is_empty() { "" } else { "," };
    format!("{{\"type\":\"ok\"{}{comma}{members}}}\n", member(id))
}

/// A line that says no, with its line feed.
pub fn error_frame(id: Option<&RequestId>, code: ControlCode, message: &str) -> String {
    let message = Value::from(message);
    format!("{{\"type\":\"err\"{},\"code\":\"{}\",\"message\":{message}}}\n", member(id), code.as_str())
}

/// A line that is not a reply, with its line feed.
pub fn alert_frame(alert: &Alert) -> String {
    // Strings and numbers: there is nothing in it that could not be written.
    let alert = serde_json::to_string(alert).unwrap_or_default();
    format!("{{\"type\":\"alert\",{}\n", alert.strip_prefix('{').unwrap_or_default())
}

fn member(id: Option<&RequestId>) -> String {
    id.map_or_else(String::new, |id| format!(",\"id\":{}", id.to_json()))
}
