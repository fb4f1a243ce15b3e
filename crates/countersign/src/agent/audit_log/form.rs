//! The members of the line about each event. None is a secret: the events hold none.

use std::fmt::Write as _;
use std::time::SystemTime;

use crate::agent::decisions::{AgentEvent, Caller};
use crate::control::Timestamp;
use crate::spiffe::workload_api::Method;

/// An event, and its time.
pub(in crate::agent) struct Entry {
    pub(in crate::agent) time: SystemTime,
    pub(in crate::agent) event: AgentEvent,
}

impl From<AgentEvent> for Entry {
    /// An event that happens now.
    fn from(event: AgentEvent) -> Entry {
        Entry { time: SystemTime::now(), event }
    }
}

impl Entry {
    pub(in crate::agent) fn timestamp(&self) -> Timestamp {
        Timestamp::from(self.time)
    }
}

/// Writes the members of a JSON object, one behind the other.
pub(super) struct Members<'a>(&'a mut String);

impl Members<'_> {
    fn name(&mut self, name: &str) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    pub(super) fn text(&mut self, name: &str, text: &str) -> &mut Self {
        self.name(name);
        quote(self.0, text);
        self
    }

    fn optional_text(&mut self, name: &str, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    pub(super) fn number(&mut self, name: &str, number: impl Into<i128>) -> &mut Self {
        self.name(name);
        let _ = write!(self.0, "{}", number.into());
        self
    }

    fn optional_number(&mut self, name: &str, number: Option<impl Into<i128>>) -> &mut Self {
        match number {
            Some(number) => self.number(name, number),
            None => self,
        }
    }

    fn flag(&mut self, name: &str, flag: bool) -> &mut Self {
        self.name(name);
        self.0.push_str(if flag { "true" } else { "false" });
        self
    }

    fn caller(&mut self, caller: &Caller) -> &mut Self {
        self.optional_number("pid", caller.pid).optional_number("uid", caller.uid).optional_number("gid", caller.gid);
        if !caller.process.is_empty() {
            self.text("process", &caller.process);
        }
        self
    }
}

/// A JSON string (RFC 8259 7).
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control < ' ' || control == '\u{7f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Empties a buffer for the members of a new line.
pub(super) fn fresh(buffer: &mut String) -> Members<'_> {
    buffer.clear();
    Members(buffer)
}

/// Writes the members of the line about an event, and returns the name of the event in the log.
pub(in crate::agent) fn members(buffer: &mut String, event: &AgentEvent) -> &'static str {
    let mut line = fresh(buffer);
    match event {
        AgentEvent::Answered { caller, code, identity, exe } => {
            line.caller(caller).text("code", code.as_str()).optional_text("identity", identity.as_deref());
            line.optional_text("exe", exe.as_deref());
            "answered"
        }
        AgentEvent::Issued { caller, method, spiffe_id, expires, renewed } => {
            line.caller(caller).text("method", method.name()).text("spiffeId", spiffe_id);
            line.optional_number("expires", *expires);
            if *renewed {
                line.flag("renewed", true);
            }
            "issued"
        }
        AgentEvent::BundlesSent { caller, method } => {
            line.caller(caller).text("method", method.name());
            "bundlesSent"
        }
        AgentEvent::Refused { caller, method, code } => {
            line.caller(caller).text("method", method.map_or("", Method::name)).text("code", code.name());
            "refused"
        }
        AgentEvent::Reloaded { rules } => {
            line.number("rules", *rules as u64);
            "reloaded"
        }
        AgentEvent::ReloadFailed { error } => {
            line.text("error", error);
            "reloadFailed"
        }
        AgentEvent::KeysChanged { sequence } => {
            line.number("sequence", *sequence);
            "keysChanged"
        }
        AgentEvent::OperatorRequest { caller, verb, refused } => {
            line.caller(caller).text("verb", verb).text("code", refused.map_or("ok", |code| code.as_str()));
            "operatorRequest"
        }
        AgentEvent::Killed { by, reason } => {
            line.text("by", by).text("reason", reason);
            "killed"
        }
        AgentEvent::Resumed { by } => {
            line.text("by", by);
            "resumed"
        }
        AgentEvent::Found { id, severity, title, evidence } => {
            line.text("id", id).text("severity", severity.as_str()).text("title", title).text("evidence", evidence);
            "found"
        }
        AgentEvent::Started { rules, killed } => {
            line.number("pid", std::process::id()).number("rules", *rules as u64).flag("killed", *killed);
            line.text("version", env!("CARGO_PKG_VERSION"));
            "started"
        }
        AgentEvent::Stopped => "stopped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_a_json_string() {
        for text in ["", "a\"b\\c", "\u{0}\u{1f}\n\t\u{7f}", "zoë \u{2028} \u{1f600}"] {
            let mut out = String::new();
            quote(&mut out, text);
            assert_eq!(serde_json::from_str::<String>(&out).ok().as_deref(), Some(text), "{out}");
            assert!(!out.contains('\n'));
        }
    }
}
