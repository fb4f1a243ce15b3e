//! `FetchX509Bundles` and `FetchJWTBundles`: the bundles a workload may judge others with.

use std::collections::BTreeMap;

use prost::bytes::Bytes;

use super::Workload;
use super::stream::Watched;
use super::trust::{Encoded, Trust};
use crate::agent::attest::entitlement::{Entitlement, vouch};
use crate::agent::decisions::event::{AgentEvent, Caller};
use crate::peer::Peer;
use crate::spiffe::workload_api::proto::{JwtBundlesResponse, X509BundlesResponse};
use crate::spiffe::workload_api::{Method, Status};

pub(super) struct X509Bundles;

pub(super) struct JwtBundles;

fn collect(entitlement: &Entitlement, trust: &Trust, part: fn(&Encoded) -> &Bytes) -> BTreeMap<String, Bytes> {
    let own = trust.issuing.x509_bundle.trust_domain().id();
    let mut bundles = BTreeMap::from([(own.as_str().to_owned(), part(&trust.own).clone())]);
    for name in entitlement.federates_with() {
        if let Some(foreign) = trust.foreign.get(name)
            && !part(&foreign.encoded).is_empty()
        {
            bundles.insert(name.id().as_str().to_owned(), part(&foreign.encoded).clone());
        }
    }
    bundles
}

fn show(workload: &Workload, peer: &Peer, who: &Entitlement, method: Method) -> Result<(), Status> {
    let caller = Caller::of(peer, who.process.as_str());
    vouch(workload, peer, &who.process, AgentEvent::Shown { caller, method: method.name() })
}

impl Watched for X509Bundles {
    type Response = X509BundlesResponse;
    const METHOD: Method = Method::FetchX509Bundles;

    fn build(
        &mut self,
        workload: &Workload,
        peer: &Peer,
        who: &Entitlement,
        trust: &Trust,
    ) -> Result<Self::Response, Status> {
        show(workload, peer, who, Self::METHOD)?;
        Ok(X509BundlesResponse { crl: Vec::new(), bundles: collect(who, trust, |encoded| &encoded.x509) })
    }
}

impl Watched for JwtBundles {
    type Response = JwtBundlesResponse;
    const METHOD: Method = Method::FetchJwtBundles;

    fn build(
        &mut self,
        workload: &Workload,
        peer: &Peer,
        who: &Entitlement,
        trust: &Trust,
    ) -> Result<Self::Response, Status> {
        show(workload, peer, who, Self::METHOD)?;
        Ok(JwtBundlesResponse { bundles: collect(who, trust, |encoded| &encoded.jwt) })
    }
}
