//! One way of asking each release the same, so that each question is written once.
//!
//! An answer is what was made of the input, as text; or which kind of error it is, as text too: that both refuse is not
//! enough, they must refuse for the same reason.

use std::panic::catch_unwind;

/// What one release says.
pub type Answer = Result<String, String>;

macro_rules! release {
    ($(#[$meta:meta])* $name:ident, $crate_name:ident) => {
        $(#[$meta])*
        pub mod $name {
            use super::Answer;
            use $crate_name::{
                DeviceId, EventId, IdError, IdentityError, Issuer, Principal, SessionId, TenantId, TrustDomain, UserId,
                Uuid, WorkloadId, ensure_user_id_not_reserved,
            };

            fn id_error(error: IdError) -> String {
                match error {
                    IdError::Empty(kind) => format!("empty {kind}"),
                    IdError::NotAUuid(kind) => format!("not_a_uuid {kind}"),
                    IdError::Reserved(kind) => format!("reserved {kind}"),
                }
            }

            fn identity_error(error: IdentityError) -> String {
                match error {
                    IdentityError::InvalidSpiffeId(_) => "spiffe_id",
                    IdentityError::InvalidTrustDomain(_) => "trust_domain",
                    IdentityError::InvalidComponent(_) => "component",
                    IdentityError::NotAuthenticated => "not_authenticated",
                }
                .to_owned()
            }

            pub fn ids(text: &str) -> [Answer; 5] {
                [
                    TenantId::try_new(text).map(|id| format!("{id} {id:?}")).map_err(id_error),
                    UserId::try_new(text).map(|id| format!("{id} {id:?}")).map_err(id_error),
                    DeviceId::try_new(text).map(|id| format!("{id} {id:?}")).map_err(id_error),
                    SessionId::try_new(text).map(|id| format!("{id} {id:?}")).map_err(id_error),
                    EventId::try_new(text).map(|id| format!("{id} {id:?}")).map_err(id_error),
                ]
            }

            pub fn id_json(json: &str) -> Answer {
                let id: TenantId = serde_json::from_str(json).map_err(|_| "json".to_owned())?;
                Ok(serde_json::to_string(&id).expect("an ID"))
            }

            pub fn named(namespace: [u8; 16], name: &str) -> String {
                TenantId::from_namespaced_str(Uuid::from_bytes(namespace), name).to_string()
            }

            pub fn of_random_bytes(bytes: [u8; 16]) -> String {
                SessionId::from_random_bytes(bytes).to_string()
            }

            pub fn reserved(user: [u8; 16], tenant: [u8; 16]) -> Answer {
                ensure_user_id_not_reserved(&UserId::from_bytes(user), &TenantId::from_bytes(tenant))
                    .map(|()| String::new())
                    .map_err(id_error)
            }

            pub fn trust_domain(text: &str) -> Answer {
                TrustDomain::new(text).map(|it| it.to_string()).map_err(identity_error)
            }

            pub fn workload_id(text: &str) -> Answer {
                WorkloadId::parse(text).map(|it| it.to_string()).map_err(identity_error)
            }

            pub fn build(domain: &str, service: &str, slug: &str) -> Answer {
                TrustDomain::new(domain)
                    .and_then(|domain| WorkloadId::build(&domain, service, slug))
                    .map(|it| it.to_string())
                    .map_err(identity_error)
            }

            pub fn label(text: &str) -> Answer {
                Issuer::custom(text).map(|it| it.as_str().to_owned()).map_err(identity_error)
            }

            /// What is read, written again. An old release cannot write everything it holds.
            pub fn principal(json: &str) -> Answer {
                let principal: Principal = serde_json::from_str(json).map_err(|_| "json".to_owned())?;
                serde_json::to_string(&principal).map_err(|error| format!("cannot write: {error}"))
            }
        }
    };
}

release!(
    /// The newest release.
    newest,
    axess_identity
);
release!(
    /// The release whose programs may still be about.
    old,
    axess_identity_old
);

/// A panic is an answer too.
pub fn quietly(ask: impl FnOnce() -> Answer + std::panic::UnwindSafe) -> Answer {
    catch_unwind(ask).unwrap_or_else(|_| Err("it panicked".to_owned()))
}
