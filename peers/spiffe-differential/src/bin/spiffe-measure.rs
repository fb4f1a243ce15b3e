//! What judging costs, next to the bare cryptography underneath and to the crate `spiffe`; all in one process, rounds of
//! the variants interleaved. The ratios are of the fastest tenth of the rounds: what a busy machine adds is not theirs.
//!
//! `cargo run --release --manifest-path peers/Cargo.toml --bin spiffe-measure`

#[allow(dead_code, missing_docs)]
#[path = "../../../../crates/countersign/tests/spiffe/issuer.rs"]
mod issuer;
#[allow(dead_code, missing_docs)]
#[path = "../../../../crates/countersign/tests/spiffe/jwt_signers.rs"]
mod jwt_signers;

use std::{
    hint::black_box,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::signature::{self as aws, ParsedPublicKey, UnparsedPublicKey};
use countersign::spiffe::{
    BundleSet, JwsAlgorithm, JwtBundle, JwtVerifyOptions, PublicKey, SpiffeId, TrustDomain,
    X509Bundle, X509VerifyOptions, verify_jwt_svid, verify_x509_svid,
};
use data_encoding::BASE64URL_NOPAD;
use issuer::{Ca, ID, NOW, at, ca_params, leaf_params, td};
use jwt_signers::Signer;
use rustls_pki_types::{CertificateDer, UnixTime};
use serde_json::json;

type Variant<'a> = (&'a str, Box<dyn FnMut() + 'a>);

/// Time of each variant, over rounds in which every variant has its turn: of a fast round, and of the median one.
fn race(title: &str, mut variants: Vec<Variant<'_>>) {
    let calls = variants
        .iter_mut()
        .map(|(_, run)| {
            let start = Instant::now();
            let mut calls = 0u32;
            while start.elapsed() < Duration::from_millis(4) {
                run();
                calls += 1;
            }
            calls
        })
        .collect::<Vec<_>>();
    let mut times = vec![Vec::new(); variants.len()];
    for _ in 0..101 {
        for (index, (_, run)) in variants.iter_mut().enumerate() {
            let start = Instant::now();
            for _ in 0..calls[index] {
                run();
            }
            times[index].push(start.elapsed().as_nanos() as f64 / f64::from(calls[index]));
        }
    }
    println!("{title}");
    let mut first = None;
    for ((name, _), mut times) in variants.into_iter().zip(times) {
        times.sort_by(f64::total_cmp);
        let (fast, median) = (times[times.len() / 10], times[times.len() / 2]);
        let base = *first.get_or_insert(fast);
        println!(
            "  {name:<44} {:>9.2} us   x{:.2}   (median {:.2} us)",
            fast / 1000.0,
            fast / base,
            median / 1000.0
        );
    }
}

fn tokens(algorithm: JwsAlgorithm) {
    let signer = Signer::suiting(algorithm);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock")
        .as_secs();
    let header = json!({ "alg": algorithm.name(), "kid": "k", "typ": "JWT" }).to_string();
    let claims =
        json!({ "sub": ID, "aud": ["reports"], "exp": now + 3600, "iat": now }).to_string();
    let token = signer.sign(algorithm, &header, &claims);
    let mut bundle = JwtBundle::new(td("example.org"));
    bundle
        .add_authority(signer.authority("k"))
        .expect("a bundle");
    let jwks = bundle.to_jwks().expect("a JWKS");
    let set: BundleSet = [bundle].into_iter().collect();
    let options = JwtVerifyOptions::new("reports");

    let (signed, signature) = token.rsplit_once('.').expect("a token");
    let signature = BASE64URL_NOPAD
        .decode(signature.as_bytes())
        .expect("a signature");
    let (bare, key): (&'static dyn aws::VerificationAlgorithm, Vec<u8>) = match signer.public_key()
    {
        PublicKey::Ec { point, .. } => (&aws::ECDSA_P256_SHA256_FIXED, point.into_vec()),
        _ => match &signer {
            Signer::Rsa(key) => {
                use aws::KeyPair as _;
                (
                    &aws::RSA_PKCS1_2048_8192_SHA256,
                    key.public_key().as_ref().to_vec(),
                )
            }
            Signer::Ec(_) => unreachable!("an RSA key"),
        },
    };
    let parsed = ParsedPublicKey::new(bare, &key).expect("a key");
    let unparsed = UnparsedPublicKey::new(bare, &key);
    let domain = spiffe::TrustDomain::new("example.org").expect("a trust domain");
    let mut theirs = spiffe::JwtBundleSet::new();
    theirs.add_bundle(
        spiffe::JwtBundle::from_jwt_authorities(domain, jwks.as_bytes()).expect("a bundle"),
    );
    race(
        &format!("{algorithm} token"),
        vec![
            (
                "bare signature check, key parsed before",
                Box::new(|| {
                    parsed
                        .verify_sig(signed.as_bytes(), &signature)
                        .expect("good")
                }),
            ),
            (
                "bare signature check, key parsed each time",
                Box::new(|| {
                    unparsed
                        .verify(signed.as_bytes(), &signature)
                        .expect("good")
                }),
            ),
            (
                "verify_jwt_svid",
                Box::new(|| {
                    drop(black_box(
                        verify_jwt_svid(&token, &set, &options).expect("good"),
                    ))
                }),
            ),
            (
                "crate spiffe: parse_and_validate",
                Box::new(|| {
                    drop(black_box(
                        spiffe::JwtSvid::parse_and_validate(&token, &theirs, &["reports"])
                            .expect("good"),
                    ));
                }),
            ),
        ],
    );
}

fn chains() {
    let root = Ca::root("root");
    let intermediate = root.intermediate(ca_params("intermediate"));
    let leaf = intermediate.issue(leaf_params(ID));
    let bundle = root.bundle("example.org");
    let set: BundleSet = [bundle.clone()].into_iter().collect();
    let options = X509VerifyOptions {
        now: at(NOW),
        ..Default::default()
    };
    let anchor = CertificateDer::from(&root.der[..]);
    let anchors = [webpki::anchor_from_trusted_cert(&anchor).expect("an anchor")];
    let further = [CertificateDer::from(&intermediate.der[..])];
    let chain = [&leaf.der[..], &intermediate.der];
    let end = CertificateDer::from(&leaf.der[..]);
    let time = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    race(
        "chain of two below the root, ECDSA P-256",
        vec![
            (
                "bare webpki path validation",
                Box::new(|| {
                    let end = webpki::EndEntityCert::try_from(&end).expect("a leaf");
                    let usage = webpki::KeyUsage::server_auth();
                    end.verify_for_usage(
                        webpki::ALL_VERIFICATION_ALGS,
                        &anchors,
                        &further,
                        time,
                        usage,
                        None,
                        None,
                    )
                    .expect("good");
                }),
            ),
            (
                "verify_x509_svid",
                Box::new(|| {
                    drop(black_box(
                        verify_x509_svid(&chain, &bundle, &options).expect("good"),
                    ))
                }),
            ),
            (
                "verify_x509_svid, chain seen before",
                Box::new(|| {
                    drop(black_box(
                        verify_x509_svid(&chain, &set, &options).expect("good"),
                    ));
                }),
            ),
        ],
    );
}

fn names() {
    race(
        "a name",
        vec![
            (
                "SpiffeId::parse",
                Box::new(|| {
                    drop(black_box(
                        SpiffeId::parse(black_box("spiffe://example.org/ns/prod/sa/billing"))
                            .expect("good"),
                    ))
                }),
            ),
            (
                "SpiffeId::parse, upper case",
                Box::new(|| {
                    drop(black_box(
                        SpiffeId::parse(black_box("spiffe://Example.org/ns/prod/sa/billing"))
                            .expect("good"),
                    ))
                }),
            ),
            (
                "crate spiffe: SpiffeId::new",
                Box::new(|| {
                    drop(black_box(
                        spiffe::SpiffeId::new(black_box("spiffe://example.org/ns/prod/sa/billing"))
                            .expect("good"),
                    ))
                }),
            ),
        ],
    );
}

fn sets() {
    let der = [Ca::root("one").der, Ca::root("two").der].concat();
    let mut keys = JwtBundle::new(td("example.org"));
    keys.add_authority(Signer::ec(JwsAlgorithm::ES256).authority("k"))
        .expect("a bundle");
    let jwks = keys.to_jwks().expect("a JWKS");
    for count in [1, 100, 1000] {
        let domains: Vec<TrustDomain> = (0..count)
            .map(|index| td(&format!("td{index}.example")))
            .collect();
        race(
            &format!("a set of {count} trust domains, two certificates and one key each"),
            vec![
                (
                    "lazy",
                    Box::new(|| {
                        let mut set = BundleSet::new();
                        for domain in &domains {
                            set.insert_x509(
                                X509Bundle::from_der_lazy(domain.clone(), &der).expect("a bundle"),
                            );
                            set.insert_jwt(JwtBundle::from_jwks_lazy(
                                domain.clone(),
                                jwks.as_bytes(),
                            ));
                        }
                        drop(black_box(set));
                    }),
                ),
                (
                    "eager",
                    Box::new(|| {
                        let mut set = BundleSet::new();
                        for domain in &domains {
                            set.insert_x509(
                                X509Bundle::from_der(domain.clone(), &der).expect("a bundle"),
                            );
                            set.insert_jwt(
                                JwtBundle::from_jwks(domain.clone(), jwks.as_bytes())
                                    .expect("a bundle"),
                            );
                        }
                        drop(black_box(set));
                    }),
                ),
            ],
        );
    }
}

fn main() {
    tokens(JwsAlgorithm::ES256);
    tokens(JwsAlgorithm::RS256);
    chains();
    names();
    sets();
}
