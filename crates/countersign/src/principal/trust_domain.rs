use std::fmt;

use super::{IdentityError, IdentityReason};

/// The name of a trust domain, `example.org`, as it is written: it is never lower-cased or trimmed.
///
/// Its rules are narrower than SPIFFE's: it starts with a letter or a digit and has no underscore.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustDomain(Box<str>);

impl TrustDomain {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 255;

    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        check(text).map_err(IdentityError::InvalidTrustDomain)?;
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The rules, in the order they are reported.
pub(super) fn check(text: &str) -> Result<(), IdentityReason> {
    let Some(first) = text.bytes().next() else {
        return Err(IdentityReason::Empty);
    };
    if text.len() > TrustDomain::MAX_LEN {
        return Err(IdentityReason::TrustDomainTooLong);
    }
    if !first.is_ascii_alphanumeric() {
        return Err(IdentityReason::BadFirstChar);
    }
    let legal = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    if text.bytes().all(legal) { Ok(()) } else { Err(IdentityReason::BadTrustDomainChar) }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for TrustDomain {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for TrustDomain {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
