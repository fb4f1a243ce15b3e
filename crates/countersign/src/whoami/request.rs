use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// The keys of a runner that only the daemon may set.
pub const SERVER_OWNED_KEYS: [&str; 6] = ["identity", "hostname", "process", "pid", "uid", "gid"];

/// What a caller may say about itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunnerContext {
    /// Its instance.
    pub instance_id: Option<u64>,
    /// Its time, Unix seconds.
    pub timestamp: Option<u64>,
    /// Anything else, flattened beside the two.
    pub extra: Map<String, Value>,
}

/// Why a runner context cannot be sent, or a request not be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// An extra has the name of a typed or a server-owned field.
    #[error("runner.extra: `{0}` is a name of the protocol and cannot be an extra")]
    ReservedKey(String),
    /// Not one JSON object with an object `runner`.
    #[error("{0}")]
    Invalid(String),
}

impl RunnerContext {
    /// The request as it goes over the wire. An extra that would silently replace a typed field, or pretend to be
    /// one of the daemon's, is refused.
    pub fn to_request(&self) -> Result<Vec<u8>, RequestError> {
        let mut runner = Map::new();
        for (key, value) in &self.extra {
            if SERVER_OWNED_KEYS.contains(&key.as_str()) || key == "instance_id" || key == "timestamp" {
                return Err(RequestError::ReservedKey(key.clone()));
            }
            runner.insert(key.clone(), value.clone());
        }
        if let Some(number) = self.instance_id {
            runner.insert("instance_id".into(), number.into());
        }
        if let Some(number) = self.timestamp {
            runner.insert("timestamp".into(), number.into());
        }
        Ok(serde_json::json!({ "runner": runner }).to_string().into_bytes())
    }

    /// What a client sent. `None` when it sent nothing but white space, or an object without `runner`. The names only
    /// the daemon may set are dropped here: they are overwritten, never merged.
    pub fn parse_request(bytes: &[u8]) -> Result<Option<RunnerContext>, RequestError> {
        let text = std::str::from_utf8(bytes).map_err(|_| RequestError::Invalid("the request is not UTF-8".into()))?;
        if text.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
            return Ok(None);
        }
        // A derived struct would also take a JSON array, field by field.
        if !text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
            return Err(RequestError::Invalid("the request is not a JSON object".into()));
        }
        let request: Request = serde_json::from_str(text).map_err(|error| RequestError::Invalid(error.to_string()))?;
        Ok(request.runner)
    }
}

#[derive(serde::Deserialize)]
struct Request {
    #[serde(default)]
    runner: Option<RunnerContext>,
}

impl<'de> Deserialize<'de> for RunnerContext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Runner;
        impl<'de> Visitor<'de> for Runner {
            type Value = RunnerContext;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of runner fields")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RunnerContext, A::Error> {
                let mut context = RunnerContext::default();
                let (mut seen_id, mut seen_time) = (false, false);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "instance_id" if std::mem::replace(&mut seen_id, true) => {
                            return Err(de::Error::duplicate_field("instance_id"));
                        }
                        "timestamp" if std::mem::replace(&mut seen_time, true) => {
                            return Err(de::Error::duplicate_field("timestamp"));
                        }
                        "instance_id" => context.instance_id = map.next_value()?,
                        "timestamp" => context.timestamp = map.next_value()?,
                        owned if SERVER_OWNED_KEYS.contains(&owned) => {
                            map.next_value::<de::IgnoredAny>()?;
                        }
                        _ => {
                            let value = map.next_value()?;
                            context.extra.insert(key, value);
                        }
                    }
                }
                Ok(context)
            }
        }
        deserializer.deserialize_map(Runner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_request_goes_out_as_the_original_client_writes_it() {
        let mut context = RunnerContext { instance_id: Some(42), timestamp: Some(1738512000), ..Default::default() };
        context.extra.insert("zone".into(), json!("b"));
        context.extra.insert("a".into(), json!([1, { "k": null }]));
        assert_eq!(
            String::from_utf8(context.to_request().unwrap()).unwrap(),
            r#"{"runner":{"a":[1,{"k":null}],"instance_id":42,"timestamp":1738512000,"zone":"b"}}"#
        );
        assert_eq!(RunnerContext::default().to_request().unwrap(), br#"{"runner":{}}"#);
    }

    #[test]
    fn an_extra_cannot_take_the_place_of_a_field() {
        for key in ["instance_id", "timestamp", "pid", "uid", "gid", "identity", "hostname", "process"] {
            let mut context = RunnerContext::default();
            context.extra.insert(key.into(), json!(1));
            assert_eq!(context.to_request(), Err(RequestError::ReservedKey(key.into())));
        }
    }

    #[test]
    fn server_owned_names_in_a_request_are_dropped() {
        let text = br#"{"runner":{"uid":0,"pid":1,"identity":"ROOT","process":"x","hostname":"h","gid":0,"z":1}}"#;
        let context = RunnerContext::parse_request(text).unwrap().unwrap();
        assert_eq!(context.extra.keys().collect::<Vec<_>>(), ["z"]);
    }

    #[test]
    fn requests_are_told_apart_from_noise() {
        assert_eq!(RunnerContext::parse_request(b" \n").unwrap(), None);
        assert_eq!(RunnerContext::parse_request(b"{}").unwrap(), None);
        assert_eq!(RunnerContext::parse_request(br#"{"runner":null}"#).unwrap(), None);
        assert_eq!(RunnerContext::parse_request(br#"{"runner":{}}"#).unwrap(), Some(RunnerContext::default()));
        for bad in [
            &b"[]"[..],
            b"{\"runner\":[]}",
            b"{\"runner\":{\"instance_id\":-1}}",
            b"{\"runner\":{\"instance_id\":18446744073709551616}}",
            b"{\"runner\":{\"timestamp\":1,\"timestamp\":2}}",
            b"{\"runner\":{},\"runner\":{}}",
            b"{\"runner\":{}} x",
            b"{\"runner\":{\"a\":\"\xff\"}}",
        ] {
            assert!(RunnerContext::parse_request(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
