use std::collections::{BTreeMap, BTreeSet};

use prost::bytes::Bytes;

use super::error::{Ignored, IgnoredReason, WorkloadApiError};
use super::proto::{JwtBundlesResponse, X509BundlesResponse, method};
use super::subject::Subject;
use crate::spiffe::{BundleSet, JwtBundle, TrustDomain, X509Bundle};

/// The X.509 bundles of all trust domains the workload may know.
#[derive(Debug, Clone)]
pub struct X509Bundles {
    /// By trust domain.
    pub bundles: BundleSet,
    /// Certificate revocation lists as DER.
    pub crls: Vec<Bytes>,
    /// What had to be ignored.
    pub ignored: Vec<Ignored>,
}

/// The JWT bundles of all trust domains the workload may know. They are read on first use.
#[derive(Debug, Clone)]
pub struct JwtBundles {
    /// By trust domain.
    pub bundles: BundleSet,
    /// What had to be ignored.
    pub ignored: Vec<Ignored>,
}

/// A bundle set under construction, out of what a message says and what was there before.
pub(super) struct Assembly {
    pub bundles: BundleSet,
    pub ignored: Vec<Ignored>,
    seen: BTreeSet<TrustDomain>,
}

impl Assembly {
    /// Starts from the bundles of the previous message: what comes again is not made anew, so that earlier
    /// verifications with it stay remembered.
    pub fn after(previous: Option<&BundleSet>) -> Assembly {
        Assembly { bundles: previous.cloned().unwrap_or_default(), ignored: Vec::new(), seen: BTreeSet::new() }
    }

    pub fn ignore(&mut self, what: String, reason: IgnoredReason) {
        self.ignored.push(Ignored { what, reason });
    }

    /// Whether the message already contained the trust domain.
    pub fn has(&self, trust_domain: &TrustDomain) -> bool {
        self.seen.contains(trust_domain)
    }

    pub fn put_x509(&mut self, trust_domain: &TrustDomain, der: &[u8]) -> Result<(), IgnoredReason> {
        let known = self.bundles.x509_bundle(trust_domain).is_some_and(|bundle| bundle.to_der() == der);
        if !known {
            let bundle = X509Bundle::from_der_lazy(trust_domain.clone(), der).map_err(IgnoredReason::Bundle)?;
            self.bundles.insert_x509(bundle);
        }
        self.seen.insert(trust_domain.clone());
        Ok(())
    }

    fn put_jwt(&mut self, trust_domain: &TrustDomain, jwks: &[u8]) {
        self.bundles.insert_jwt(JwtBundle::from_jwks_lazy(trust_domain.clone(), jwks));
        self.seen.insert(trust_domain.clone());
    }

    /// Takes a map of bundles. An empty one is the same as none: its trust domain is not trusted (Workload API 4.1).
    /// None takes the place of a bundle of the workload's own trust domains.
    pub fn put_all(
        &mut self,
        map: &BTreeMap<String, Bytes>,
        field: &str,
        own: &[TrustDomain],
        mut put: impl FnMut(&mut Assembly, &TrustDomain, &Bytes) -> Result<(), IgnoredReason>,
    ) {
        for (key, bytes) in map {
            let placed = match TrustDomain::parse(key) {
                Err(error) => Err(IgnoredReason::Label(error)),
                Ok(_) if bytes.is_empty() => Err(IgnoredReason::EmptyBundle),
                Ok(trust_domain) if own.contains(&trust_domain) => Err(IgnoredReason::OwnTrustDomain),
                // Two spellings of one name.
                Ok(trust_domain) if self.has(&trust_domain) => Err(IgnoredReason::OtherBundle),
                Ok(trust_domain) => put(self, &trust_domain, bytes),
            };
            if let Err(reason) = placed {
                self.ignore(format!("{field}[{key:?}]"), reason);
            }
        }
    }

    /// Forgets the trust domains that the message does not contain.
    pub fn finish(mut self) -> (BundleSet, Vec<Ignored>) {
        let gone: Vec<TrustDomain> =
            self.bundles.trust_domains().filter(|name| !self.seen.contains(*name)).cloned().collect();
        for trust_domain in &gone {
            self.bundles.remove(trust_domain);
        }
        (self.bundles, self.ignored)
    }

    /// Forgets the trust domain as a part of the message.
    pub fn retract(&mut self, trust_domain: &TrustDomain) {
        self.seen.remove(trust_domain);
    }
}

impl Subject for X509Bundles {
    type Response = X509BundlesResponse;
    const METHOD: &'static str = method::FETCH_X509_BUNDLES;
    const NAME: &'static str = "X.509 bundles";
    type Memory = BundleSet;

    fn read(response: X509BundlesResponse, memory: Option<&BundleSet>) -> Result<Self, WorkloadApiError> {
        if response.bundles.is_empty() {
            return Err(WorkloadApiError::Empty("bundles"));
        }
        let mut assembly = Assembly::after(memory);
        assembly.put_all(&response.bundles, "bundles", &[], |assembly, name, der| assembly.put_x509(name, der));
        let (bundles, ignored) = assembly.finish();
        Ok(X509Bundles { bundles, crls: response.crl, ignored })
    }

    fn memory(&self) -> BundleSet {
        self.bundles.clone()
    }

    fn says_the_same(&self, other: &Self) -> bool {
        self.bundles == other.bundles && self.crls == other.crls
    }

    fn ignored(&self) -> &[Ignored] {
        &self.ignored
    }
}

impl Subject for JwtBundles {
    type Response = JwtBundlesResponse;
    const METHOD: &'static str = method::FETCH_JWT_BUNDLES;
    const NAME: &'static str = "JWT bundles";
    type Memory = BundleSet;

    fn read(response: JwtBundlesResponse, memory: Option<&BundleSet>) -> Result<Self, WorkloadApiError> {
        if response.bundles.is_empty() {
            return Err(WorkloadApiError::Empty("bundles"));
        }
        let mut assembly = Assembly::after(memory);
        assembly.put_all(&response.bundles, "bundles", &[], |assembly, name, jwks| {
            assembly.put_jwt(name, jwks);
            Ok(())
        });
        let (bundles, ignored) = assembly.finish();
        Ok(JwtBundles { bundles, ignored })
    }

    fn memory(&self) -> BundleSet {
        self.bundles.clone()
    }

    fn says_the_same(&self, other: &Self) -> bool {
        self.bundles == other.bundles
    }

    fn ignored(&self) -> &[Ignored] {
        &self.ignored
    }
}
