use std::{collections::BTreeSet, fmt, sync::Arc};

use super::{SpiffeId, TrustDomain};

/// Decides which names are authorized. Cheap to clone, and shareable between threads.
///
/// ```
/// use countersign::spiffe::{Authorizer, SpiffeId, TrustDomain};
///
/// let shop = SpiffeId::parse("spiffe://example.org/shop")?;
/// let authorizer = Authorizer::all_of([
///     Authorizer::id_prefix(shop),
///     Authorizer::not(Authorizer::id(SpiffeId::parse("spiffe://example.org/shop/test")?)),
/// ]);
/// assert!(authorizer.permits(&SpiffeId::parse("spiffe://example.org/shop/web")?));
/// assert!(!authorizer.permits(&SpiffeId::parse("spiffe://example.org/shopkeeper")?));
/// # Ok::<(), countersign::spiffe::SpiffeIdError>(())
/// ```
#[derive(Clone)]
pub struct Authorizer(Arc<Rule>);

enum Rule {
    Any,
    OneOf(BTreeSet<SpiffeId>),
    MemberOf(TrustDomain),
    IdPrefix(SpiffeId),
    AnyOf(Vec<Authorizer>),
    AllOf(Vec<Authorizer>),
    Not(Authorizer),
    Custom(String, Predicate),
}

type Predicate = Box<dyn Fn(&SpiffeId) -> bool + Send + Sync>;

/// A name that is proven, but not authorized.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{id} is not authorized: expected {expected}")]
pub struct NotAuthorized {
    /// The name of the peer.
    pub id: SpiffeId,
    /// Which names would have been authorized.
    pub expected: String,
}

impl Authorizer {
    /// Authorizes every proven name, in any trust domain there is a bundle for.
    pub fn any() -> Self {
        Self(Arc::new(Rule::Any))
    }

    /// Authorizes exactly this name.
    pub fn id(id: SpiffeId) -> Self {
        Self::one_of([id])
    }

    /// Authorizes the names in the list. An empty list authorizes no name.
    pub fn one_of(ids: impl IntoIterator<Item = SpiffeId>) -> Self {
        Self(Arc::new(Rule::OneOf(ids.into_iter().collect())))
    }

    /// Authorizes every name in the trust domain.
    pub fn member_of(trust_domain: TrustDomain) -> Self {
        Self(Arc::new(Rule::MemberOf(trust_domain)))
    }

    /// Authorizes this name and the names below it, segment by segment: `/shop` covers `/shop` and `/shop/web`, and not
    /// `/shopkeeper`. The ID of a trust domain covers the whole trust domain.
    pub fn id_prefix(prefix: SpiffeId) -> Self {
        Self(Arc::new(Rule::IdPrefix(prefix)))
    }

    /// Authorizes what at least one of these authorizes. An empty list authorizes no name.
    pub fn any_of(authorizers: impl IntoIterator<Item = Self>) -> Self {
        Self(Arc::new(Rule::AnyOf(authorizers.into_iter().collect())))
    }

    /// Authorizes what every one of these authorizes. An empty list authorizes no name: "all of nothing" is a
    /// configuration that got lost, not a decision to authorize every peer.
    pub fn all_of(authorizers: impl IntoIterator<Item = Self>) -> Self {
        Self(Arc::new(Rule::AllOf(authorizers.into_iter().collect())))
    }

    /// Authorizes what the other one refuses. The negation of an empty list authorizes every name, as an empty deny
    /// list does.
    #[allow(clippy::should_implement_trait)] // a constructor in a row of constructors; `!authorizer` would hide it
    pub fn not(authorizer: Self) -> Self {
        Self(Arc::new(Rule::Not(authorizer)))
    }

    /// Authorizes the names for which the function returns true. The description is in the error about a refused
    /// peer.
    pub fn custom(description: impl Into<String>, permits: impl Fn(&SpiffeId) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(Rule::Custom(description.into(), Box::new(permits))))
    }

    /// Whether the name is authorized.
    pub fn permits(&self, id: &SpiffeId) -> bool {
        match &*self.0 {
            Rule::Any => true,
            Rule::OneOf(ids) => ids.contains(id),
            Rule::MemberOf(trust_domain) => id.member_of(trust_domain),
            Rule::IdPrefix(prefix) => {
                id.as_str().strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Rule::AnyOf(authorizers) => authorizers.iter().any(|one| one.permits(id)),
            Rule::AllOf(authorizers) => !authorizers.is_empty() && authorizers.iter().all(|one| one.permits(id)),
            Rule::Not(authorizer) => !authorizer.permits(id),
            Rule::Custom(_, permits) => permits(id),
        }
    }

    /// The same decision, with an error that says which names would have been authorized.
    pub fn authorize(&self, id: &SpiffeId) -> Result<(), NotAuthorized> {
        if self.permits(id) {
            return Ok(());
        }
        Err(NotAuthorized { id: id.clone(), expected: self.to_string() })
    }
}

impl Default for Authorizer {
    fn default() -> Self {
        Self::any()
    }
}

impl fmt::Display for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Rule::Any => f.write_str("anybody"),
            Rule::OneOf(ids) => list(f, "one of", ids),
            Rule::MemberOf(trust_domain) => write!(f, "a member of {trust_domain}"),
            Rule::IdPrefix(prefix) => write!(f, "{prefix} or below"),
            Rule::AnyOf(authorizers) => list(f, "any of", authorizers),
            Rule::AllOf(authorizers) => list(f, "all of", authorizers),
            Rule::Not(authorizer) => write!(f, "not ({authorizer})"),
            Rule::Custom(description, _) => f.write_str(description),
        }
    }
}

/// An allow list may hold thousands of names: an error that repeats them all is no help.
const LISTED: usize = 8;

fn list<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
) -> fmt::Result {
    let items = items.into_iter();
    let count = items.len();
    match count {
        0 => return f.write_str("nobody (the list is empty)"),
        1 => {}
        _ => write!(f, "{what} ")?,
    }
    for (index, item) in items.take(LISTED).enumerate() {
        write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
    }
    if count > LISTED {
        write!(f, ", and {} more", count - LISTED)?;
    }
    Ok(())
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorizer({self})")
    }
}
