use std::fmt;

use super::{IdentityError, IdentityReason as Reason, Rules, TrustDomain, trust_domain};
use crate::spiffe::SpiffeId;

const SCHEME: &str = "spiffe://";

/// The ID of a workload: `spiffe://example.org/billing/acme`, as it is written, compared byte by byte.
///
/// ```
/// use countersign::principal::{Rules, TrustDomain, WorkloadId};
///
/// let id = WorkloadId::build(&TrustDomain::parse("example.org")?, "billing", "acme")?;
/// assert_eq!(id.as_str(), "spiffe://example.org/billing/acme");
/// assert!(WorkloadId::parse("spiffe://example.org/~billing").is_ok());
/// assert!(WorkloadId::parse_by("spiffe://example.org/~billing", Rules::Strict).is_err());
/// # Ok::<(), countersign::principal::IdentityError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkloadId(Box<str>);

impl WorkloadId {
    /// The longest ID, in bytes.
    pub const MAX_LEN: usize = 2048;

    /// Reads an ID.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        Self::parse_by(text, Rules::Axess)
    }

    /// Reads an ID by these rules.
    pub fn parse_by(text: &str, rules: Rules) -> Result<Self, IdentityError> {
        let refused = IdentityError::InvalidSpiffeId;
        if text.len() > Self::MAX_LEN {
            return Err(refused(Reason::TooLong));
        }
        let rest = text.strip_prefix(SCHEME).ok_or(refused(Reason::WrongScheme))?;
        if rest.contains(['?', '#']) {
            return Err(refused(Reason::QueryOrFragment));
        }
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(path)),
            None => (rest, None),
        };
        if authority.contains('@') {
            return Err(refused(Reason::UserInfo));
        }
        if authority.contains(':') {
            return Err(refused(Reason::Port));
        }
        trust_domain::check(authority).map_err(|reason| match reason {
            Reason::Empty => refused(Reason::MissingTrustDomain),
            other => refused(other),
        })?;
        if let Some(path) = path {
            path.split('/').try_for_each(|segment| check_segment(segment, "path segment"))?;
        }
        // All that is left between the two sets of rules is the tilde; the last word on SPIFFE's is in one place.
        if rules == Rules::Strict && SpiffeId::parse(text).is_err() {
            return Err(IdentityError::component("path segment", Reason::BadPathSegmentChar));
        }
        Ok(Self(text.into()))
    }

    /// The ID of a service of a tenant: `spiffe://<trust domain>/<service>/<tenant slug>`.
    pub fn build(trust_domain: &TrustDomain, service: &str, tenant_slug: &str) -> Result<Self, IdentityError> {
        check_segment(service, "service")?;
        check_segment(tenant_slug, "tenant_slug")?;
        let text = [SCHEME, trust_domain.as_str(), "/", service, "/", tenant_slug].concat();
        if text.len() > Self::MAX_LEN {
            return Err(IdentityError::InvalidSpiffeId(Reason::TooLong));
        }
        Ok(Self(text.into()))
    }

    /// The name of the trust domain it lives in.
    pub fn trust_domain_name(&self) -> &str {
        let rest = &self.0[SCHEME.len()..];
        rest.split_once('/').map_or(rest, |(authority, _)| authority)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What stands between two slashes. A `.` or `..` would be read as a step by software that normalises paths.
fn check_segment(segment: &str, role: &'static str) -> Result<(), IdentityError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'-');
    let reason = match segment {
        "" => Reason::EmptySegment,
        "." | ".." => Reason::DotSegment,
        _ if segment.bytes().all(legal) => return Ok(()),
        _ => Reason::BadPathSegmentChar,
    };
    Err(IdentityError::component(role, reason))
}

impl fmt::Display for WorkloadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for WorkloadId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for WorkloadId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
