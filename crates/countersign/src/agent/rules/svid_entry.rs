use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::error::RulesError;
use super::schema::{DurationForm, RuleForm};
use crate::spiffe::limits::HINT_BYTES;
use crate::spiffe::{SpiffeId, TrustDomain};

/// What a rule gives over the Workload API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SvidRule {
    /// The name in the SVIDs.
    pub spiffe_id: SpiffeId,
    /// What an operator calls it; may be empty.
    pub hint: String,
    /// How long an X509-SVID lives, instead of what holds for all.
    pub x509_svid_ttl: Option<Duration>,
    /// The same for JWT-SVIDs.
    pub jwt_svid_ttl: Option<Duration>,
    /// DNS names in the X509-SVID besides the SPIFFE ID.
    pub dns_names: Vec<String>,
    /// Foreign trust domains whose bundles the workload is given.
    pub federates_with: Vec<TrustDomain>,
}

impl SvidRule {
    /// This name, and nothing said about it.
    pub(in crate::agent) fn of(spiffe_id: SpiffeId) -> SvidRule {
        SvidRule {
            spiffe_id,
            hint: String::new(),
            x509_svid_ttl: None,
            jwt_svid_ttl: None,
            dns_names: Vec::new(),
            federates_with: Vec::new(),
        }
    }

    /// Reads the part of a rule that is about SVIDs, if there is one.
    pub(in crate::agent) fn from_form(text: &str, form: &RuleForm) -> Result<Option<SvidRule>, RulesError> {
        let at = |span: Range<usize>, message: String| RulesError::at(text, span, message);
        let Some(spiffe_id) = &form.spiffe_id else {
            let strays = [
                ("hint", form.hint.as_ref().map(Spanned::span)),
                ("x509_svid_ttl", form.x509_svid_ttl.as_ref().map(Spanned::span)),
                ("jwt_svid_ttl", form.jwt_svid_ttl.as_ref().map(Spanned::span)),
                ("dns_names", form.dns_names.as_ref().map(Spanned::span)),
                ("federates_with", form.federates_with.as_ref().map(Spanned::span)),
            ];
            return match strays.into_iter().find_map(|(name, span)| Some((name, span?))) {
                Some((name, span)) => Err(at(span, format!("{name} is about SVIDs, and the rule has no spiffe_id"))),
                None => Ok(None),
            };
        };
        let id = SpiffeId::parse(spiffe_id.get_ref())
            .map_err(|error| at(spiffe_id.span(), format!("spiffe_id: {error}")))?;
        if id.path().is_empty() {
            let message = "spiffe_id: it names a trust domain; a workload's has a path, such as /billing";
            return Err(at(spiffe_id.span(), message.into()));
        }
        let hint = match &form.hint {
            None => String::new(),
            Some(hint) if hint.get_ref().is_empty() => {
                return Err(at(hint.span(), "hint is empty: leave it out".into()));
            }
            Some(hint) if hint.get_ref().len() > HINT_BYTES => {
                return Err(at(hint.span(), format!("hint: longer than {HINT_BYTES} bytes")));
            }
            Some(hint) if hint.get_ref().chars().any(char::is_control) => {
                return Err(at(hint.span(), "hint: control characters are not allowed".into()));
            }
            Some(hint) => hint.get_ref().clone(),
        };
        let dns_name = |name: &Spanned<String>| match is_dns_name(name.get_ref()) {
            true => Ok(name.get_ref().to_ascii_lowercase()),
            false => Err(at(name.span(), "dns_names: not a DNS name".into())),
        };
        let federated = |name: &Spanned<String>| {
            let name_error = |error| at(name.span(), format!("federates_with: {error}"));
            TrustDomain::parse(name.get_ref()).map_err(name_error)
        };
        Ok(Some(SvidRule {
            spiffe_id: id,
            hint,
            x509_svid_ttl: lifetime(text, "x509_svid_ttl", form.x509_svid_ttl.as_ref())?,
            jwt_svid_ttl: lifetime(text, "jwt_svid_ttl", form.jwt_svid_ttl.as_ref())?,
            dns_names: list(form.dns_names.as_ref()).map(dns_name).collect::<Result<_, RulesError>>()?,
            federates_with: list(form.federates_with.as_ref()).map(federated).collect::<Result<_, RulesError>>()?,
        }))
    }
}

pub(in crate::agent) fn list<T>(list: Option<&Spanned<Vec<T>>>) -> impl Iterator<Item = &T> {
    list.into_iter().flat_map(|list| list.get_ref())
}

/// A lifetime of at least a second.
pub(in crate::agent) fn lifetime(
    text: &str,
    name: &str,
    value: Option<&Spanned<DurationForm>>,
) -> Result<Option<Duration>, RulesError> {
    match value {
        None => Ok(None),
        Some(value) if value.get_ref().0 < Duration::from_secs(1) => {
            Err(RulesError::at(text, value.span(), format!("{name}: expected at least one second")))
        }
        Some(value) => Ok(Some(value.get_ref().0)),
    }
}

/// RFC 1123 2.1, and a wildcard as the leftmost label; underscores occur in the wild.
fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let rest = name.strip_prefix("*.").unwrap_or(name);
    name.len() <= 253 && rest.split('.').all(label)
}
