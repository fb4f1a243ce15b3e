//! The same request lines, read by the crate and by us.

use countersign::control::{Request, Verb};
use secureops_ipc::IpcRequest;

/// xorshift64*, so that a seed says which lines.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[(self.next() % from.len() as u64) as usize]
    }
}

const TAGS: &[&str] =
    &["ping", "status", "kill", "alerts", "audit", "subscribe", "reloadPolicy", "reload_policy", "Ping", "", "bogus"];
const KEYS: &[&str] = &["deep", "fix", "json", "reason", "limit", "extra", "Deep"];
const VALUES: &[&str] = &[
    "true",
    "false",
    "null",
    "0",
    "10",
    "-1",
    "4294967295",
    "4294967296",
    "1.5",
    "\"x\"",
    "\"\\u00e9\\n\"",
    "[]",
    "{}",
    "1e2",
    "\"\\ud800\"",
    "",
];

fn line(random: &mut Random) -> String {
    let mut members = vec![format!("\"type\":\"{}\"", random.pick(TAGS))];
    for _ in 0..random.next() % 4 {
        members.push(format!("\"{}\":{}", random.pick(KEYS), random.pick(VALUES)));
    }
    let at = (random.next() % members.len() as u64) as usize;
    members.swap(0, at);
    let mut line = format!("{{{}}}", members.join(","));
    if random.next().is_multiple_of(8) {
        let cut = (random.next() % (line.len() as u64 + 1)) as usize;
        if line.is_char_boundary(cut) {
            line.truncate(cut);
        }
    }
    line
}

/// As the crate would have read it.
fn theirs(request: IpcRequest) -> Verb {
    match request {
        IpcRequest::Audit { deep, fix, json } => Verb::Audit { deep, fix, json },
        IpcRequest::Status => Verb::Status,
        IpcRequest::Kill { reason } => Verb::Kill { reason },
        IpcRequest::Subscribe => Verb::Subscribe { after: None },
        IpcRequest::Alerts { limit } => Verb::Alerts { limit },
        IpcRequest::ReloadPolicy => Verb::ReloadPolicy,
        IpcRequest::Ping => Verb::Ping,
    }
}

pub fn judge(count: u64, seed: u64) -> Result<(u64, u64), String> {
    let mut random = Random(seed | 1);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..count {
        let line = line(&mut random);
        let crates: Result<IpcRequest, _> = serde_json::from_str(&line);
        let ours = Request::parse(line.as_bytes());
        match (crates, ours) {
            (Ok(crates), Ok(ours)) => {
                let written = serde_json::to_string(&crates).map_err(|error| error.to_string())?;
                if theirs(crates) != ours.verb {
                    return Err(format!("read in two ways: {line}"));
                }
                if written != ours.to_line() {
                    return Err(format!("written in two ways: {written} {}", ours.to_line()));
                }
                taken += 1;
            }
            (Err(_), Err(_)) => refused += 1,
            (crates, ours) => return Err(format!("{line}: the crate says {crates:?}, we say {ours:?}")),
        }
    }
    Ok((taken, refused))
}
