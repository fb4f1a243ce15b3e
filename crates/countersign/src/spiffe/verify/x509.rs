use std::{
    cell::Cell,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, VerifiedPath};

use super::{
    source::X509BundleSource,
    verified::{VerifiedChain, chain_digest},
    x509_error::{PathRule, X509VerifyError},
};
use crate::spiffe::{
    Authorizer, LeafError, LeafFacts, SigningError, SpiffeId,
    bundle::TrustRoots,
    clock,
    limits::{CHAIN_BYTES, CHAIN_CERTIFICATES},
    svid::{Certificate, SigningFacts},
};

/// What the peer is in the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The peer is the TLS server: an extended key usage must allow `serverAuth`.
    Server,
    /// The peer is the TLS client: an extended key usage must allow `clientAuth`.
    Client,
}

/// How to verify a chain. The default asks for no role, takes the time from the system, and authorizes every proven
/// name.
#[derive(Debug, Clone, Default)]
pub struct X509VerifyOptions {
    /// The moment to verify at; the present when `None`.
    pub now: Option<SystemTime>,
    /// Which proven names are authorized.
    pub authorize: Authorizer,
    /// What an extended key usage, if there is one, must allow. `None`: one of the two.
    pub role: Option<Role>,
}

/// A name that is proven and authorized. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedX509Svid {
    /// The name.
    pub spiffe_id: SpiffeId,
    /// What the leaf says about itself.
    pub leaf: Arc<LeafFacts>,
}

/// Verifies a presented chain, leaf first: leaf, name, that name's own trust domain, its bundle, path validation
/// (RFC 5280 6.1), authorizer. Names of hosts play no part.
///
/// Certificates after the leaf are material for path building; those that take no part in the path are not checked.
/// With a [`BundleSet`], a chain that was verified with the same bundle before costs a hash.
pub fn verify_x509_svid<C: AsRef<[u8]>>(
    chain: &[C],
    bundles: &dyn X509BundleSource,
    options: &X509VerifyOptions,
) -> Result<VerifiedX509Svid, X509VerifyError> {
    let (leaf, intermediates) = chain.split_first().ok_or(X509VerifyError::EmptyChain)?;
    let bytes: usize = chain.iter().map(|certificate| certificate.as_ref().len()).sum();
    if chain.len() > CHAIN_CERTIFICATES || bytes > CHAIN_BYTES {
        return Err(X509VerifyError::ChainTooLong);
    }
    let now = clock::unix_seconds(options.now);
    let memory = bundles.verified_chains().map(|memory| (memory, chain_digest(chain, options.role)));

    if let Some((memory, key)) = &memory
        && let Some(verdict) = memory.get(key)
    {
        let bundle = bundles.x509_bundle(&verdict.leaf.spiffe_id.trust_domain());
        let same = bundle.is_some_and(|bundle| bundle.revision() == verdict.bundle_revision);
        if same && (verdict.not_before..=verdict.not_after).contains(&now) {
            return authorized(verdict.leaf, options);
        }
    }

    let certificate = Certificate::parse(leaf.as_ref()).map_err(|_| LeafError::Malformed)?;
    let facts = certificate.check_leaf()?;
    let trust_domain = facts.spiffe_id.trust_domain();
    let bundle = bundles.x509_bundle(&trust_domain).ok_or_else(|| X509VerifyError::NoBundle(trust_domain.clone()))?;
    let roots = bundle.roots();
    if roots.anchors.is_empty() {
        return Err(X509VerifyError::NoAuthorities(trust_domain));
    }
    let intermediates: Vec<CertificateDer<'_>> =
        intermediates.iter().map(|certificate| certificate.as_ref().into()).collect();
    let window = validate_path(leaf.as_ref(), &intermediates, roots, now, options.role)?;

    let verified = VerifiedChain {
        bundle_revision: bundle.revision(),
        not_before: window.0.max(facts.not_before),
        not_after: window.1.min(facts.not_after),
        leaf: Arc::new(facts),
    };
    let leaf = Arc::clone(&verified.leaf);
    if let Some((memory, key)) = memory {
        memory.put(key, verified);
    }
    authorized(leaf, options)
}

