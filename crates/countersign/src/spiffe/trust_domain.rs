use std::{borrow::Borrow, cmp::Ordering, fmt, hash, str::FromStr, sync::Arc};

use super::{Reason, SpiffeId, SpiffeIdError, id::SCHEME, limits::TRUST_DOMAIN_BYTES};

/// The name of a trust domain: `example.org` (SPIFFE-ID 2.1).
///
/// Held in lower case. It shares the text of the SPIFFE ID it was taken from, so taking it costs no allocation.
#[derive(Clone)]
pub struct TrustDomain {
    /// `spiffe://` + name, perhaps with a path behind it.
    text: Arc<str>,
    end: u16,
}

impl TrustDomain {
    /// Reads a bare name (`example.org`), the trust domain's own ID (`spiffe://example.org`), or any SPIFFE ID in it.
    pub fn parse(text: &str) -> Result<Self, SpiffeIdError> {
        if text.contains(":/") {
            return Ok(SpiffeId::parse(text)?.trust_domain());
        }
        if text.is_empty() {
            return Err(Reason::Empty.into());
        }
        check_name(text)?;
        let mut whole = String::with_capacity(SCHEME.len() + text.len());
        whole.push_str(SCHEME);
        whole.push_str(text);
        whole.make_ascii_lowercase();
        Ok(Self::from_checked(whole.into(), SCHEME.len() + text.len()))
    }

    /// A trust domain that is the head of an ID that was checked before.
    pub(super) fn from_checked(text: Arc<str>, end: usize) -> Self {
        Self { text, end: end as u16 }
    }

    /// The bare name.
    pub fn name(&self) -> &str {
        &self.text[SCHEME.len()..usize::from(self.end)]
    }

    /// The trust domain's own ID, without a path. Signing certificates carry it, workloads never do.
    pub fn id(&self) -> SpiffeId {
        let end = usize::from(self.end);
        let text = if self.text.len() == end { self.text.clone() } else { self.text[..end].into() };
        SpiffeId::from_checked(text, end)
    }
}

/// SPIFFE-ID 2.1: `[a-z0-9.-_]`, upper case is accepted on input and lowered by the caller. The shapes that DNS would
/// refuse (`example..org`, `-a`) are legal.
pub(super) fn check_name(name: &str) -> Result<(), Reason> {
    if name.is_empty() {
        return Err(Reason::MissingTrustDomain);
    }
    if !name.bytes().all(is_name_byte) {
        return Err(Reason::BadTrustDomainChar);
    }
    if name.len() > TRUST_DOMAIN_BYTES {
        return Err(Reason::TrustDomainTooLong);
    }
    Ok(())
}

/// The one set of characters SPIFFE-ID allows in names, before case is looked at.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

impl PartialEq for TrustDomain {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for TrustDomain {}

impl hash::Hash for TrustDomain {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl PartialOrd for TrustDomain {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TrustDomain {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(other.name())
    }
}

impl Borrow<str> for TrustDomain {
    fn borrow(&self) -> &str {
        self.name()
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustDomain({})", self.name())
    }
}

impl FromStr for TrustDomain {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl serde::Serialize for TrustDomain {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> serde::Deserialize<'de> for TrustDomain {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
