use serde::{Deserialize, Deserializer, Serialize};

use super::severity::Severity;
use super::timestamp::Timestamp;

/// Something an operator may want to know as it happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// When it happened.
    pub timestamp: Timestamp,
    /// How much it matters.
    pub severity: Severity,
    /// What noticed it.
    #[serde(deserialize_with = "monitor")]
    pub monitor: String,
    /// What happened, in a sentence.
    pub message: String,
    /// More about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    /// The number of the alert, which grows by one; not sent by every agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// In an alert about alerts: how many this subscriber has missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<u64>,
}

/// The name of a monitor. Older agents call the self audit `posture`.
fn monitor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    Ok(if name == "posture" { "self_audit".to_owned() } else { name })
}
