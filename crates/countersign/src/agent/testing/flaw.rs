/// An enum of flaws with the name of each: a flaw without a name does not compile.
macro_rules! flaws {
    ($(#[$doc:meta])* $kind:ident { $($flaw:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs)] // the names say it all
        pub enum $kind {
            $($flaw,)*
        }

        impl $kind {
            /// Every flaw with its name.
            pub const ALL: &[(&'static str, $kind)] = &[$(($name, $kind::$flaw)),*];
        }
    };
}

flaws! {
    /// The rule an X509-SVID breaks.
    X509Flaw {
        Expired = "expired",
        NotYetValid = "notYetValid",
        CaLeaf = "caLeaf",
        TwoUris = "twoUris",
        NoUri = "noUri",
        NotASpiffeId = "notASpiffeId",
        NoPath = "noPath",
        NoKeyUsage = "noKeyUsage",
        KeyUsageNotCritical = "keyUsageNotCritical",
        NoDigitalSignature = "noDigitalSignature",
        KeyCertSign = "keyCertSign",
        CrlSign = "crlSign",
        ForeignIssuer = "foreignIssuer",
        WeakKey = "weakKey",
        WrongKey = "wrongKey",
        Garbage = "garbage",
    }
}

flaws! {
    /// The rule a JWT-SVID breaks.
    JwtFlaw {
        Expired = "expired",
        NotYetValid = "notYetValid",
        NoExpiry = "noExpiry",
        NoSubject = "noSubject",
        NotASpiffeId = "notASpiffeId",
        NoAudience = "noAudience",
        NoKeyId = "noKeyId",
        UnknownKeyId = "unknownKeyId",
        WrongSignature = "wrongSignature",
        ForeignIssuer = "foreignIssuer",
        AlgNone = "algNone",
        AlgHs256 = "algHs256",
        AlgMismatch = "algMismatch",
        WrongType = "wrongType",
        ExtraHeader = "extraHeader",
        CriticalHeader = "criticalHeader",
        DuplicateClaim = "duplicateClaim",
        NotCompact = "notCompact",
        BadBase64 = "badBase64",
        NotJson = "notJson",
        TooLong = "tooLong",
    }
}
