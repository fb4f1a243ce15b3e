//! Lets countersign and the crate `spiffe` judge the same inputs, generated and mutated, and counts where they differ.
//! A difference that no rule of the standards settles ends the run with an error.
//!
//! `cargo run --manifest-path peers/Cargo.toml -p spiffe-differential -- [rounds] [seed]`

mod bundles;
mod chains;
mod ids;
mod random;
mod tally;
mod tokens;

#[allow(dead_code, missing_docs)]
#[path = "../../../crates/countersign/tests/spiffe/issuer.rs"]
mod issuer;
#[allow(dead_code, missing_docs)]
#[path = "../../../crates/countersign/tests/spiffe/jwt_signers.rs"]
mod jwt_signers;

use std::process::ExitCode;

use random::Random;

fn main() -> ExitCode {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse::<u64>().expect("a number"));
    let rounds = arguments.next().unwrap_or(20_000);
    let seed = arguments.next().unwrap_or(7);
    println!("countersign against spiffe 0.19, seed {seed}");
    let mut random = Random::new(seed);
    let [ids, domains] = ids::run(&mut random, rounds * 10);
    let tallies = [
        ids,
        domains,
        tokens::run(&mut random, rounds),
        chains::run(&mut random, rounds),
        bundles::run_jwks(&mut random, rounds / 2),
        bundles::run_der(&mut random, rounds / 2),
    ];
    let mut unexplained = 0;
    for tally in &tallies {
        tally.print();
        unexplained += tally.unexplained();
    }
    if unexplained > 0 {
        println!("{unexplained} differences that no rule settles");
        return ExitCode::FAILURE;
    }
    println!("every difference is settled by a rule");
    ExitCode::SUCCESS
}
