//! Tokens: both sides judge a token, well or badly signed, with the same bundle, audience and clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use countersign::spiffe::{JwsAlgorithm, JwtBundle, JwtVerifyOptions, verify_jwt_svid};
use serde_json::{Value, json};

use crate::{
    issuer::td,
    jwt_signers::Signer,
    random::Random,
    tally::{Settled, Tally, Verdict, only_ours_refuses, only_theirs_refuses},
};

const SETTLED: &[Settled] = &[
    Settled {
        rule: "3.3: JWT-SVID 2.2 makes the key ID optional; ours takes a token without one when one key suits",
        applies: |ours, theirs| only_theirs_refuses(ours, theirs, "MissingKeyId"),
    },
    Settled {
        rule: "3.2: JWT-SVID 2.1 lists ES512; theirs has no backend for it",
        applies: |ours, theirs| only_theirs_refuses(ours, theirs, "BackendUnsupportedAlgorithm"),
    },
    Settled {
        rule: "3.8: RFC 7519 2 lets a NumericDate have a fraction; theirs takes integers only",
        applies: |ours, theirs| only_theirs_refuses(ours, theirs, "floating point"),
    },
    Settled {
        rule: "3.9: a null claim is an absent one; theirs wants nbf absent or a number",
        applies: |ours, theirs| only_theirs_refuses(ours, theirs, "InvalidNotBefore"),
    },
    Settled {
        rule: "3.6: RFC 7519 4, claim names are unique; theirs takes repeated ones it does not judge (iat)",
        applies: |ours, theirs| only_ours_refuses(ours, theirs, &["malformed_claims"]),
    },
    Settled {
        rule: "3.6: RFC 7519 4, of a repeated claim that is not judged (iss) the last counts; theirs refuses it",
        applies: |ours, theirs| only_theirs_refuses(ours, theirs, "duplicate field"),
    },
    Settled {
        rule: "3.7: an empty audience names nobody",
        applies: |ours, theirs| only_ours_refuses(ours, theirs, &["missing_audience"]),
    },
];

/// Both sides hold these keys, one for each algorithm family and curve.
pub struct Keys {
    pub signers: Vec<(&'static str, JwsAlgorithm, Signer)>,
    pub jwks: String,
}

impl Keys {
    pub fn new() -> Self {
        let signers: Vec<_> = [
            ("rsa", JwsAlgorithm::RS256),
            ("p256", JwsAlgorithm::ES256),
            ("p384", JwsAlgorithm::ES384),
            ("p521", JwsAlgorithm::ES512),
        ]
        .into_iter()
        .map(|(kid, algorithm)| (kid, algorithm, Signer::suiting(algorithm)))
        .collect();
        let mut bundle = JwtBundle::new(td("example.org"));
        for (kid, _, signer) in &signers {
            bundle
                .add_authority(signer.authority(kid))
                .expect("a bundle");
        }
        Self {
            jwks: bundle.to_jwks().expect("a JWKS"),
            signers,
        }
    }

