//! `FetchX509Bundles` and `FetchJWTBundles`: the bundles a workload verifies its peers with.

use std::collections::BTreeMap;

use prost::bytes::Bytes;

use super::call::Call;
use super::entitlement::Entitlement;
use super::stream::Watched;
use super::trust::{Encoded, Trust};
use crate::agent::decisions::{AgentEvent, Authorized};
use crate::spiffe::workload_api::Status;
use crate::spiffe::workload_api::proto::{JwtBundlesResponse, X509BundlesResponse};

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

/// Records that these bundles are sent, and lets them pass.
fn authorize<R>(call: &Call<'_>, who: &Entitlement, response: R) -> Result<Authorized<R>, Status> {
    let event = |_: &R| AgentEvent::BundlesSent { caller: call.caller(&who.process), method: call.method };
    call.authorize(&who.process, response, event)
}

impl Watched for X509Bundles {
    type Response = X509BundlesResponse;

    fn build(
        &mut self,
        call: &Call<'_>,
        who: &Entitlement,
        trust: &Trust,
    ) -> Result<Authorized<Self::Response>, Status> {
        let bundles = collect(who, trust, |encoded| &encoded.x509);
        authorize(call, who, X509BundlesResponse { crl: Vec::new(), bundles })
    }
}

impl Watched for JwtBundles {
    type Response = JwtBundlesResponse;

    fn build(
        &mut self,
        call: &Call<'_>,
        who: &Entitlement,
        trust: &Trust,
    ) -> Result<Authorized<Self::Response>, Status> {
        authorize(call, who, JwtBundlesResponse { bundles: collect(who, trust, |encoded| &encoded.jwt) })
    }
}
