//! `control-differential LINES SEED`: the crate `secureops-ipc` asks our agent, answers our clients in Rust and in
//! JavaScript, and judges as many generated request lines as it is told beside our own reader.

mod agent;
mod lines;
mod server;

use std::error::Error;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let count: u64 = args.next().map_or(Ok(20_000), |text| text.parse())?;
    let seed: u64 = args.next().map_or(Ok(1), |text| text.parse())?;
    let told = agent::asked_by_the_crate().await?;
    println!("the client of secureops-ipc at our agent: {told} answers as they should be");
    let told = server::answers_of_the_crate().await?;
    println!("our clients at the server of secureops-ipc: {told} answers as they should be");
    let (taken, refused) = lines::judge(count, seed)?;
    println!("{count} request lines: both take the same {taken}, and refuse the same {refused}");
    Ok(())
}
