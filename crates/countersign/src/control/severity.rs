use serde::{Deserialize, Serialize};

/// How much something matters, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// Act now.
    Critical,
    /// Act today.
    High,
    /// Worth repairing.
    Medium,
    /// Worth knowing.
    Low,
    /// Nothing is wrong.
    Info,
}

impl Severity {
    /// All of them, the worst first.
    pub const ALL: [Severity; 5] =
        [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];

    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Critical => "CRITICAL",
            Severity::High => "HIGH",
            Severity::Medium => "MEDIUM",
            Severity::Low => "LOW",
            Severity::Info => "INFO",
        }
    }

    /// What one finding of it costs of a score of 100.
    pub fn cost(self) -> u32 {
        match self {
            Severity::Critical => 15,
            Severity::High => 8,
            Severity::Medium => 3,
            Severity::Low => 1,
            Severity::Info => 0,
        }
    }
}
