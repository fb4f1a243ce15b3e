use std::fmt;

use serde_json::Value;

use super::{IdentityError, IdentityReason as Reason, PrincipalError};

/// The authority that vouched for a workload.
///
/// ```
/// use countersign::principal::Issuer;
///
/// let issuer = Issuer::custom("github_actions")?;
/// assert_eq!(serde_json::to_string(&issuer).unwrap(), r#"{"kind":"custom","label":"github_actions"}"#);
/// assert_eq!(serde_json::to_string(&Issuer::OAuth).unwrap(), r#"{"kind":"oauth"}"#);
/// # Ok::<(), countersign::principal::IdentityError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Issuer {
    /// The user who started the process: command line or environment.
    Cli,
    /// A trust domain, through a JWT-SVID.
    JwtSvid,
    /// A trust domain, through the certificate of a TLS connection.
    Mtls,
    /// An OAuth or OIDC provider, through a token.
    OAuth,
    /// Another issuer, by a label. Made by [`Issuer::custom`].
    #[non_exhaustive]
    Custom(Box<str>),
}

impl Issuer {
    const BUILT_IN: [Self; 4] = [Self::Cli, Self::JwtSvid, Self::Mtls, Self::OAuth];

    /// An issuer with a label: `[a-z0-9_]{1,32}`, and none that a built-in issuer has.
    pub fn custom(label: &str) -> Result<Self, IdentityError> {
        let reason = if Self::BUILT_IN.iter().any(|one| one.as_str() == label) {
            Reason::ReservedLabel
        } else if label.is_empty() || label.len() > 32 {
            Reason::LabelLength
        } else if !label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')) {
            Reason::BadLabelChar
        } else {
            return Ok(Self::Custom(label.into()));
        };
        Err(IdentityError::component("label", reason))
    }

    /// The stable name for policies and logs: `cli`, `jwt_svid`, `mtls`, `oauth`, or the label.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Cli => "cli",
            Self::JwtSvid => "jwt_svid",
            Self::Mtls => "mtls",
            Self::OAuth => "oauth",
            Self::Custom(label) => label,
        }
    }

    /// Reads an issuer as JSON has it. Releases of `axess-identity` before 0.10 wrote `o_auth`.
    pub(super) fn from_value(value: &Value) -> Result<Self, PrincipalError> {
        let member = value.as_object().ok_or(PrincipalError::WrongType("issuer"))?;
        let text = |name, member_name| match member.get(name) {
            None => Err(PrincipalError::MissingMember(member_name)),
            Some(value) => value.as_str().ok_or(PrincipalError::WrongType(member_name)),
        };
        match text("kind", "issuer.kind")? {
            "o_auth" => Ok(Self::OAuth),
            "custom" => Ok(Self::custom(text("label", "issuer.label")?)?),
            name => Self::BUILT_IN.into_iter().find(|one| one.as_str() == name).ok_or(PrincipalError::UnknownIssuer),
        }
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Issuer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let label = match self {
            Self::Custom(label) => Some(label),
            _ => None,
        };
        let mut issuer = serializer.serialize_struct("Issuer", 1 + usize::from(label.is_some()))?;
        issuer.serialize_field("kind", if label.is_some() { "custom" } else { self.as_str() })?;
        if let Some(label) = label {
            issuer.serialize_field("label", label)?;
        }
        issuer.end()
    }
}

impl<'de> serde::Deserialize<'de> for Issuer {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
