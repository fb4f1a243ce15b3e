//! `spiffe-workload ENDPOINT`: holds an X509Source and a JwtSource on the crate `spiffe`, and prints one line for each
//! thing it is told: `svid ID SERIAL`, `denied`, `jwt ID`. Ends with its standard input.

use std::error::Error;
use std::io::Read;
use std::time::Duration;

use spiffe::{JwtSource, JwtSvid, WorkloadApiClient, X509Source};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let endpoint = std::env::args().nth(1).ok_or("usage: spiffe-workload ENDPOINT")?;
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    tokens(&endpoint).await?;
    let source = X509Source::builder().endpoint(&endpoint).build().await?;
    let mut told = String::new();
    loop {
        let line = match source.svid() {
            Ok(svid) => {
                let (_, leaf) = x509_parser::parse_x509_certificate(svid.leaf().as_bytes()).map_err(|_| "no certificate")?;
                format!("svid {} {}", svid.spiffe_id(), leaf.raw_serial_as_string())
            }
            Err(_) => "denied".to_owned(),
        };
        if line != told {
            println!("{line}");
            told = line;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A token, judged by the agent, by the crate with the bundles of the agent, and then a forged one by both.
async fn tokens(endpoint: &str) -> Result<(), Box<dyn Error>> {
    let source = JwtSource::builder().endpoint(endpoint).build().await?;
    let svid = source.fetch_jwt_svid(["shop", "bank"]).await?;
    let client = WorkloadApiClient::connect_to(endpoint).await?;
    let judged = client.validate_jwt_token("shop", svid.token()).await?;
    let bundles = source.bundle_set()?;
    let read = JwtSvid::parse_and_validate(svid.token(), &*bundles, &["bank"])?;
    if judged.spiffe_id() != svid.spiffe_id() || read.spiffe_id() != svid.spiffe_id() {
        return Err("the judges do not agree".into());
    }
    let forged = format!("{}A", svid.token());
    if client.validate_jwt_token("shop", &forged).await.is_ok() || JwtSvid::parse_and_validate(&forged, &*bundles, &["shop"]).is_ok() {
        return Err("a forged token is taken".into());
    }
    println!("jwt {}", svid.spiffe_id());
    Ok(())
}
