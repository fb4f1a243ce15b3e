use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{BundleError, BundleSet, SpiffeBundle, spiffe::WrittenBundle};
use crate::spiffe::{
    TrustDomain,
    json::{self, EachMemberOnce},
    limits::BUNDLE_MAP_BYTES,
};

/// The bundles of several trust domains in one document: `{"trust_domains": {"example.org": {"keys": [...]}}}`, the
/// form gRPC's SPIFFE support and others read from files. It is taken as a whole or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BundleMap {
    bundles: BTreeMap<TrustDomain, SpiffeBundle>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    trust_domains: Option<BTreeMap<String, &'a RawValue>>,
}

impl BundleMap {
    /// A map without bundles.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a bundle map. A member that is named twice, at any depth, or one broken bundle, refuses the whole; refresh
    /// hints are ignored, as the file is re-read when it changes.
    pub fn parse(json: &[u8]) -> Result<Self, BundleError> {
        if json.len() > BUNDLE_MAP_BYTES {
            return Err(BundleError::TooLarge);
        }
        let text = std::str::from_utf8(json).map_err(|_| BundleError::MalformedJson("not UTF-8".to_owned()))?;
        serde_json::from_str::<EachMemberOnce>(text)?;
        let document: Document<'_> = json::object(text)?;
        let mut bundles = BTreeMap::new();
        for (name, bundle) in document.trust_domains.ok_or(BundleError::MissingTrustDomains)? {
            let trust_domain = TrustDomain::parse(&name).map_err(BundleError::InvalidTrustDomain)?;
            let bundle = SpiffeBundle::parse(trust_domain.clone(), bundle.get().as_bytes())
                .map_err(|error| BundleError::InMap { trust_domain: trust_domain.clone(), error: Box::new(error) })?;
            // Two spellings of one name are one name.
            if bundles.insert(trust_domain.clone(), bundle.without_refresh_hint()).is_some() {
                return Err(BundleError::DuplicateTrustDomain(trust_domain));
            }
        }
        Ok(Self { bundles })
    }

    /// Takes a bundle in place of the one its trust domain had.
    pub fn insert(&mut self, bundle: SpiffeBundle) -> Option<SpiffeBundle> {
        self.bundles.insert(bundle.trust_domain().clone(), bundle.without_refresh_hint())
    }

    /// Removes the bundle of a trust domain.
    pub fn remove(&mut self, trust_domain: &TrustDomain) -> Option<SpiffeBundle> {
        self.bundles.remove(trust_domain)
    }

    /// The bundle of a trust domain.
    pub fn get(&self, trust_domain: &TrustDomain) -> Option<&SpiffeBundle> {
        self.bundles.get(trust_domain)
    }

    /// The bundles, ordered by trust domain.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &SpiffeBundle> {
        self.bundles.values()
    }

    /// How many bundles there are.
    pub fn len(&self) -> usize {
        self.bundles.len()
    }

    /// Whether there is no bundle.
    pub fn is_empty(&self) -> bool {
        self.bundles.is_empty()
    }

    /// The same bundles as a set to verify with.
    pub fn to_bundle_set(&self) -> BundleSet {
        let mut set = BundleSet::new();
        for bundle in self.iter() {
            set.insert(bundle);
        }
        set
    }

    /// Writes the document, ordered by trust domain.
    pub fn to_json(&self) -> Result<String, BundleError> {
        #[derive(Serialize)]
        struct Written<'a> {
            trust_domains: BTreeMap<&'a str, WrittenBundle<'a>>,
        }
        let written = self
            .bundles
            .iter()
            .map(|(trust_domain, bundle)| Ok((trust_domain.name(), bundle.written(None)?)))
            .collect::<Result<_, BundleError>>()?;
        Ok(serde_json::to_string(&Written { trust_domains: written })?)
    }
}
