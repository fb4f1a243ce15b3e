//! Verification, with any source of bundles.

use countersign::spiffe::{
    JwtBundleSource, JwtVerifyOptions, PresentedChain, Role, X509BundleSource, X509VerifyOptions,
    claimed_uris as uris_of, verify_jwt_svid, verify_x509_svid,
};
use napi::bindgen_prelude::{BufferSlice, Either, Uint8ArraySlice};
use napi::{Env, Result};
use napi_derive::napi;
use zeroize::Zeroizing;

use super::{jwt_svid, moment, x509_svid};
use crate::host::failure::{Failure, answer};

/// Bits of the flags of `verifyJwt`.
const REQUIRE_KID: u32 = 1;
const ALLOW_EXTRA_HEADERS: u32 = 2;

/// The facts of the token, or an error.
pub fn jwt(
    bundles: &dyn JwtBundleSource,
    token: String,
    audience: Vec<String>,
    leeway: f64,
    now: Option<f64>,
    flags: u32,
) -> Either<String, Failure> {
    let token = Zeroizing::new(token);
    let options = JwtVerifyOptions {
        audience,
        leeway: moment::duration(leeway),
        now: now.map(moment::time),
        require_kid: flags & REQUIRE_KID != 0,
        allow_extra_headers: flags & ALLOW_EXTRA_HEADERS != 0,
    };
    answer(verify_jwt_svid(&token, bundles, &options).map(|svid| jwt_svid::facts(&svid)))
}

/// The facts of the leaf, or an error. One piece is a concatenation, several are one certificate each. JavaScript
/// asks the authorizer, in which functions of the caller may take part.
pub fn x509(
    bundles: &dyn X509BundleSource,
    chain: &[Uint8ArraySlice<'_>],
    now: Option<f64>,
    role: Option<u32>,
) -> Either<String, Failure> {
    let options = X509VerifyOptions { now: now.map(moment::time), role: role_of(role), ..X509VerifyOptions::default() };
    let verified = match chain {
        [whole] => {
            PresentedChain::from_der(whole).and_then(|chain| verify_x509_svid(chain.certificates(), bundles, &options))
        }
        pieces => verify_x509_svid(pieces, bundles, &options),
    };
    answer(verified.map(|verified| x509_svid::leaf_text(&verified.leaf)))
}

fn role_of(role: Option<u32>) -> Option<Role> {
    match role? {
        0 => Some(Role::Server),
        _ => Some(Role::Client),
    }
}

/// The URIs a certificate names. Nothing is verified.
#[napi]
pub fn claimed_uris(der: Uint8ArraySlice<'_>) -> Vec<String> {
    uris_of(&der)
}

/// Take a presented chain apart: PEM text, or concatenated DER.
#[napi(ts_return_type = "Buffer[] | Failure")]
pub fn split_chain<'a>(
    env: &'a Env,
    chain: Uint8ArraySlice<'_>,
    pem: bool,
) -> Result<Either<Vec<BufferSlice<'a>>, Failure>> {
    let split = if pem { PresentedChain::from_pem(&chain) } else { PresentedChain::from_der(&chain) };
    let pieces = |chain: PresentedChain<'_>| {
        chain.certificates().iter().map(|der| BufferSlice::copy_from(env, der)).collect::<Result<Vec<_>>>()
    };
    match split {
        Ok(chain) => pieces(chain).map(Either::A),
        Err(error) => Ok(Either::B(error.into())),
    }
}
