//! The bare cryptography under the verification of SVIDs: nanoseconds a call.

use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use napi::bindgen_prelude::Uint8ArraySlice;
use napi_derive::napi;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

fn timed(rounds: u32, mut call: impl FnMut() -> bool) -> f64 {
    let start = Instant::now();
    for _ in 0..rounds {
        assert!(std::hint::black_box(call()), "what is measured must succeed");
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds)
}

/// One ES256 signature check with a key that was parsed before.
#[napi]
pub fn bare_es256(
    point: Uint8ArraySlice<'_>,
    message: Uint8ArraySlice<'_>,
    signature: Uint8ArraySlice<'_>,
    rounds: u32,
) -> napi::Result<f64> {
    let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &*point)
        .map_err(|error| napi::Error::from_reason(error.to_string()))?;
    Ok(timed(rounds, || key.verify_sig(&message, &signature).is_ok()))
}

/// One RS256 signature check with a key that was parsed before.
#[napi]
pub fn bare_rs256(
    n: Uint8ArraySlice<'_>,
    e: Uint8ArraySlice<'_>,
    message: Uint8ArraySlice<'_>,
    signature: Uint8ArraySlice<'_>,
    rounds: u32,
) -> napi::Result<f64> {
    let key = RsaPublicKeyComponents { n: &*n, e: &*e }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .map_err(|error| napi::Error::from_reason(error.to_string()))?;
    Ok(timed(rounds, || key.verify_sig(&message, &signature).is_ok()))
}

/// One path validation from a leaf to an anchor that was built before.
#[napi]
pub fn bare_path(
    anchor: Uint8ArraySlice<'_>,
    leaf: Uint8ArraySlice<'_>,
    intermediate: Uint8ArraySlice<'_>,
    rounds: u32,
) -> napi::Result<f64> {
    let failed = |error: webpki::Error| napi::Error::from_reason(error.to_string());
    let anchor = CertificateDer::from(&*anchor);
    let anchors = [anchor_from_trusted_cert(&anchor).map_err(failed)?];
    let leaf = CertificateDer::from(&*leaf);
    let intermediates = [CertificateDer::from(&*intermediate)];
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let now = UnixTime::since_unix_epoch(now);
    Ok(timed(rounds, || {
        EndEntityCert::try_from(&leaf).is_ok_and(|leaf| {
            leaf.verify_for_usage(
                ALL_VERIFICATION_ALGS,
                &anchors,
                &intermediates,
                now,
                KeyUsage::server_auth(),
                None,
                None,
            )
            .is_ok()
        })
    }))
}
