use serde::{Deserialize, Serialize};

use super::classification::{MaestroLayer, NistAttackType};
use super::severity::Severity;

/// Something an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditFinding {
    /// What kind of finding, such as `CS-RULE-001`. The same in every report.
    pub id: String,
    /// How much it matters.
    pub severity: Severity,
    /// What it is about, in a word.
    pub category: String,
    /// What is wrong, in a line.
    pub title: String,
    /// Why that is wrong.
    pub description: String,
    /// What was seen.
    pub evidence: String,
    /// What to do about it.
    pub remediation: String,
    /// Can the audit repair it itself?
    pub auto_fixable: bool,
    /// Where to read more.
    pub references: Vec<String>,
    /// The number in OWASP's list for agentic systems, such as `ASI03`.
    pub owasp_asi: String,
    /// The layer of MAESTRO it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maestro_layer: Option<MaestroLayer>,
    /// The kind of attack it invites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nist_category: Option<NistAttackType>,
}