    pub fn signer(&self, algorithm: JwsAlgorithm) -> (&'static str, &Signer) {
        let family = if algorithm.curve().is_some() {
            algorithm
        } else {
            JwsAlgorithm::RS256
        };
        let (kid, _, signer) = self
            .signers
            .iter()
            .find(|(_, known, _)| *known == family)
            .expect("a signer");
        (kid, signer)
    }
}

const AUDIENCE: &str = "reports";

pub fn run(random: &mut Random, rounds: u64) -> Tally {
    let mut tally = Tally::new("tokens", SETTLED);
    let keys = Keys::new();
    let ours = JwtBundle::from_jwks(td("example.org"), keys.jwks.as_bytes()).expect("a bundle");
    let theirs = their_bundles(keys.jwks.as_bytes()).expect("a bundle");
    for _ in 0..rounds {
        let token = generate(random, &keys);
        tally.compare(
            || format!("token {}", readable(&token)),
            &our_verdict(&token, &ours),
            &their_verdict(&token, &theirs),
        );
    }
    tally
}

/// Both sides take the time from the system; with no leeway on either, times are kept far from the edge.
pub fn our_verdict(token: &str, bundle: &JwtBundle) -> Verdict {
    let options = JwtVerifyOptions {
        leeway: Duration::ZERO,
        ..JwtVerifyOptions::new(AUDIENCE)
    };
    let svid = verify_jwt_svid(token, bundle, &options).map_err(|error| error.code().to_owned())?;
    Ok(format!(
        "{} {:?} {}",
        svid.spiffe_id(),
        svid.audience(),
        svid.expiry()
    ))
}

pub fn their_bundles(jwks: &[u8]) -> Result<spiffe::JwtBundleSet, String> {
    let domain = spiffe::TrustDomain::new("example.org").expect("a trust domain");
    let bundle = spiffe::JwtBundle::from_jwt_authorities(domain, jwks)
        .map_err(|error| format!("{error:?}"))?;
    let mut set = spiffe::JwtBundleSet::new();
    set.add_bundle(bundle);
    Ok(set)
}

pub fn their_verdict(token: &str, bundles: &spiffe::JwtBundleSet) -> Verdict {
    let svid = spiffe::JwtSvid::parse_and_validate(token, bundles, &[AUDIENCE])
        .map_err(|error| format!("{error:?} {error}"))?;
    Ok(format!(
        "{} {:?} {}",
        svid.spiffe_id(),
        svid.audience(),
        svid.expiry().unix_timestamp()
    ))
}

pub fn claims() -> Value {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock")
        .as_secs();
    json!({ "sub": "spiffe://example.org/billing", "aud": [AUDIENCE], "exp": now + 1000, "iat": now })
}

fn generate(random: &mut Random, keys: &Keys) -> String {
    // RSA signing is slow; the rules do not depend on it.
    let algorithm = if random.one_in(12) {
        *random.pick(&JwsAlgorithm::ALL)
    } else {
        *random.pick(&[JwsAlgorithm::ES256, JwsAlgorithm::ES384])
    };
    let (kid, signer) = keys.signer(algorithm);
    let mut header = json!({ "alg": algorithm.name(), "kid": kid, "typ": "JWT" });
    let mut claims = claims();
    let now = claims["iat"].as_u64().expect("a time");
    let values = [
        json!(null),
        json!(""),
        json!("x"),
        json!("JOSE"),
        json!("none"),
        json!("ES256"),
        json!("rsa"),
        json!("p256"),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(now - 100),
        json!(now + 100),
        json!(now as f64 + 100.5),
        json!(1e18),
        json!(1e300),
        json!(u64::MAX),
        json!(253_402_300_800_u64),
        json!([]),
        json!([AUDIENCE]),
        json!(AUDIENCE),
        json!(["x", AUDIENCE]),
        json!([""]),
        json!(["", AUDIENCE]),
        json!([AUDIENCE, 1]),
        json!(vec![AUDIENCE; 33]),
        json!({}),
        json!(true),
        json!("spiffe://example.org"),
        json!("spiffe://other.org/a"),
        json!("SPIFFE://EXAMPLE.ORG/a"),
        json!("spiffe://example.org/a/"),
    ];
    for _ in 0..random.below(3) {
        let value = random.pick(&values).clone();
        if random.one_in(3) {
            let name = *random.pick(&["alg", "kid", "typ", "crit", "cty", "jwk", "b64"]);
            if random.one_in(3) {
                header.as_object_mut().map(|header| header.remove(name));
            } else {
                header[name] = value;
            }
        } else {
            let name = *random.pick(&["sub", "aud", "exp", "nbf", "iat", "iss", "jti", "extra"]);
            if random.one_in(4) {
                claims.as_object_mut().map(|claims| claims.remove(name));
            } else {
                claims[name] = value;
            }
        }
    }
    let twice = |random: &mut Random, object: &Value| {
        let mut text = object.to_string();
        if random.one_in(20) {
            let members: Vec<_> = object.as_object().expect("an object").iter().collect();
            if let Some((name, value)) = members.get(random.below(members.len())) {
                text = text.replacen('{', &format!("{{{}:{value},", json!(name)), 1);
            }
        }
        text
    };
    let (mut head, mut body) = (twice(random, &header), twice(random, &claims));
    for part in [&mut head, &mut body] {
        if random.one_in(12) {
            let mut bytes = part.as_bytes().to_vec();
            random.mutate(&mut bytes);
            *part = String::from_utf8_lossy(&bytes).into_owned();
        }
    }
    let token = signer.sign(algorithm, &head, &body);
    if !random.one_in(5) {
        return token;
    }
    let mut bytes = token.into_bytes();
    random.mutate(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn readable(token: &str) -> String {
    let part = |text: &str| match data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => format!("not base64url: {text}"),
    };
    token
        .splitn(3, '.')
        .take(2)
        .map(part)
        .collect::<Vec<_>>()
        .join(" . ")
}
