use std::collections::HashSet;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use prost::bytes::Bytes;

use super::error::{Ignored, IgnoredReason, WorkloadApiError};
use super::proto::{self, X509SvidResponse, method};
use super::subject::Subject;
use super::trust_bundles::Assembly;
use crate::spiffe::limits::{HINT_BYTES, SVIDS};
use crate::spiffe::svid::Shape;
use crate::spiffe::{BundleSet, SpiffeId, TrustDomain, X509Svid, X509VerifyOptions, verify_x509_svid};

/// All X509-SVIDs of the workload and the bundles to verify peers with, of one and the same message.
///
/// Every SVID in it carries the name it is labelled with, matches its key, and leads to the bundle it came with.
#[derive(Clone)]
pub struct X509Context {
    /// The SVIDs; the first is the default identity. Never empty.
    pub svids: Vec<X509Svid>,
    /// The bundles of the workload's own trust domains, and of those they are federated with.
    pub bundles: BundleSet,
    /// Certificate revocation lists as DER.
    pub crls: Vec<Bytes>,
    /// What had to be ignored.
    pub ignored: Vec<Ignored>,
    memory: X509Memory,
}

/// What is worth knowing about an earlier message: which chains and keys, by their hash, were found good together, and
/// the bundles with all that was verified with them.
#[derive(Clone)]
pub struct X509Memory {
    bundles: BundleSet,
    /// In the order of the message.
    svids: Arc<[(Fingerprint, Arc<Shape>)]>,
}

/// SHA-256 over a chain with its length, and its key.
type Fingerprint = [u8; 32];

fn fingerprint(chain: &[u8], key: &[u8]) -> Fingerprint {
    let mut context = Context::new(&SHA256);
    context.update(&(chain.len() as u64).to_le_bytes());
    context.update(chain);
    context.update(key);
    let mut fingerprint = Fingerprint::default();
    fingerprint.copy_from_slice(context.finish().as_ref());
    fingerprint
}

impl X509Context {
    /// The default identity.
    pub fn default_svid(&self) -> Option<&X509Svid> {
        self.svids.first()
    }
}

impl Subject for X509Context {
    type Response = X509SvidResponse;
    const METHOD: &'static str = method::FETCH_X509_SVID;
    const NAME: &'static str = "X509-SVIDs";

    type Memory = X509Memory;

    fn read(response: X509SvidResponse, memory: Option<&X509Memory>) -> Result<Self, WorkloadApiError> {
        check_mandatory(&response.svids)?;
        let mut assembly = Assembly::after(memory.map(|memory| &memory.bundles));
        let mut reader = Reader { hints: HashSet::new(), memory, at: 0, read: Vec::new() };
        let mut svids = Vec::with_capacity(response.svids.len());
        let mut own: Vec<TrustDomain> = Vec::new();
        for (index, offered) in response.svids.iter().enumerate() {
            match reader.read(index, offered, &mut assembly) {
                Ok(svid) => svids.push(svid),
                Err(reason) => assembly.ignore(described(index, offered), reason),
            }
            if let Ok(id) = SpiffeId::parse(&offered.spiffe_id)
                && !own.contains(&id.trust_domain())
            {
                own.push(id.trust_domain());
            }
        }
        if svids.is_empty() {
            return Err(WorkloadApiError::NothingUsable(assembly.ignored));
        }
        // A bundle is taken from the SVID that proved to belong to it.
        for trust_domain in &own {
            if !svids.iter().any(|svid| svid.spiffe_id().member_of(trust_domain)) {
                assembly.retract(trust_domain);
            }
        }
        assembly.put_all(&response.federated_bundles, "federated_bundles", &own, |assembly, name, der| {
            assembly.put_x509(name, der)
        });
        let (bundles, ignored) = assembly.finish();
        let memory = X509Memory { bundles: bundles.clone(), svids: reader.read.into() };
        Ok(X509Context { svids, bundles, crls: response.crl, ignored, memory })
    }

    fn memory(&self) -> X509Memory {
        self.memory.clone()
    }

    fn says_the_same(&self, other: &Self) -> bool {
        self.svids == other.svids && self.bundles == other.bundles && self.crls == other.crls
    }

    fn ignored(&self) -> &[Ignored] {
        &self.ignored
    }

