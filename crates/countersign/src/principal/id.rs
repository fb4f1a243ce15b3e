use uuid::Uuid;

/// Why a text is no ID. Each names the type that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// There is nothing.
    #[error("{0} must be non-empty")]
    Empty(&'static str),
    /// It is no UUID.
    #[error("{0} must be a valid UUID")]
    NotAUuid(&'static str),
    /// It is one that stands for the system itself.
    #[error("{0} matches a reserved system identifier")]
    Reserved(&'static str),
}

impl IdError {
    /// The stable name of the rule.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty(_) => "empty",
            Self::NotAUuid(_) => "not_a_uuid",
            Self::Reserved(_) => "reserved",
        }
    }

    /// The type that was asked for.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Empty(kind) | Self::NotAUuid(kind) | Self::Reserved(kind) => kind,
        }
    }

    /// Reads a UUID for a type of that name: hyphenated, 32 digits, `{hyphenated}` or `urn:uuid:hyphenated`.
    #[doc(hidden)]
    pub fn read(text: &str, kind: &'static str) -> Result<Uuid, Self> {
        if text.is_empty() {
            return Err(Self::Empty(kind));
        }
        Uuid::parse_str(text).map_err(|_| Self::NotAUuid(kind))
    }
}

/// Declares an ID of one's own: a UUID of a type that no other ID can be passed for. There is no `Default`: what is
/// meant as a placeholder would be the system's own tenant.
///
/// ```
/// countersign::define_id! {
///     /// An account.
///     pub AccountId
/// }
///
/// let id = AccountId::random();
/// assert_eq!(id.to_string().parse::<AccountId>()?, id);
/// assert_eq!(AccountId::parse("42").unwrap_err().to_string(), "AccountId must be a valid UUID");
/// # Ok::<(), countersign::principal::IdError>(())
/// ```
#[macro_export]
macro_rules! define_id {
    ($(#[$meta:meta])* pub $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name($crate::principal::Uuid);

        impl $name {
            /// All zeros.
            pub const NIL: Self = Self($crate::principal::Uuid::nil());

            /// A fresh one from the system's random numbers (UUID v4).
            pub fn random() -> Self {
                Self($crate::principal::Uuid::new_v4())
            }

            /// One made of 16 random bytes: version 4 and its variant are put in.
            pub fn from_random_bytes(bytes: [u8; 16]) -> Self {
                Self($crate::principal::expansion::random_uuid(bytes))
            }

            /// The bytes as they are.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self($crate::principal::Uuid::from_bytes(bytes))
            }

            /// Any UUID.
            pub const fn from_uuid(uuid: $crate::principal::Uuid) -> Self {
                Self(uuid)
            }

            /// The ID that stands for a name in a namespace (UUID v5): the same in every process.
            pub fn from_namespaced_str(namespace: $crate::principal::Uuid, name: &str) -> Self {
                Self($crate::principal::Uuid::new_v5(&namespace, name.as_bytes()))
            }

            /// Reads one: hyphenated, 32 digits, `{hyphenated}` or `urn:uuid:hyphenated`, of any version.
            pub fn parse(text: &str) -> ::std::result::Result<Self, $crate::principal::IdError> {
                $crate::principal::IdError::read(text, stringify!($name)).map(Self)
            }

            /// Whether it is all zeros.
            pub fn is_nil(&self) -> bool {
                self.0.is_nil()
            }

            /// The UUID.
            pub const fn as_uuid(&self) -> $crate::principal::Uuid {
                self.0
            }

            /// The 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::principal::IdError;

            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl ::std::convert::From<$crate::principal::Uuid> for $name {
            fn from(uuid: $crate::principal::Uuid) -> Self {
                Self(uuid)
            }
        }

        impl ::std::convert::From<$name> for $crate::principal::Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl $crate::principal::expansion::serde::Serialize for $name {
            fn serialize<S: $crate::principal::expansion::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::std::result::Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }

        impl<'de> $crate::principal::expansion::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::principal::expansion::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<Self, D::Error> {
                let text = <::std::string::String as $crate::principal::expansion::serde::Deserialize>::deserialize(
                    deserializer,
                )?;
                Self::parse(&text).map_err($crate::principal::expansion::serde::de::Error::custom)
            }
        }
    };
}

/// A version 4 UUID of 16 random bytes.
pub fn random_uuid(bytes: [u8; 16]) -> Uuid {
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

define_id! {
    /// A tenant: its data is separate from that of all others.
    pub TenantId
}

define_id! {
    /// A user.
    pub UserId
}

define_id! {
    /// A device.
    pub DeviceId
}

define_id! {
    /// A session. Anyone who knows a live session may be able to use it: treat it as a credential in logs.
    pub SessionId
}

define_id! {
    /// An event.
    pub EventId
}

impl TenantId {
    /// The tenant that stands for the system itself: all zeros.
    pub const SYSTEM: Self = Self::NIL;

    /// Whether it stands for the system itself.
    pub fn is_system(&self) -> bool {
        *self == Self::SYSTEM
    }
}

impl UserId {
    /// The user that stands for the system itself. Not all zeros, so that system user and system tenant differ.
    pub const SYSTEM: Self = Self::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

    /// Whether it stands for the system itself.
    pub fn is_system(&self) -> bool {
        *self == Self::SYSTEM
    }
}

/// A check for code that creates users: refuses the user, then the tenant, that stand for the system itself.
pub fn ensure_user_id_not_reserved(user_id: &UserId, tenant_id: &TenantId) -> Result<(), IdError> {
    if user_id.is_system() {
        return Err(IdError::Reserved("UserId"));
    }
    if tenant_id.is_system() {
        return Err(IdError::Reserved("TenantId"));
    }
    Ok(())
}
