//! `spiffe-tls server ENDPOINT WHO` sends every line back. `spiffe-tls client ENDPOINT WHO ADDRESS LINE ROUNDS PAUSE` says
//! a line over a connection of its own each round, and over the first one as well; ROUNDS apart by PAUSE milliseconds. WHO
//! may be at the other end: `any`, a trust domain (`spiffe://example.org`), or an ID. Both print an object a line, as the
//! programs in `peers/go` do.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use rustls::CommonState;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use spiffe::{SpiffeId, X509Source};
use spiffe_rustls::{Authorizer, authorizer, mtls_client, mtls_server};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

type Failure = Box<dyn Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["server", endpoint, who] => serve(endpoint, who).await,
        ["client", endpoint, who, address, line, rounds, pause] => {
            call(endpoint, who, address, line, rounds.parse()?, Duration::from_millis(pause.parse()?)).await
        }
        _ => Err("usage: spiffe-tls server ENDPOINT WHO | client ENDPOINT WHO ADDRESS LINE ROUNDS PAUSE".into()),
    }
}

fn tell(event: &Value) {
    println!("{event}");
}

/// Which names are welcome.
fn welcome(who: &str) -> Result<Arc<dyn Authorizer>, Failure> {
    if who == "any" {
        return Ok(Arc::new(authorizer::any()));
    }
    let name = who.strip_prefix("spiffe://").ok_or("WHO: expected any, a trust domain or an ID")?;
    if name.contains('/') {
        return Ok(Arc::new(authorizer::exact([who])?));
    }
    Ok(Arc::new(authorizer::trust_domains([name])?))
}

/// What a finished handshake tells.
fn peer_of(connection: &CommonState) -> Result<Value, Failure> {
    let leaf = connection.peer_certificates().and_then(|chain| chain.first()).ok_or("the peer showed no certificate")?;
    let (_, leaf) = x509_parser::parse_x509_certificate(leaf).map_err(|_| "no certificate")?;
    let id = leaf
        .subject_alternative_name()?
        .and_then(|names| {
            names.value.general_names.iter().find_map(|name| match name {
                x509_parser::extensions::GeneralName::URI(uri) => SpiffeId::new(*uri).ok(),
                _ => None,
            })
        })
        .ok_or("no SPIFFE ID")?;
    Ok(json!({
        "peer": id.to_string(),
        "protocol": match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "unknown",
        },
        "serial": leaf.tbs_certificate.serial.to_str_radix(16),
    }))
}

async fn serve(endpoint: &str, who: &str) -> Result<(), Failure> {
    let source = X509Source::builder().endpoint(endpoint).build().await?;
    let welcome = welcome(who)?;
    let config = mtls_server(source).authorize(move |id: &SpiffeId| welcome.authorize(id)).build()?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    tell(&json!({ "listening": listener.local_addr()?.to_string() }));
    tokio::task::LocalSet::new()
        .run_until(async move {
            loop {
                let (socket, _) = listener.accept().await?;
                let acceptor = acceptor.clone();
                tokio::task::spawn_local(async move {
                    let ended = match acceptor.accept(socket).await {
                        Ok(stream) => echo(stream).await,
                        Err(error) => Err(error.into()),
                    };
                    if let Err(error) = ended {
                        tell(&json!({ "error": error.to_string() }));
                    }
                });
            }
        })
        .await
}

async fn echo(stream: server::TlsStream<TcpStream>) -> Result<(), Failure> {
    let seen = peer_of(stream.get_ref().1)?;
    tell(&seen);
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next_line().await? {
        tell(&json!({ "peer": seen["peer"], "line": line }));
        lines.get_mut().write_all(format!("{line}\n").as_bytes()).await?;
        lines.get_mut().flush().await?;
    }
    tell(&json!({ "closed": seen["peer"] }));
    Ok(())
}

/// A connection, and what its handshake told.
struct Connection {
    stream: BufReader<client::TlsStream<TcpStream>>,
    seen: Value,
}

impl Connection {
    async fn open(connector: &TlsConnector, address: &str) -> Result<Self, Failure> {
        let socket = TcpStream::connect(address).await?;
        let stream = connector.connect(ServerName::try_from("localhost")?, socket).await?;
        let seen = peer_of(stream.get_ref().1)?;
        Ok(Self { stream: BufReader::new(stream), seen })
    }

    /// In TLS 1.3 a client hears only by the answer that it is welcome.
    async fn say(&mut self, line: &str) -> Result<Value, Failure> {
        self.stream.write_all(format!("{line}\n").as_bytes()).await?;
        self.stream.flush().await?;
        let mut back = String::new();
        if self.stream.read_line(&mut back).await? == 0 {
            return Err("the connection was closed".into());
        }
        let mut told = self.seen.clone();
        told["line"] = json!(back.trim_end());
        Ok(told)
    }
}

async fn call(endpoint: &str, who: &str, address: &str, line: &str, rounds: u32, pause: Duration) -> Result<(), Failure> {
    let source = X509Source::builder().endpoint(endpoint).build().await?;
    let welcome = welcome(who)?;
    let config = mtls_client(source).authorize(move |id: &SpiffeId| welcome.authorize(id)).build()?;
    let connector = TlsConnector::from(Arc::new(config));
    let told = async {
        let mut kept: Option<Connection> = None;
        for round in 0..rounds {
            if round > 0 {
                tokio::time::sleep(pause).await;
            }
            let mut fresh = Connection::open(&connector, address).await?;
            tell(&fresh.say(line).await?);
            match &mut kept {
                None => kept = Some(fresh),
                Some(first) => {
                    let mut told = first.say(line).await?;
                    told["kept"] = json!(true);
                    tell(&told);
                }
            }
        }
        Ok::<(), Failure>(())
    };
    if let Err(error) = told.await {
        tell(&json!({ "error": error.to_string() }));
        std::process::exit(1);
    }
    Ok(())
}
