use std::io;

use serde_json::{Map, Value};

use super::Token;

/// The identity that the daemon gave to the caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// The identity name (`BILLING_PROD`).
    pub identity: String,
    /// Where this identity logs in (an OAuth2/OIDC URL).
    pub idm_url: String,
    /// Where this identity gets its configuration.
    pub config_url: String,
    /// A credential for the two.
    pub token: Token,
    /// The process as the daemon saw it, to be forwarded to a config server.
    pub runner: Runner,
}

/// The process as the daemon saw it, plus what the caller reports about itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Runner {
    /// The identity name again.
    pub identity: String,
    /// The host.
    pub hostname: String,
    /// The process name (`comm`).
    pub process: String,
    /// Process id; absent stays absent (an absent uid read as 0 would be root).
    pub pid: Option<u32>,
    /// Effective user id.
    pub uid: Option<u32>,
    /// Effective group id.
    pub gid: Option<u32>,
    /// What the caller reports: its instance.
    pub instance_id: Option<u64>,
    /// What the caller reports: its time, Unix seconds.
    pub timestamp: Option<u64>,
    /// What the caller reports: anything else.
    pub extra: Map<String, Value>,
}

impl Runner {
    /// The wire form: one flat object.
    pub fn to_value(&self) -> Value {
        // Extras first: whatever their names, a field the daemon vouches for overwrites them.
        let mut map = self.extra.clone();
        map.insert("identity".into(), self.identity.as_str().into());
        map.insert("hostname".into(), self.hostname.as_str().into());
        map.insert("process".into(), self.process.as_str().into());
        for (key, value) in [("pid", self.pid), ("uid", self.uid), ("gid", self.gid)] {
            match value {
                Some(number) => map.insert(key.into(), number.into()),
                None => map.remove(key),
            };
        }
        for (key, value) in [("instance_id", self.instance_id), ("timestamp", self.timestamp)] {
            match value {
                Some(number) => map.insert(key.into(), number.into()),
                None => map.remove(key),
            };
        }
        Value::Object(map)
    }
}

impl Identity {
    /// The answer as it goes over the wire. It holds the token: wipe it after use.
    pub fn to_json(&self) -> Vec<u8> {
        #[derive(serde::Serialize)]
        struct Body<'a> {
            status: &'static str,
            identity: &'a str,
            idm_url: &'a str,
            config_url: &'a str,
            token: &'a str,
            runner: Value,
        }
        let body = Body {
            status: "ok",
            identity: &self.identity,
            idm_url: &self.idm_url,
            config_url: &self.config_url,
            token: self.token.expose(),
            runner: self.runner.to_value(),
        };
        // Written once, into memory that is large enough: a buffer that grows leaves copies of the token behind.
        let mut measure = Length(0);
        let mut bytes = Vec::new();
        // Neither writer can fail, and maps of strings always serialise.
        if serde_json::to_writer(&mut measure, &body).is_ok() {
            bytes.reserve_exact(measure.0);
            let _ = serde_json::to_writer(&mut bytes, &body);
        }
        bytes
    }
}

/// Counts what would be written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
