use std::{fmt, str::FromStr, sync::Arc};

use super::{
    Reason, SpiffeIdError, TrustDomain,
    limits::SPIFFE_ID_BYTES,
    trust_domain::{check_name, is_name_byte},
};

/// How every SPIFFE ID starts.
pub(super) const SCHEME: &str = "spiffe://";

/// The name of a workload: `spiffe://example.org/billing` (SPIFFE-ID 2).
///
/// Scheme and trust domain are accepted in any case and held in lower case; the path keeps its case.
///
/// ```
/// use countersign::spiffe::SpiffeId;
///
/// let id = SpiffeId::parse("spiffe://Example.org/billing")?;
/// assert_eq!(id.to_string(), "spiffe://example.org/billing");
/// assert_eq!(id.trust_domain().name(), "example.org");
/// assert_eq!(id.path(), "/billing");
/// assert_eq!(SpiffeId::parse("spiffe://example.org/a/../b").unwrap_err().code(), "dot_segment");
/// # Ok::<(), countersign::spiffe::SpiffeIdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId {
    text: Arc<str>,
    /// Where the trust domain ends and the path begins. Equal texts have equal ends.
    domain_end: u16,
}

impl SpiffeId {
    /// Reads a SPIFFE ID.
    pub fn parse(text: &str) -> Result<Self, SpiffeIdError> {
        if text.is_empty() {
            return Err(Reason::Empty.into());
        }
        if text.len() > SPIFFE_ID_BYTES {
            return Err(Reason::TooLong.into());
        }
        let rest = match text.get(..SCHEME.len()) {
            Some(scheme) if scheme.eq_ignore_ascii_case(SCHEME) => &text[SCHEME.len()..],
            _ => return Err(Reason::WrongScheme.into()),
        };
        let domain_len = rest.bytes().position(|byte| byte == b'/').unwrap_or(rest.len());
        check_name(&rest[..domain_len])?;
        check_path(&rest[domain_len..])?;
        let domain_end = SCHEME.len() + domain_len;
        // SPIFFE-ID 2: scheme and trust domain are case-insensitive, the path is not.
        let text = if text.as_bytes()[..domain_end].iter().any(u8::is_ascii_uppercase) {
            let mut lowered = text.to_owned();
            lowered[..domain_end].make_ascii_lowercase();
            lowered.into()
        } else {
            text.into()
        };
        Ok(Self::from_checked(text, domain_end))
    }

    /// The ID of a trust domain with a path made of the given segments. None makes the trust domain's own ID.
    pub fn from_segments<S: AsRef<str>>(
        trust_domain: &TrustDomain,
        segments: impl IntoIterator<Item = S>,
    ) -> Result<Self, SpiffeIdError> {
        trust_domain.id().append_segments(segments)
    }

    /// This ID with a path put behind its own: `/web` makes `spiffe://example.org/shop/web`. An empty path adds
    /// nothing.
    pub fn append_path(&self, path: &str) -> Result<Self, SpiffeIdError> {
        check_path(path)?;
        self.joined(&self.text, path)
    }

    /// This ID with segments put behind its path.
    pub fn append_segments<S: AsRef<str>>(&self, segments: impl IntoIterator<Item = S>) -> Result<Self, SpiffeIdError> {
        let mut path = String::new();
        for segment in segments {
            check_segment(segment.as_ref())?;
            path.push('/');
            path.push_str(segment.as_ref());
        }
        self.joined(&self.text, &path)
    }

    /// The ID in the same trust domain with another path. An empty path makes the trust domain's own ID.
    pub fn replace_path(&self, path: &str) -> Result<Self, SpiffeIdError> {
        check_path(path)?;
        self.joined(&self.text[..usize::from(self.domain_end)], path)
    }

    /// Both parts are checked; only the length of the whole is left to look at.
    fn joined(&self, head: &str, path: &str) -> Result<Self, SpiffeIdError> {
        if head.len() + path.len() > SPIFFE_ID_BYTES {
            return Err(Reason::TooLong.into());
        }
        let text = [head, path].concat().into();
        Ok(Self::from_checked(text, usize::from(self.domain_end)))
    }

    /// An ID whose text was checked before.
    pub(super) fn from_checked(text: Arc<str>, domain_end: usize) -> Self {
        Self { text, domain_end: domain_end as u16 }
    }

    /// The trust domain the ID lives in.
    pub fn trust_domain(&self) -> TrustDomain {
        TrustDomain::from_checked(self.text.clone(), usize::from(self.domain_end))
    }

    /// The bare name of the trust domain.
    pub fn trust_domain_name(&self) -> &str {
        &self.text[SCHEME.len()..usize::from(self.domain_end)]
    }

    /// The path: empty, or starting with a slash.
    pub fn path(&self) -> &str {
        &self.text[usize::from(self.domain_end)..]
    }

    /// The segments of the path.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.path().split('/').skip(1)
    }

    /// Whether the ID lives in this trust domain.
    pub fn member_of(&self, trust_domain: &TrustDomain) -> bool {
        self.trust_domain_name() == trust_domain.name()
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// SPIFFE-ID 2.2: a path is empty, or segments that each follow a slash, with no slash at the end.
fn check_path(path: &str) -> Result<(), Reason> {
    if path.is_empty() {
        return Ok(());
    }
    let Some(rest) = path.strip_prefix('/') else {
        return Err(Reason::MissingLeadingSlash);
    };
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_none() {
            return Err(Reason::TrailingSlash);
        }
        check_segment(segment)?;
    }
    Ok(())
}

/// SPIFFE-ID 2.2: `[a-zA-Z0-9.-_]+`, but not the relative `.` and `..`; `...` and `.x` are names like any other.
fn check_segment(segment: &str) -> Result<(), Reason> {
    match segment {
        "" => Err(Reason::EmptySegment),
        "." | ".." => Err(Reason::DotSegment),
        _ if segment.bytes().all(is_name_byte) => Ok(()),
        _ => Err(Reason::BadPathSegmentChar),
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpiffeId({})", self.text)
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl serde::Serialize for SpiffeId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for SpiffeId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
