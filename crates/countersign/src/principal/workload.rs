use super::{Attributes, Issuer, TenantId, TrustDomain, WorkloadId};

/// A service, a batch job, an agent, a CI run: anything that proves its identity without a human.
///
/// The fields are what the issuer said. That they agree with each other is not checked, as it is not by the crate whose
/// JSON this is; [`Rules::Strict`](super::Rules::Strict) asks for it when a document is read.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct WorkloadPrincipal {
    /// The ID.
    pub workload_id: WorkloadId,
    /// The trust domain.
    pub trust_domain: TrustDomain,
    /// Who vouched.
    pub issuer: Issuer,
    /// The tenant it works for.
    pub tenant_id: TenantId,
    /// That tenant's readable name.
    pub tenant_slug: String,
    /// What it does: `billing`.
    pub service_name: String,
    /// What else is known.
    pub attributes: Attributes,
}
