//! The crate `spiffe` as a client, timed from Rust: `spiffe-client ENDPOINT ROUNDS PAUSE_US`. Prints one JSON document
//! with the median time of a call in microseconds.

use std::time::{Duration, Instant};

use spiffe::WorkloadApiClient;

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let endpoint = arguments.next().ok_or("ENDPOINT")?;
    let rounds: usize = arguments.next().ok_or("ROUNDS")?.parse()?;
    let pause = Duration::from_micros(arguments.next().ok_or("PAUSE_US")?.parse()?);
    let start = Instant::now();
    let client = WorkloadApiClient::connect_to(&endpoint).await?;
    client.fetch_x509_svid().await?;
    let cold = start.elapsed().as_secs_f64() * 1e6;
    let (mut x509, mut jwt) = (Vec::new(), Vec::new());
    for round in 0..rounds + 50 {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let start = Instant::now();
        client.fetch_x509_svid().await?;
        let one = start.elapsed().as_secs_f64() * 1e6;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let start = Instant::now();
        client.fetch_jwt_svid(["spiffe://example.org/shop"], None).await?;
        let two = start.elapsed().as_secs_f64() * 1e6;
        if round >= 50 {
            x509.push(one);
            jwt.push(two);
        }
    }
    println!("{}", serde_json::json!({ "cold": cold, "x509": median(x509), "jwt": median(jwt) }));
    Ok(())
}
