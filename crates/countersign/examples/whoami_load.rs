//! `whoami_load SOCKET THREADS MS`: asks who it is as often as it can for so long, and prints how often that was.
#![allow(clippy::unwrap_used)] // a benchmark that cannot go on should say so and stop

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [socket, threads, ms] = &args[..] else { panic!("whoami_load SOCKET THREADS MS") };
    let end = Instant::now() + Duration::from_millis(ms.parse().unwrap());
    let work = || {
        let mut count = 0_u64;
        let mut answer = Vec::with_capacity(4096);
        while Instant::now() < end {
            let mut stream = UnixStream::connect(socket).unwrap();
            stream.write_all(b"{\"runner\":{}}").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            answer.clear();
            stream.read_to_end(&mut answer).unwrap();
            assert!(answer.starts_with(b"{\"status\":\"ok\""), "{}", String::from_utf8_lossy(&answer));
            count += 1;
        }
        count
    };
    let count: u64 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.parse().unwrap()).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    println!("{count}");
}
