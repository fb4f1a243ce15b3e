//! `ndjson_echo SOCKET`: what an answer to one JSON line costs when nothing is decided and nothing is known: the bare
//! minimum the control plane is measured against.
#![allow(clippy::unwrap_used)] // a benchmark that cannot go on should say so and stop

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;

fn main() {
    let path = std::env::args().nth(1).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = UnixListener::bind(path).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut lines = BufReader::new(read).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let asked: serde_json::Value = serde_json::from_str(&line).unwrap();
                    let reply =
                        serde_json::json!({ "type": "ok", "id": asked["id"], "value": "pong" }).to_string() + "\n";
                    if write.write_all(reply.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
}
