//! Lets countersign and two releases of the crate `axess-identity` read and write the same IDs, names and principals,
//! generated and mutated, and counts where they differ. A difference that no rule settles ends the run with an error.
//!
//! `cargo run --manifest-path peers/Cargo.toml -p principal-differential -- [rounds] [seed]`

mod documents;
mod ids;
mod names;
mod random_json;
mod releases;

#[allow(dead_code)]
#[path = "../../spiffe-differential/src/random.rs"]
mod random;
#[allow(dead_code)]
#[path = "../../spiffe-differential/src/tally.rs"]
mod tally;

use std::process::ExitCode;

use random::Random;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let rounds = arguments.next().unwrap_or(20_000);
    let seed = arguments.next().unwrap_or(7);
    println!("countersign against axess-identity 0.14 and 0.9, seed {seed}");
    let mut random = Random::new(seed);
    let mut tallies = ids::run(&mut random, rounds * 5);
    tallies.extend(names::run(&mut random, rounds * 5));
    tallies.extend(documents::run(&mut random, rounds));
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
