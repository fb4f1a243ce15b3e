//! Methods that several classes have in common.

/// `equals` and `copy`, for a class that wraps one value of the core.
macro_rules! value_methods {
    ($class:ident) => {
        #[napi_derive::napi]
        impl $class {
            /// Whether both say the same.
            #[napi]
            pub fn equals(&self, other: &$class) -> bool {
                self.0 == other.0
            }

            /// An independent copy.
            #[napi]
            pub fn copy(&self) -> $class {
                Self(self.0.clone())
            }
        }
    };
}

/// `verifyX509`, for a class that has X.509 authorities.
macro_rules! verifies_x509 {
    ($class:ident) => {
        #[napi_derive::napi]
        impl $class {
            /// Verify a chain: one piece of concatenated DER, or one piece for each certificate, leaf first. `role` is
            /// what the peer is: 0 server, 1 client. The facts of the leaf, or a failure.
            #[napi]
            pub fn verify_x509(
                &self,
                chain: Vec<napi::bindgen_prelude::Uint8ArraySlice<'_>>,
                now: Option<f64>,
                role: Option<u32>,
            ) -> napi::bindgen_prelude::Either<String, crate::host::failure::Failure> {
                super::verify::x509(&self.0, &chain, now, role)
            }
        }
    };
}

/// `verifyJwt`, for a class that has JWT authorities.
macro_rules! verifies_jwt {
    ($class:ident) => {
        #[napi_derive::napi]
        impl $class {
            /// Verify a token. `flags`: 1 a key ID is required, 2 further headers are accepted. The facts of the token,
            /// or a failure.
            #[napi]
            pub fn verify_jwt(
                &self,
                token: String,
                audience: Vec<String>,
                leeway: f64,
                now: Option<f64>,
                flags: u32,
            ) -> napi::bindgen_prelude::Either<String, crate::host::failure::Failure> {
                super::verify::jwt(&self.0, token, audience, leeway, now, flags)
            }
        }
    };
}

pub(super) use {value_methods, verifies_jwt, verifies_x509};
