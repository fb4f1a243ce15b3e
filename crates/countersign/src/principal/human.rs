use std::fmt;

use super::{Attributes, SessionId, TenantId, UserId};

/// A user behind an authenticated session.
#[derive(Clone, PartialEq, serde::Serialize)]
pub struct HumanPrincipal {
    /// The user.
    pub user_id: UserId,
    /// The tenant the user acts in.
    pub tenant_id: TenantId,
    /// The session that authenticated the user; none for what is done on the user's behalf outside of one.
    pub session_id: Option<SessionId>,
    /// What else is known.
    pub attributes: Attributes,
}

impl fmt::Debug for HumanPrincipal {
    /// Without the session: it may be a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HumanPrincipal")
            .field("user_id", &self.user_id)
            .field("tenant_id", &self.tenant_id)
            .field("attributes", &self.attributes)
            .finish_non_exhaustive()
    }
}
