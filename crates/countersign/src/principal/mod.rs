//! Principals: every proof of an identity ends in one type that authorization and audit can use.
//!
//! * [`TenantId`], [`UserId`], [`DeviceId`], [`SessionId`], [`EventId`] - UUIDs that cannot be mixed up;
//!   [`define_id!`](crate::define_id) makes more
//! * [`TrustDomain`], [`WorkloadId`] - names of workloads, by the rules of the crate `axess-identity`, or by the
//!   narrower ones of SPIFFE as well ([`Rules`])
//! * [`Issuer`] - who vouched
//! * [`Principal`] - a [`HumanPrincipal`] or a [`WorkloadPrincipal`], and its JSON
//! * [`oidc`] - verification of tokens that are no SVIDs
//!
//! The JSON is that of `axess-identity` 0.10 and newer. What its older releases wrote is read.

mod document;
mod error;
mod human;
mod id;
mod issuer;
pub mod oidc;
mod rules;
mod trust_domain;
mod workload;
mod workload_id;

pub use document::{Principal, PrincipalError};
pub use error::{IdentityError, IdentityReason};
pub use human::HumanPrincipal;
pub use id::{DeviceId, EventId, IdError, SessionId, TenantId, UserId, ensure_user_id_not_reserved};
pub use issuer::Issuer;
pub use rules::Rules;
pub use trust_domain::TrustDomain;
pub use uuid::Uuid;
pub use workload::WorkloadPrincipal;
pub use workload_id::WorkloadId;

/// What the policies and logs of the application know of a principal beyond its fields: any JSON, by name.
pub type Attributes = std::collections::BTreeMap<String, serde_json::Value>;

/// What the macro's expansion needs, so that its user depends on nothing else.
#[doc(hidden)]
pub mod expansion {
    pub use super::id::random_uuid;
    pub use serde;
}
