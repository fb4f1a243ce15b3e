use serde_json::{Map, Value};

use super::{
    Attributes, HumanPrincipal, IdError, IdentityError, IdentityReason, Issuer, Rules, TenantId, TrustDomain,
    WorkloadId, WorkloadPrincipal,
};
use crate::spiffe::json::{self, EachMemberOnce, JsonFault};

/// Bytes of a principal's JSON.
const MAX_BYTES: usize = 1024 * 1024;

/// An authenticated human or workload.
///
/// ```
/// use countersign::principal::Principal;
///
/// let text = concat!(
///     r#"{"kind":"human","user_id":"3f2c1a64-9c41-4d5e-8b57-0f6a3b1c2d3e","#,
///     r#""tenant_id":"00000000-0000-0000-0000-000000000000","session_id":null,"attributes":{}}"#
/// );
/// let principal = Principal::from_json(text)?;
/// assert!(principal.tenant_id().is_system());
/// assert_eq!(principal.to_json(), text);
/// # Ok::<(), countersign::principal::PrincipalError>(())
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Principal {
    /// A user.
    Human(HumanPrincipal),
    /// A workload.
    Workload(WorkloadPrincipal),
}

/// Why a text is no principal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrincipalError {
    /// More than is read.
    #[error("the principal is longer than {MAX_BYTES} bytes")]
    TooLarge,
    /// Not a JSON object.
    #[error("the principal is malformed: {0}")]
    MalformedJson(String),
    /// An object names a member twice: two readers could disagree on which one counts.
    #[error("the principal is ambiguous: {0}")]
    DuplicateMember(String),
    /// A member is missing.
    #[error("the principal has no `{0}`")]
    MissingMember(&'static str),
    /// A member is of the wrong type.
    #[error("the principal's `{0}` is of the wrong type")]
    WrongType(&'static str),
    /// `kind` is neither `human` nor `workload`.
    #[error("the principal's `kind` is neither human nor workload")]
    UnknownKind,
    /// The issuer's `kind` is none that is known.
    #[error("the principal's `issuer` is of an unknown kind")]
    UnknownIssuer,
    /// An ID in it is none.
    #[error("the principal: {0}")]
    Id(#[from] IdError),
    /// A name in it is none.
    #[error("the principal: {0}")]
    Identity(#[from] IdentityError),
}

impl PrincipalError {
    /// The stable name of the rule.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::MalformedJson(_) => "malformed_json",
            Self::DuplicateMember(_) => "duplicate_member",
            Self::MissingMember(_) => "missing_member",
            Self::WrongType(_) => "wrong_type",
            Self::UnknownKind => "unknown_kind",
            Self::UnknownIssuer => "unknown_issuer",
            Self::Id(error) => error.code(),
            Self::Identity(error) => match error.reason() {
                Some(reason) => reason.as_str(),
                None => "not_authenticated",
            },
        }
    }
}

impl Principal {
    /// Reads the JSON of a principal. Members that are not known are passed over; one that is there twice is refused.
    pub fn from_json(text: &str) -> Result<Self, PrincipalError> {
        Self::from_json_by(text, Rules::Axess)
    }

    /// The same by these rules.
    pub fn from_json_by(text: &str, rules: Rules) -> Result<Self, PrincipalError> {
        if text.len() > MAX_BYTES {
            return Err(PrincipalError::TooLarge);
        }
        let fault = |error: serde_json::Error| {
            let fault = JsonFault::from(error);
            match fault.is_duplicate() {
                true => PrincipalError::DuplicateMember(fault.to_string()),
                false => PrincipalError::MalformedJson(fault.to_string()),
            }
        };
        json::object::<EachMemberOnce>(text).map_err(fault)?;
        Self::read(serde_json::from_str(text).map_err(fault)?, rules)
    }

    /// The JSON, byte for byte as `axess-identity` writes it.
    pub fn to_json(&self) -> String {
        // Maps of strings always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The tenant the principal belongs to.
    pub fn tenant_id(&self) -> &TenantId {
        match self {
            Self::Human(human) => &human.tenant_id,
            Self::Workload(workload) => &workload.tenant_id,
        }
    }

    /// What else is known of it.
    pub fn attributes(&self) -> &Attributes {
        match self {
            Self::Human(human) => &human.attributes,
            Self::Workload(workload) => &workload.attributes,
        }
    }

    fn read(mut members: Map<String, Value>, rules: Rules) -> Result<Self, PrincipalError> {
        let kind = match members.get("kind") {
            None => return Err(PrincipalError::MissingMember("kind")),
            Some(value) => value.as_str().ok_or(PrincipalError::WrongType("kind"))?,
        };
        match kind {
            "human" => HumanPrincipal::read(&mut members).map(Self::Human),
            "workload" => WorkloadPrincipal::read(&mut members, rules).map(Self::Workload),
            _ => Err(PrincipalError::UnknownKind),
        }
    }
}

fn text<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, PrincipalError> {
    match members.get(name) {
        None => Err(PrincipalError::MissingMember(name)),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(PrincipalError::WrongType(name)),
    }
}

fn attributes(members: &mut Map<String, Value>) -> Result<Attributes, PrincipalError> {
    match members.remove("attributes") {
        None => Err(PrincipalError::MissingMember("attributes")),
        Some(Value::Object(members)) => {
            // Not `collect`: that sorts, and brings the code for it, what is in order already.
            let mut attributes = Attributes::new();
            members.into_iter().for_each(|(name, value)| drop(attributes.insert(name, value)));
            Ok(attributes)
        }
        Some(_) => Err(PrincipalError::WrongType("attributes")),
    }
}

impl HumanPrincipal {
    fn read(members: &mut Map<String, Value>) -> Result<Self, PrincipalError> {
        let session_id = match members.get("session_id") {
            None | Some(Value::Null) => None,
            Some(_) => Some(text(members, "session_id")?.parse()?),
        };
        Ok(Self {
            user_id: text(members, "user_id")?.parse()?,
            tenant_id: text(members, "tenant_id")?.parse()?,
            session_id,
            attributes: attributes(members)?,
        })
    }
}

impl WorkloadPrincipal {
    fn read(members: &mut Map<String, Value>, rules: Rules) -> Result<Self, PrincipalError> {
        let workload_id = WorkloadId::parse_by(text(members, "workload_id")?, rules)?;
        let trust_domain = TrustDomain::parse(text(members, "trust_domain")?)?;
        if rules == Rules::Strict && workload_id.trust_domain_name() != trust_domain.as_str() {
            return Err(IdentityError::InvalidTrustDomain(IdentityReason::TrustDomainMismatch).into());
        }
        Ok(Self {
            workload_id,
            trust_domain,
            issuer: Issuer::from_value(members.get("issuer").ok_or(PrincipalError::MissingMember("issuer"))?)?,
            tenant_id: text(members, "tenant_id")?.parse()?,
            tenant_slug: text(members, "tenant_slug")?.to_owned(),
            service_name: text(members, "service_name")?.to_owned(),
            attributes: attributes(members)?,
        })
    }
}

/// Declares how a document is read through serde, where the text itself is not there to look at: of a member that is
/// named twice, the last one counts.
macro_rules! through_value {
    ($type:ty, $read:expr) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let mut members = Map::deserialize(deserializer)?;
                let read: fn(&mut Map<String, Value>) -> Result<Self, PrincipalError> = $read;
                read(&mut members).map_err(serde::de::Error::custom)
            }
        }
    };
}

through_value!(Principal, |members| Self::read(std::mem::take(members), Rules::Axess));
through_value!(HumanPrincipal, Self::read);
through_value!(WorkloadPrincipal, |members| Self::read(members, Rules::Axess));
