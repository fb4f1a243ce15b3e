/// A call to the Workload API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// Its number, from 0.
    pub number: u64,
    /// The method, or the path of one that is not known.
    pub method: String,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Process id of the caller.
    pub pid: Option<u32>,
    /// User id of the caller.
    pub uid: Option<u32>,
    /// Whether the security header was there, exactly once.
    pub security_header: bool,
    /// How it ended, once it has: `OK`, the name of a status, or `CANCELLED` when the caller gave up.
    pub outcome: Option<String>,
    /// How many messages were sent.
    pub messages: u64,
    /// The audience it asked for.
    pub audience: Vec<String>,
    /// The SPIFFE ID it asked for; empty for all.
    pub spiffe_id: String,
}
