use std::collections::HashSet;

use prost::bytes::Bytes;

use super::error::{Ignored, IgnoredReason, WorkloadApiError};
use super::proto::{self, X509SvidResponse, method};
use super::subject::Subject;
use super::trust_bundles::Assembly;
use crate::spiffe::limits::{HINT_BYTES, SVIDS};
use crate::spiffe::{BundleSet, SpiffeId, TrustDomain, X509Svid, X509VerifyOptions, verify_x509_svid};

/// All X509-SVIDs of the workload and the bundles to judge others with, of one and the same message.
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

    fn read(response: X509SvidResponse, previous: Option<&Self>) -> Result<Self, WorkloadApiError> {
        check_mandatory(&response.svids)?;
        let mut assembly = Assembly::after(previous.map(|previous| &previous.bundles));
        let mut reader = Reader { hints: HashSet::new(), previous, at: 0 };
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
        // A bundle is taken from whoever proved to belong to it.
        for trust_domain in &own {
            if !svids.iter().any(|svid| svid.spiffe_id().member_of(trust_domain)) {
                assembly.retract(trust_domain);
            }
        }
        assembly.put_all(&response.federated_bundles, "federated_bundles", &own, |assembly, name, der| {
            assembly.put_x509(name, der)
        });
        let (bundles, ignored) = assembly.finish();
        Ok(X509Context { svids, bundles, crls: response.crl, ignored })
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
    previous: Option<&'a X509Context>,
    /// Where in the previous message the next SVID is looked for: the order rarely changes.
    at: usize,
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
        let svid = match self.known(offered) {
            Some(svid) => svid.with_hint(Some(hint)),
            None => X509Svid::from_der(&offered.x509_svid, &offered.x509_svid_key)
                .map_err(IgnoredReason::Svid)?
                .with_hint(Some(hint)),
        };
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
        Ok(svid)
    }

    /// The same chain and key in the previous message. It is judged anew, but need not be read anew.
    fn known(&mut self, offered: &proto::X509Svid) -> Option<X509Svid> {
        let previous = &self.previous?.svids;
        let same = |svid: &&X509Svid| {
            svid.chain_der() == offered.x509_svid && *svid.private_key().pkcs8_der() == *offered.x509_svid_key
        };
        let found = previous[self.at.min(previous.len())..].iter().position(|svid| same(&svid));
        let found = match found {
            Some(distance) => self.at + distance,
            None => previous.iter().position(|svid| same(&svid))?,
        };
        self.at = found + 1;
        previous.get(found).cloned()
    }
}
