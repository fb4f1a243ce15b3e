//! A Workload API that answers at once with what it is given: for measuring clients, not itself.
//!
//! `stub SOCKET DIRECTORY`: the directory holds the responses as messages: `x509`, `x509-bundles`, `jwt`, `jwt-bundles`.
//! A line on stdin names a file that is pushed to every open X.509 stream; the time of the push, in nanoseconds of the
//! monotonic clock, comes back on stdout.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::{BufMut, Bytes, BytesMut};
use h2::SendStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Response};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::UnixListener;

type Streams = Arc<Mutex<Vec<SendStream<Bytes>>>>;

struct Stub {
    directory: PathBuf,
    x509: Bytes,
    x509_bundles: Bytes,
    jwt: Bytes,
    jwt_bundles: Bytes,
    streams: Streams,
}

fn framed(directory: &Path, name: &str) -> Bytes {
    let message = fs::read(directory.join(name)).unwrap_or_default();
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put_slice(&message);
    framed.freeze()
}

/// Nanoseconds of CLOCK_MONOTONIC: what `process.hrtime` of Node counts.
fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

impl Stub {
    fn answer(&self, method: &str, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
        let head = Response::builder().header("content-type", "application/grpc").body(());
        let Ok(head) = head else { return Ok(()) };
        let mut stream = respond.send_response(head, false)?;
        let (message, once) = match method {
            "/SpiffeWorkloadAPI/FetchX509SVID" => (&self.x509, false),
            "/SpiffeWorkloadAPI/FetchX509Bundles" => (&self.x509_bundles, false),
            "/SpiffeWorkloadAPI/FetchJWTBundles" => (&self.jwt_bundles, false),
            _ => (&self.jwt, true),
        };
        stream.send_data(message.clone(), false)?;
        if once {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            return stream.send_trailers(trailers);
        }
        let mut streams = self.streams.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // Those that are gone are not kept.
        streams.retain_mut(|open| {
            open.reserve_capacity(0);
            !matches!(open.poll_reset(&mut std::task::Context::from_waker(std::task::Waker::noop())), std::task::Poll::Ready(_))
        });
        streams.push(stream);
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(socket), Some(directory)) = (arguments.next(), arguments.next()) else {
        eprintln!("stub SOCKET DIRECTORY");
        std::process::exit(2);
    };
    let directory = PathBuf::from(directory);
    let read = |name| framed(&directory, name);
    let stub = Arc::new(Stub {
        x509: read("x509"),
        x509_bundles: read("x509-bundles"),
        jwt: read("jwt"),
        jwt_bundles: read("jwt-bundles"),
        streams: Streams::default(),
        directory: directory.clone(),
    });
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).expect("the socket");
    println!("ready");
    tokio::spawn(push(Arc::clone(&stub)));
    loop {
        let Ok((connection, _)) = listener.accept().await else { continue };
        let stub = Arc::clone(&stub);
        tokio::spawn(async move {
            let handshake = h2::server::Builder::new()
                .initial_window_size(1 << 20)
                .initial_connection_window_size(4 << 20)
                .handshake(connection)
                .await;
            let Ok(mut connection) = handshake else { return };
            while let Some(Ok((request, respond))) = connection.accept().await {
                // What it asks for does not matter: the body is a few bytes, and the answer is the same.
                let _ = stub.answer(request.uri().path(), respond);
            }
        });
    }
}

async fn push(stub: Arc<Stub>) {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(name)) = lines.next_line().await {
        let message = framed(&stub.directory, name.trim());
        let at = now();
        for stream in stub.streams.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).iter_mut() {
            let _ = stream.send_data(message.clone(), false);
        }
        println!("{at}");
    }
    std::process::exit(0);
}
