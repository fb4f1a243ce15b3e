//! Bundles: JWKS are judged by the tokens they let through, X.509 bundles by the certificates that are read.

use countersign::spiffe::{JwsAlgorithm, JwtBundle, X509Bundle};
use serde_json::{Value, json};

use crate::{
    issuer::{Ca, ca_params, leaf_params, td},
    random::Random,
    tally::{Settled, Tally, Verdict, only_ours_refuses, only_theirs_refuses},
    tokens::{Keys, claims, our_verdict, their_bundles, their_verdict},
};

const JWKS: &[Settled] = &[
    Settled {
        rule: "3.11: a leading zero (RFC 7518 2 wants none) does not make another number; theirs refuses the key",
        applies: |ours, theirs| only_theirs_refuses(ours, theirs, "NonCanonicalRsaComponent"),
    },
    Settled {
        rule: "5.4, 5.5: a key that cannot be used is ignored, and one before it with the same key ID stays; theirs puts it in its place",
        applies: |ours, theirs| {
            let texts = [
                "InvalidAuthorityMetadata",
                "InvalidAuthorityJwk",
                "AuthorityAlgorithmMismatch",
                "AuthorityCurveMismatch",
                "UnsupportedAuthorityPurpose",
                "InvalidAuthorityKeyComponent",
                "InvalidSignature",
                "WeakRsaAuthority",
            ];
            // Every token here is well signed: who finds the signature wrong holds another key.
            texts
                .iter()
                .any(|text| only_theirs_refuses(ours, theirs, text))
        },
    },
    Settled {
        rule: "5.8: a key without key ID is left out; theirs refuses the whole set",
        applies: |ours, theirs| only_theirs_refuses(ours, theirs, "MissingKeyId"),
    },
];

pub fn run_jwks(random: &mut Random, rounds: u64) -> Tally {
    let mut tally = Tally::new("JWKS", JWKS);
    let keys = Keys::new();
    let tokens: Vec<String> = [
        JwsAlgorithm::RS256,
        JwsAlgorithm::PS384,
        JwsAlgorithm::ES256,
        JwsAlgorithm::ES384,
    ]
    .into_iter()
    .map(|algorithm| {
        let (kid, signer) = keys.signer(algorithm);
        let header = json!({ "alg": algorithm.name(), "kid": kid }).to_string();
        signer.sign(algorithm, &header, &claims().to_string())
    })
    .collect();
    let whole: Value = serde_json::from_str(&keys.jwks).expect("a JWKS");
    for _ in 0..rounds {
        let jwks = generate(random, &whole);
        let token = random.pick(&tokens);
        let ours: Verdict = JwtBundle::from_jwks(td("example.org"), &jwks)
            .map_err(|error| error.code().to_owned())
            .and_then(|bundle| our_verdict(token, &bundle));
        let theirs = their_bundles(&jwks).and_then(|bundles| their_verdict(token, &bundles));
        tally.compare(|| readable(&jwks), &ours, &theirs);
    }
    tally
}

/// The set with its long values cut short.
fn readable(jwks: &[u8]) -> String {
    let text = String::from_utf8_lossy(jwks);
    let short = |part: &str| {
        if part.len() > 40 {
            format!("{}~", &part[..8])
        } else {
            part.to_owned()
        }
    };
    format!(
        "JWKS {}",
        text.split('"').map(short).collect::<Vec<_>>().join("\"")
    )
}

fn generate(random: &mut Random, whole: &Value) -> Vec<u8> {
    let mut document = whole.clone();
    let values = [
        json!(null),
        json!(""),
        json!("sig"),
        json!("enc"),
        json!("jwt-svid"),
        json!("x509-svid"),
        json!("wit-svid"),
        json!("RS256"),
        json!("ES256"),
        json!("PS384"),
        json!("EdDSA"),
        json!("RSA"),
        json!("EC"),
        json!("AKP"),
        json!("P-256"),
        json!("P-384"),
        json!("AQ"),
        json!("AQAB"),
        json!("AAEAAQ"),
        json!(["verify"]),
        json!(["sign"]),
        json!([]),
        json!(7),
        json!("rsa"),
        json!("p256"),
        json!({}),
    ];
    let keys = document["keys"].as_array_mut().expect("keys");
    for _ in 0..random.below(4) {
        let place = random.below(keys.len());
        let name = *random.pick(&[
            "kty", "kid", "use", "alg", "key_ops", "crv", "n", "e", "x", "y", "d", "x5c", "extra",
        ]);
        let value = random.pick(&values).clone();
        match random.below(5) {
            0 => drop(keys[place].as_object_mut().map(|key| key.remove(name))),
            1 if keys.len() > 1 => drop(keys.remove(place)),
            2 => {
                let key = keys[place].clone();
                keys.push(key);
            }
            _ if keys[place].is_object() => keys[place][name] = value,
            _ => {}
        }
        if random.one_in(12) {
            keys.push(
                random
                    .pick(&[
                        json!({ "kty": "AKP", "kid": "pq" }),
                        json!(null),
                        json!([]),
                        json!({}),
                    ])
                    .clone(),
            );
        }
    }
    let mut bytes = document.to_string().into_bytes();
    if random.one_in(4) {
        random.mutate(&mut bytes);
    }
    bytes
}

const DER: &[Settled] = &[
    Settled {
        rule: "2.9: only a signing certificate can be an authority; theirs takes any certificate",
        applies: |ours, theirs| {
            let codes = [
                "signing_not_ca",
                "signing_missing_key_cert_sign",
                "signing_id_with_path",
            ];
            only_ours_refuses(ours, theirs, &codes)
        },
    },
    Settled {
        rule: "RFC 5280 4.1, 4.2: an authority is well-formed to the path builder too; theirs asks one parser",
        applies: |ours, theirs| only_ours_refuses(ours, theirs, &["malformed_certificate"]),
    },
    Settled {
        rule: "X.690 10.1: a certificate is DER, with lengths in the fewest bytes; theirs takes longer ones",
        applies: |ours, theirs| only_ours_refuses(ours, theirs, &["malformed_der"]),
    },
];

pub fn run_der(random: &mut Random, rounds: u64) -> Tally {
    let mut tally = Tally::new("X.509 bundles", DER);
    let root = Ca::root("root");
    let certificates = [
        root.der.clone(),
        Ca::root("other").der,
        root.intermediate(ca_params("intermediate")).der,
        root.issue(leaf_params("spiffe://example.org/a")).der,
    ];
    for _ in 0..rounds {
        let count = random.below(4);
        let mut der: Vec<u8> = (0..count)
            .flat_map(|_| random.pick(&certificates).clone())
            .collect();
        if random.one_in(2) {
            random.mutate(&mut der);
        }
        let ours: Verdict = X509Bundle::from_der(td("example.org"), &der)
            .map(|bundle| {
                format!(
                    "{:?}",
                    bundle.authorities().map(<[u8]>::len).collect::<Vec<_>>()
                )
            })
            .map_err(|error| error.code().to_owned());
        let domain = spiffe::TrustDomain::new("example.org").expect("a trust domain");
        let theirs: Verdict = spiffe::X509Bundle::parse_from_der(domain, &der)
            .map(|bundle| {
                format!(
                    "{:?}",
                    bundle
                        .authorities()
                        .iter()
                        .map(|one| one.as_bytes().len())
                        .collect::<Vec<_>>()
                )
            })
            .map_err(|error| format!("{error:?}"));
        tally.compare(
            || format!("DER {}", data_encoding::BASE64.encode(&der)),
            &ours,
            &theirs,
        );
    }
    tally
}
