use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::classification::{MaestroLayer, NistAttackType};
use super::finding::AuditFinding;
use super::severity::Severity;
use super::timestamp::Timestamp;

/// From so many layers on, weaknesses of different layers are a finding of their own.
const LAYERS_THAT_ADD_UP: usize = 3;

/// What an audit found, and what that is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditReport {
    /// When.
    pub timestamp: Timestamp,
    /// The version of what was audited.
    pub openclaw_version: String,
    /// The version of what audited it.
    pub secureops_version: String,
    /// The operating system and architecture.
    pub platform: String,
    /// How what was audited is run.
    pub deployment_mode: String,
    /// From 100, nothing found, down to 0.
    pub score: u32,
    /// What was found.
    pub findings: Vec<AuditFinding>,
    /// How much of it.
    pub summary: AuditSummary,
}

/// How many findings of each severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "each counts the severity of its name")]
pub struct AuditSummary {
    pub critical: u32,
    pub high: u32,
    pub medium: u32,
    pub low: u32,
    pub info: u32,
    /// How many of them can be repaired by the audit itself.
    pub auto_fixable: u32,
}

impl AuditReport {
    /// A report on these findings, with the finding about several layers if it is due.
    pub fn new(
        timestamp: Timestamp,
        version: &str,
        deployment_mode: &str,
        mut findings: Vec<AuditFinding>,
    ) -> AuditReport {
        // Before the score: it counts, too.
        findings.extend(cross_layer_finding(&findings));
        AuditReport {
            timestamp,
            openclaw_version: version.to_owned(),
            secureops_version: version.to_owned(),
            platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
            deployment_mode: deployment_mode.to_owned(),
            score: score_of(&findings),
            summary: AuditSummary::of(&findings),
            findings,
        }
    }
}

impl AuditSummary {
    /// Counts findings.
    pub fn of(findings: &[AuditFinding]) -> AuditSummary {
        let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count() as u32;
        AuditSummary {
            critical: count(Severity::Critical),
            high: count(Severity::High),
            medium: count(Severity::Medium),
            low: count(Severity::Low),
            info: count(Severity::Info),
            auto_fixable: findings.iter().filter(|finding| finding.auto_fixable).count() as u32,
        }
    }
}

/// What is left of 100 when every finding has cost what its severity costs.
pub fn score_of(findings: &[AuditFinding]) -> u32 {
    let cost: u32 = findings.iter().map(|finding| finding.severity.cost()).sum();
    100_u32.saturating_sub(cost)
}

/// The finding that weaknesses of at least three layers make together.
pub fn cross_layer_finding(findings: &[AuditFinding]) -> Option<AuditFinding> {
    let real = findings.iter().filter(|finding| finding.severity != Severity::Info);
    let layers: BTreeSet<MaestroLayer> = real.filter_map(|finding| finding.maestro_layer).collect();
    if layers.len() < LAYERS_THAT_ADD_UP {
        return None;
    }
    let names: Vec<&str> = layers.into_iter().map(MaestroLayer::as_str).collect();
    Some(AuditFinding {
        id: "SC-CROSS-001".into(),
        severity: Severity::High,
        category: "cross-layer".into(),
        title: "Weaknesses in several layers".into(),
        description: "Findings in three layers of MAESTRO or more can be combined into one attack.".into(),
        evidence: format!("Affected layers: {}", names.join(", ")),
        remediation: "Repair the findings of one layer after the other, the most severe first.".into(),
        auto_fixable: false,
        references: vec![
            "https://cloudsecurityalliance.org/blog/2025/02/06/agentic-ai-threat-modeling-framework-maestro".into(),
        ],
        owasp_asi: "ASI10".into(),
        maestro_layer: Some(MaestroLayer::L6),
        nist_category: Some(NistAttackType::Evasion),
    })
}
