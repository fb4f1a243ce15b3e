use std::collections::BTreeMap;
use std::sync::Arc;

use prost::bytes::Bytes;

use crate::agent::authority::Issuing;
use crate::spiffe::{BundleSet, SpiffeBundle, TrustDomain};

/// Whom the workloads of this machine may trust, at one moment: the agent's own authority, and foreign ones.
pub(super) struct Trust {
    pub(super) issuing: Arc<Issuing>,
    /// The bundle of the agent's own trust domain, as it is sent.
    pub(super) own: Encoded,
    pub(super) foreign: BTreeMap<TrustDomain, Foreign>,
}

/// A bundle of a foreign trust domain.
pub(super) struct Foreign {
    pub(super) bundle: SpiffeBundle,
    pub(super) encoded: Encoded,
}

/// A bundle in the forms of the Workload API.
pub(super) struct Encoded {
    /// Concatenated DER.
    pub(super) x509: Bytes,
    /// A JWKS.
    pub(super) jwt: Bytes,
}

impl Trust {
    pub(super) fn new(issuing: Arc<Issuing>, foreign: BTreeMap<TrustDomain, SpiffeBundle>) -> Trust {
        let own =
            Encoded { x509: Bytes::copy_from_slice(issuing.x509_bundle.to_der()), jwt: jwks(&issuing.jwt_bundle) };
        let encode = |(name, bundle): (TrustDomain, SpiffeBundle)| {
            let x509 = Bytes::copy_from_slice(bundle.x509_bundle().to_der());
            let encoded = Encoded { x509, jwt: jwks(bundle.jwt_bundle()) };
            (name, Foreign { bundle, encoded })
        };
        Trust { issuing, own, foreign: foreign.into_iter().map(encode).collect() }
    }

    /// The bundles a workload may verify with: its own and those it is federated with.
    pub(super) fn bundles_for<'a>(&self, federates_with: impl Iterator<Item = &'a TrustDomain>) -> BundleSet {
        let mut set = BundleSet::new();
        set.insert_x509(self.issuing.x509_bundle.clone());
        set.insert_jwt(self.issuing.jwt_bundle.clone());
        for name in federates_with {
            if let Some(foreign) = self.foreign.get(name) {
                set.insert(&foreign.bundle);
            }
        }
        set
    }
}

/// Keys we hold always have a form; one that could not be read is left out, which trusts less.
fn jwks(bundle: &crate::spiffe::JwtBundle) -> Bytes {
    bundle.to_jwks().map_or_else(|_| Bytes::from_static(br#"{"keys":[]}"#), Bytes::from)
}
