//! `workload_swarm ENDPOINT COUNT UPDATES`: so many workloads, each a process of its own, that all watch their X509-SVID
//! until each was told that often. Prints JSON: how late an SVID came after half of the life of the one before, and whether
//! any came after it had expired. Waits on standard input before it lets go of them.
#![allow(clippy::unwrap_used)] // a benchmark that cannot go on should say so and stop

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use countersign::spiffe::workload_api::{Endpoint, WorkloadApiClient, X509Context};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["one", endpoint, updates] => one(endpoint, updates.parse().unwrap()),
        [endpoint, count, updates] => swarm(endpoint, count.parse().unwrap(), updates),
        _ => panic!("workload_swarm ENDPOINT COUNT UPDATES"),
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// One workload: a line for each SVID, with the moment it came and from when to when it is valid.
fn one(endpoint: &str, updates: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = WorkloadApiClient::new(Endpoint::parse(endpoint).unwrap());
        let mut stream = loop {
            match client.watch::<X509Context>().await {
                Ok(stream) => break stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        for _ in 0..updates {
            let context = stream.next(None).await.unwrap();
            let leaf = context.svids[0].leaf();
            println!("{} {} {}", now(), leaf.not_before, leaf.not_after);
        }
        // Stays connected until it is ended.
        std::future::pending::<()>().await
    });
}

fn swarm(endpoint: &str, count: usize, updates: &str) {
    let program = std::env::current_exe().unwrap();
    let start = now();
    let mut children: Vec<Child> = (0..count)
        .map(|_| {
            let mut command = Command::new(&program);
            command.args(["one", endpoint, updates]).stdin(Stdio::null()).stdout(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let outputs: Vec<_> = children.iter_mut().map(|child| child.stdout.take().unwrap()).collect();
    let (mut late, mut gaps, mut last) = (Vec::new(), 0, start);
    for output in outputs {
        let mut before: Option<(f64, f64)> = None;
        for line in BufReader::new(output).lines().take(updates.parse().unwrap()) {
            let line = line.unwrap();
            let [at, _, until] = line.split(' ').map(|number| number.parse::<f64>().unwrap()).collect::<Vec<_>>()[..]
            else {
                panic!("{line}");
            };
            if let Some((issued, expiry)) = before {
                // Whole seconds: an SVID that came within a second was issued in the second before.
                late.push(at - (issued.floor() + (expiry - issued.floor()) / 2.0).floor());
                gaps += usize::from(at >= expiry);
            }
            last = last.max(at);
            before = Some((at, until));
        }
    }
    late.sort_by(f64::total_cmp);
    let at = |part: f64| late.get(((late.len() as f64 - 1.0) * part) as usize).copied().unwrap_or(0.0);
    println!(
        "{{\"workloads\":{count},\"rotations\":{},\"lateP50\":{:.3},\"lateP99\":{:.3},\"lateMax\":{:.3},\"gaps\":{gaps},\"seconds\":{:.1}}}",
        late.len(),
        at(0.5),
        at(0.99),
        at(1.0),
        last - start
    );
    let _ = std::io::stdin().lock().read_line(&mut String::new());
    for child in &mut children {
        let _ = child.kill();
        let _ = child.wait();
    }
}
