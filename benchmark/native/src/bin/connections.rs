//! A bare server, which shows what the kernel allows, and a load generator.
//!
//! * `connections serve PATH ANSWER` - a bare server: accept, read once, write ANSWER, close
//! * `connections load PATH THREADS COUNT` - COUNT requests from THREADS threads; prints responses a second and
//!   latencies

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Instant;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["serve", path, answer] => serve(path, answer.as_bytes()),
        ["load", path, threads, count] => {
            load(path, threads.parse().expect("a number of threads"), count.parse().expect("a count"));
        }
        _ => panic!("connections serve PATH ANSWER | load PATH THREADS COUNT"),
    }
}

fn serve(path: &str, answer: &[u8]) {
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).expect("bind");
    println!("ready");
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let mut request = [0; 4096];
        // The clients' requests are short and come in one piece: this is the least a server can do.
        let _ = stream.read(&mut request);
        let _ = stream.write_all(answer);
    }
}

fn load(path: &str, threads: usize, count: usize) {
    let start = Instant::now();
    let mut latencies: Vec<f64> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| ask(path, count / threads))).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker")).collect()
    });
    let elapsed = start.elapsed().as_secs_f64();
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    println!(
        "{{\"answers\":{},\"perSecond\":{:.0},\"p50\":{:.1},\"p99\":{:.1},\"max\":{:.1}}}",
        latencies.len(),
        latencies.len() as f64 / elapsed,
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

fn ask(path: &str, count: usize) -> Vec<f64> {
    let mut latencies = Vec::with_capacity(count);
    let mut answer = Vec::with_capacity(4096);
    while latencies.len() < count {
        let start = Instant::now();
        answer.clear();
        let mut stream = UnixStream::connect(path).expect("connect");
        stream.write_all(b"{\"runner\":{}}").expect("write");
        stream.shutdown(Shutdown::Write).expect("shutdown");
        stream.read_to_end(&mut answer).expect("read");
        assert!(!answer.starts_with(b"{\"error"), "{}", String::from_utf8_lossy(&answer));
        latencies.push(start.elapsed().as_secs_f64() * 1e6);
    }
    latencies
}
