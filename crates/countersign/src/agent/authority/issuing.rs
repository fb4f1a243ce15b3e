use std::sync::Arc;

use super::error::AuthorityError;
use super::state::State;
use crate::spiffe::issue::{JwtIssuer, X509Issuer};
use crate::spiffe::{JwtAuthority, JwtBundle, TrustDomain, X509Bundle};

/// The keys that sign now, and the bundles that are published with them.
pub struct Issuing {
    /// Signs X509-SVIDs.
    pub x509: Arc<X509Issuer>,
    /// Signs JWT-SVIDs.
    pub jwt: Arc<JwtIssuer>,
    /// Every root that may have signed something that is still valid, and the one to come.
    pub x509_bundle: X509Bundle,
    /// The same for tokens.
    pub jwt_bundle: JwtBundle,
    /// Grows with every change.
    pub sequence: u64,
}

impl Issuing {
    /// The keys and bundles of this state.
    pub(super) fn of(state: &State, trust_domain: &TrustDomain) -> Result<Issuing, AuthorityError> {
        let unusable = |error: crate::spiffe::BundleError| AuthorityError::Keys(error.to_string());
        let roots: Vec<u8> = state.x509.published(|issuer| issuer.certificate().to_vec()).concat();
        let mut jwt_bundle = JwtBundle::new(trust_domain.clone());
        let tokens: Vec<Option<JwtAuthority>> = state.jwt.published(|issuer| issuer.authority());
        for authority in tokens.into_iter().flatten() {
            jwt_bundle.add_authority(authority).map_err(unusable)?;
        }
        Ok(Issuing {
            x509: Arc::clone(state.x509.active()),
            jwt: Arc::clone(state.jwt.active()),
            x509_bundle: X509Bundle::from_der(trust_domain.clone(), &roots).map_err(unusable)?,
            jwt_bundle,
            sequence: state.sequence,
        })
    }
}