fn authorized(leaf: Arc<LeafFacts>, options: &X509VerifyOptions) -> Result<VerifiedX509Svid, X509VerifyError> {
    options.authorize.authorize(&leaf.spiffe_id)?;
    Ok(VerifiedX509Svid { spiffe_id: leaf.spiffe_id.clone(), leaf })
}

/// RFC 5280 6.1, and of every signing certificate in the path what X.509-SVID 3.2 and 4.3 ask. Returns when all of them
/// are valid.
fn validate_path(
    leaf: &[u8],
    intermediates: &[CertificateDer<'_>],
    roots: &TrustRoots,
    now: i64,
    role: Option<Role>,
) -> Result<(i64, i64), X509VerifyError> {
    let Ok(now) = u64::try_from(now) else {
        return Err(X509VerifyError::Path(PathRule::NotYetValid));
    };
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    let leaf = CertificateDer::from(leaf);
    let leaf = EndEntityCert::try_from(&leaf).map_err(|error| X509VerifyError::Path(PathRule::from(&error)))?;

    let window = Cell::new((i64::MIN, i64::MAX));
    let objection = Cell::new(None);
    let check_path = |path: &VerifiedPath<'_>| {
        check_signing_certificates(path, roots).map(|found| window.set(found)).map_err(|found| {
            objection.set(Some(found));
            found.as_webpki()
        })
    };
    // All certificates of a path must be good for one and the same use.
    let usages: &[KeyUsage] = match role {
        Some(Role::Server) => &[KeyUsage::server_auth()],
        Some(Role::Client) => &[KeyUsage::client_auth()],
        None => &[KeyUsage::server_auth(), KeyUsage::client_auth()],
    };
    let mut failure = X509VerifyError::Path(PathRule::ExtendedKeyUsage);
    for usage in usages {
        let verified = leaf.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &roots.anchors,
            intermediates,
            now,
            *usage,
            None,
            Some(&check_path),
        );
        match (verified, objection.take()) {
            (Ok(_), _) => return Ok(window.get()),
            (Err(error), Some(found)) if error == found.as_webpki() => failure = found.into(),
            (Err(error), _) => failure = X509VerifyError::Path(PathRule::from(&error)),
        }
        if failure != X509VerifyError::Path(PathRule::ExtendedKeyUsage) {
            break;
        }
    }
    Err(failure)
}

/// What the path builder does not look at.
#[derive(Clone, Copy)]
enum Objection {
    Signing(SigningError),
    AnchorPathLength,
}

impl Objection {
    fn as_webpki(self) -> webpki::Error {
        match self {
            Self::Signing(_) => webpki::Error::ExtensionValueInvalid,
            Self::AnchorPathLength => webpki::Error::PathLenConstraintViolated,
        }
    }
}

impl From<Objection> for X509VerifyError {
    fn from(objection: Objection) -> Self {
        match objection {
            Objection::Signing(error) => Self::Signing(error),
            Objection::AnchorPathLength => Self::Path(PathRule::PathLength),
        }
    }
}

fn check_signing_certificates(path: &VerifiedPath<'_>, roots: &TrustRoots) -> Result<(i64, i64), Objection> {
    let (mut not_before, mut not_after) = (i64::MIN, i64::MAX);
    let mut counted = 0;
    for certificate in path.intermediate_certificates() {
        let facts = SigningFacts::of_intermediate(&certificate.der()).map_err(Objection::Signing)?;
        not_before = not_before.max(facts.not_before);
        not_after = not_after.min(facts.not_after);
        counted += u32::from(!facts.self_issued);
    }
    // RFC 5280 4.2.1.9 on the anchor: a path builder that knows anchors by name and key alone leaves it out.
    let place = roots.anchors.iter().position(|anchor| std::ptr::eq(anchor, path.anchor()));
    let limit = place.and_then(|place| roots.facts[place].path_len);
    if limit.is_some_and(|limit| counted > limit) {
        return Err(Objection::AnchorPathLength);
    }
    Ok((not_before, not_after))
}
