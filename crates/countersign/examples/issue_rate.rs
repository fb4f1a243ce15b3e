//! How many X509-SVIDs a second are issued, beside the bare crypto library that makes a key and a signature for each. The
//! two take turns. No key is made ahead. Prints JSON.
#![allow(clippy::unwrap_used)] // a benchmark that cannot go on should say so and stop

use std::time::Instant;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use countersign::spiffe::issue::{JwtIssuer, LeafRequest, X509Issuer};
use countersign::spiffe::{SpiffeId, TrustDomain};

const ROUNDS: usize = 21;
const EACH: usize = 500;

fn rate(run: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    (0..EACH).for_each(|_| run());
    EACH as f64 / start.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let now = 1_800_000_000;
    let issuer = X509Issuer::generate(&TrustDomain::parse("example.org").unwrap(), now - 60, now + 1_000_000).unwrap();
    let tokens = JwtIssuer::generate(now + 1_000_000).unwrap();
    let id = SpiffeId::parse("spiffe://example.org/ns/production/sa/billing").unwrap();
    let request = LeafRequest { spiffe_id: &id, dns_names: &[], not_before: now, not_after: now + 3600 };
    let authority = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let random = SystemRandom::new();
    // As long as what is signed of a leaf.
    let message = [7; 420];
    let audience = ["shop".to_owned()];
    let mut bare = || {
        std::hint::black_box(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap());
        std::hint::black_box(authority.sign(&random, &message).unwrap());
    };
    let mut ours = || drop(std::hint::black_box(issuer.issue(&request).unwrap()));
    let mut sign = || {
        std::hint::black_box(authority.sign(&random, &message).unwrap());
    };
    let mut token = || drop(std::hint::black_box(tokens.issue(&id, &audience, now, now + 300).unwrap()));
    let mut rates: [Vec<f64>; 4] = Default::default();
    for round in 0..ROUNDS + 2 {
        let turns: [&mut dyn FnMut(); 4] = [&mut bare, &mut ours, &mut sign, &mut token];
        for (rates, run) in rates.iter_mut().zip(turns) {
            let rate = rate(run);
            if round >= 2 {
                rates.push(rate);
            }
        }
    }
    let [bare, ours, sign, token] = rates.map(median);
    println!("{{\"bare\":{bare:.0},\"issue\":{ours:.0},\"bareSign\":{sign:.0},\"jwt\":{token:.0}}}");
}
