//! `FetchX509SVID`: the SVIDs of a workload, each kept until half of its lifetime is over.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::bytes::Bytes;

use super::call::Call;
use super::entitlement::{Entitlement, no_identity};
use super::reply::issuing_failed;
use super::stream::Watched;
use super::trust::Trust;
use crate::agent::decisions::{AgentEvent, Authorized};
use crate::agent::rules::svid_entry::SvidRule;
use crate::agent::rules::workload_api::WorkloadConfig;
use crate::spiffe::clock::unix_seconds;
use crate::spiffe::issue::{LeafRequest, X509Issuer};
use crate::spiffe::workload_api::proto::{X509Svid, X509SvidResponse};
use crate::spiffe::workload_api::{Code, Status, framing};

/// Seconds an SVID is valid before it is issued, at most: clocks of peers may lag.
const BACKDATED: i64 = 10;

/// What one caller holds.
#[derive(Default)]
pub(super) struct X509Svids(Vec<Authorized<Held>>);

struct Held {
    rule: Arc<SvidRule>,
    issuer: Arc<X509Issuer>,
    chain: Bytes,
    /// Wiped when the last reference is dropped.
    key: Bytes,
    /// When half of its lifetime is over.
    rotate_at: i64,
    not_after: i64,
}

impl Held {
    fn issue(rule: &Arc<SvidRule>, issuer: &Arc<X509Issuer>, config: &WorkloadConfig) -> Result<Held, Status> {
        let now = unix_seconds(None);
        let ttl = rule.x509_svid_ttl.unwrap_or(config.x509_svid_ttl).as_secs() as i64;
        let request = LeafRequest {
            spiffe_id: &rule.spiffe_id,
            dns_names: &rule.dns_names,
            not_before: now - BACKDATED.min(ttl / 20),
            not_after: now.saturating_add(ttl),
        };
        let issued = issuer.issue(&request).map_err(|error| issuing_failed(&error))?;
        Ok(Held {
            rule: Arc::clone(rule),
            issuer: Arc::clone(issuer),
            chain: issued.chain_der.into(),
            key: framing::wiped(issued.key_der),
            rotate_at: now + (issued.not_after - now) / 2,
            not_after: issued.not_after,
        })
    }

    /// Records that it is handed out, and lets it pass.
    fn authorize(self, call: &Call<'_>, process: &str, renewed: bool) -> Result<Authorized<Held>, Status> {
        let event = |held: &Held| AgentEvent::Issued {
            caller: call.caller(process),
            method: call.method,
            spiffe_id: held.rule.spiffe_id.as_str().to_owned(),
            expires: Some(held.not_after),
            renewed,
        };
        let held = call.authorize(process, self, event)?;
        call.log(process, Code::Ok, Some(held.rule.spiffe_id.as_str()));
        call.workload.counters.x509_issued();
        Ok(held)
    }

    /// Is it still the right one, and good for a while?
    fn serves(&self, rule: &SvidRule, trust: &Trust, now: i64) -> bool {
        *self.rule == *rule
            && now < self.rotate_at
            && trust.issuing.x509_bundle.has_authority(self.issuer.certificate())
    }
}

impl Watched for X509Svids {
    type Response = X509SvidResponse;

    fn build(
        &mut self,
        call: &Call<'_>,
        entitlement: &Entitlement,
        trust: &Trust,
    ) -> Result<Authorized<X509SvidResponse>, Status> {
        let config = entitlement.config()?;
        let now = unix_seconds(None);
        let mut held = std::mem::take(&mut self.0);
        for rule in &entitlement.svids {
            let kept = held.iter().position(|held| held.serves(rule, trust, now)).map(|at| held.swap_remove(at));
            self.0.push(match kept {
                Some(kept) => kept,
                None => {
                    let renewed = held.iter().any(|old| old.rule.spiffe_id == rule.spiffe_id);
                    let issued = Held::issue(rule, &trust.issuing.x509, config)?;
                    issued.authorize(call, &entitlement.process, renewed)?
                }
            });
        }
        let svid = |held: &Held| X509Svid {
            spiffe_id: held.rule.spiffe_id.as_str().to_owned(),
            x509_svid: held.chain.clone(),
            x509_svid_key: held.key.clone(),
            bundle: trust.own.x509.clone(),
            hint: held.rule.hint.clone(),
        };
        let mut federated_bundles = BTreeMap::new();
        for name in entitlement.federates_with() {
            if let Some(foreign) = trust.foreign.get(name)
                && !foreign.encoded.x509.is_empty()
            {
                federated_bundles.insert(name.id().as_str().to_owned(), foreign.encoded.x509.clone());
            }
        }
        let response = |held: Vec<&Held>| X509SvidResponse {
            svids: held.into_iter().map(svid).collect(),
            crl: Vec::new(),
            federated_bundles,
        };
        Authorized::join(self.0.iter().map(Authorized::as_ref), response).ok_or_else(no_identity)
    }

    fn due(&self) -> Option<i64> {
        self.0.iter().map(|held| held.rotate_at).min()
    }

    fn forget(&mut self) {
        self.0.clear();
    }
}
