use serde::{Deserialize, Serialize};

/// A layer of CSA's MAESTRO model of an agentic system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the model numbers its layers, from foundation models up to the ecosystem of agents")]
pub enum MaestroLayer {
    L1,
    L2,
    L3,
    L4,
    L5,
    L6,
    L7,
}

impl MaestroLayer {
    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            MaestroLayer::L1 => "L1",
            MaestroLayer::L2 => "L2",
            MaestroLayer::L3 => "L3",
            MaestroLayer::L4 => "L4",
            MaestroLayer::L5 => "L5",
            MaestroLayer::L6 => "L6",
            MaestroLayer::L7 => "L7",
        }
    }
}

/// A kind of attack in NIST's taxonomy (AI 100-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are those of the taxonomy")]
pub enum NistAttackType {
    Evasion,
    Poisoning,
    Privacy,
    Misuse,
}
