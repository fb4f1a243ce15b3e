//! Where a verifier finds the authorities of a trust domain.

use super::verified::{VerifiedChains, VerifiedTokens};
use crate::spiffe::{BundleSet, JwtBundle, SpiffeBundle, TrustDomain, X509Bundle};

/// A source of one kind of bundles: the trait, and the three types that have such bundles.
macro_rules! bundle_source {
    ($(#[$docs:meta])* $source:ident, $bundle:ident, $find:ident, $memory:ident: $verified:ident) => {
        $(#[$docs])*
        pub trait $source: Send + Sync {
            /// The authorities of exactly this trust domain.
            fn $find(&self, trust_domain: &TrustDomain) -> Option<$bundle>;

            /// Where verified documents are remembered, if they are.
            fn $memory(&self) -> Option<&$verified> {
                None
            }
        }

        impl $source for BundleSet {
            fn $find(&self, trust_domain: &TrustDomain) -> Option<$bundle> {
                self.$find(trust_domain).cloned()
            }

            fn $memory(&self) -> Option<&$verified> {
                Some(self.$memory())
            }
        }

        impl $source for $bundle {
            fn $find(&self, trust_domain: &TrustDomain) -> Option<$bundle> {
                (self.trust_domain() == trust_domain).then(|| self.clone())
            }
        }

        impl $source for SpiffeBundle {
            fn $find(&self, trust_domain: &TrustDomain) -> Option<$bundle> {
                $source::$find(self.$find(), trust_domain)
            }
        }
    };
}

bundle_source!(
    /// Where a verifier finds the X.509 authorities of a trust domain.
    X509BundleSource, X509Bundle, x509_bundle, verified_chains: VerifiedChains
);
bundle_source!(
    /// Where a verifier finds the authorities for the tokens of a trust domain.
    JwtBundleSource, JwtBundle, jwt_bundle, verified_tokens: VerifiedTokens
);