    fn lifetime(&self) -> Option<(i64, i64)> {
        let leaf = self.svids.iter().map(X509Svid::leaf).min_by_key(|leaf| leaf.not_after)?;
        Some((leaf.not_before, leaf.not_after))
    }
}

/// Workload API 5.2.1: all of these have a value, or the message is refused.
fn check_mandatory(svids: &[proto::X509Svid]) -> Result<(), WorkloadApiError> {
    if svids.is_empty() {
        return Err(WorkloadApiError::Empty("svids"));
    }
    if svids.len() > SVIDS {
        return Err(WorkloadApiError::TooManySvids(svids.len()));
    }
    for (index, svid) in svids.iter().enumerate() {
        for (field, missing) in [
            ("spiffe_id", svid.spiffe_id.is_empty()),
            ("x509_svid", svid.x509_svid.is_empty()),
            ("x509_svid_key", svid.x509_svid_key.is_empty()),
            ("bundle", svid.bundle.is_empty()),
        ] {
            if missing {
                return Err(WorkloadApiError::MissingField(format!("svids[{index}].{field}")));
            }
        }
    }
    Ok(())
}

fn described(index: usize, offered: &proto::X509Svid) -> String {
    format!("svids[{index}] ({:?})", offered.spiffe_id)
}

struct Reader<'a> {
    hints: HashSet<String>,
    memory: Option<&'a X509Memory>,
    /// Where in the earlier message the next SVID is looked for: the order rarely changes.
    at: usize,
    /// What is good in this one.
    read: Vec<(Fingerprint, Arc<Shape>)>,
}

impl Reader<'_> {
    fn read(
        &mut self,
        index: usize,
        offered: &proto::X509Svid,
        assembly: &mut Assembly,
    ) -> Result<X509Svid, IgnoredReason> {
        let label = SpiffeId::parse(&offered.spiffe_id).map_err(IgnoredReason::Label)?;
        let hint = match offered.hint.as_str() {
            hint if hint.len() > HINT_BYTES => {
                assembly.ignore(described(index, offered), IgnoredReason::HintTooLong);
                ""
            }
            hint => hint,
        };
        if self.hints.contains(hint) {
            return Err(IgnoredReason::DuplicateHint);
        }
        let fingerprint = fingerprint(&offered.x509_svid, &offered.x509_svid_key);
        let svid = match self.known(&fingerprint) {
            Some(shape) => X509Svid::known(&offered.x509_svid, &offered.x509_svid_key, shape),
            None => X509Svid::from_der(&offered.x509_svid, &offered.x509_svid_key).map_err(IgnoredReason::Svid)?,
        };
        let svid = svid.with_hint(Some(hint));
        if *svid.spiffe_id() != label {
            return Err(IgnoredReason::OtherName { actual: svid.spiffe_id().to_string() });
        }
        let trust_domain = label.trust_domain();
        if !assembly.has(&trust_domain) {
            assembly.put_x509(&trust_domain, &offered.bundle)?;
        } else if assembly.bundles.x509_bundle(&trust_domain).is_none_or(|bundle| bundle.to_der() != offered.bundle) {
            assembly.ignore(described(index, offered), IgnoredReason::OtherBundle);
        }
        let chain: Vec<&[u8]> = svid.certificates().collect();
        verify_x509_svid(&chain, &assembly.bundles, &X509VerifyOptions::default()).map_err(IgnoredReason::Chain)?;
        if !hint.is_empty() {
            self.hints.insert(hint.to_owned());
        }
        self.read.push((fingerprint, Arc::clone(svid.shape())));
        Ok(svid)
    }

    /// The same chain and key in the earlier message: they still fit each other. Whether the chain is good now is
    /// checked anew.
    fn known(&mut self, fingerprint: &Fingerprint) -> Option<Arc<Shape>> {
        let svids = &self.memory?.svids;
        let same = |(known, _): &(Fingerprint, Arc<Shape>)| known == fingerprint;
        let found = match svids.get(self.at) {
            Some(next) if same(next) => self.at,
            _ => svids.iter().position(same)?,
        };
        self.at = found + 1;
        svids.get(found).map(|(_, shape)| Arc::clone(shape))
    }
}
