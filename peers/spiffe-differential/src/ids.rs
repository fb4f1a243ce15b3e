//! Names: both sides read a text as a SPIFFE ID and as a trust domain.

use countersign::spiffe::{SpiffeId, TrustDomain};

use crate::{
    random::Random,
    tally::{Settled, Tally, Verdict, only_ours_refuses},
};

const SETTLED: &[Settled] = &[Settled {
    rule: "1.9: SPIFFE-ID 2.3 asks to support 2048 bytes; ours reads no more, theirs has no bound when reading",
    applies: |ours, theirs| only_ours_refuses(ours, theirs, &["too_long"]),
}];

const DOMAINS: &[Settled] = &[Settled {
    rule: "1.11: a trust domain is read from a name or a whole SPIFFE ID; theirs does not look at what follows the name",
    applies: |ours, theirs| {
        let codes = [
            "too_long",
            "dot_segment",
            "empty_segment",
            "trailing_slash",
            "bad_path_segment_char",
        ];
        only_ours_refuses(ours, theirs, &codes)
    },
}];

const SEEDS: &[&str] = &[
    "spiffe://example.org/a/b",
    "SPIFFE://Example.ORG/Path",
    "spiffe://td",
    "spiffe://td/",
    "spiffe://td//a",
    "spiffe://td/./a/../b",
    "spiffe://td/.../.x",
    "spiffe://u:p@td:80/a?b#c",
    "spiffe://192.168.0.1/x",
    "spiffe://[::1]/x",
    "spiffe:///x",
    "spiffe:/td",
    "td",
    "Example.org",
    "td/a",
    "td:/a",
    "",
    "spiffe://",
    "spiffe",
    "://td/a",
];
const PIECES: &[&str] = &[
    "spiffe://",
    "SPIFFE://",
    "spiffe",
    ":",
    "/",
    "//",
    ".",
    "..",
    "a",
    "B",
    "0",
    "-",
    "_",
    "%61",
    "?",
    "#",
    "@",
    "é",
    " ",
    "\0",
    "example.org",
    "~",
    "\\",
    ":/",
];

pub fn run(random: &mut Random, rounds: u64) -> [Tally; 2] {
    let mut ids = Tally::new("SPIFFE IDs", SETTLED);
    let mut domains = Tally::new("trust domains", DOMAINS);
    for _ in 0..rounds {
        let text = generate(random);
        ids.compare(|| format!("id {text:?}"), &our_id(&text), &their_id(&text));
        domains.compare(
            || format!("trust domain {text:?}"),
            &our_domain(&text),
            &their_domain(&text),
        );
    }
    [ids, domains]
}

fn generate(random: &mut Random) -> String {
    match random.below(4) {
        0 => {
            let mut bytes = random.pick(SEEDS).as_bytes().to_vec();
            random.mutate(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        }
        1 => {
            let count = random.below(8);
            (0..count).map(|_| *random.pick(PIECES)).collect()
        }
        2 => {
            let mut text = String::from("spiffe://");
            let count = random.below(8);
            text.extend((0..count).map(|_| *random.pick(PIECES)));
            text
        }
        _ => {
            let domain = *random.pick(&[1, 200, 254, 255, 256]);
            let path = *random.pick(&[0, 1, 100, 1782, 1783, 1784, 2036, 2037, 2038, 2039, 3000]);
            let mut text = format!("spiffe://{}", "d".repeat(domain));
            if path > 0 {
                text.push('/');
                text.push_str(&"p".repeat(path));
            }
            text
        }
    }
}

fn our_id(text: &str) -> Verdict {
    let id = SpiffeId::parse(text).map_err(|error| error.code().to_owned())?;
    Ok(format!("{id} {} {}", id.trust_domain(), id.path()))
}

fn their_id(text: &str) -> Verdict {
    let id = spiffe::SpiffeId::new(text).map_err(|error| error.to_string())?;
    Ok(format!("{id} {} {}", id.trust_domain(), id.path()))
}

fn our_domain(text: &str) -> Verdict {
    let domain = TrustDomain::parse(text).map_err(|error| error.code().to_owned())?;
    Ok(format!("{domain} {}", domain.id()))
}

fn their_domain(text: &str) -> Verdict {
    let domain = spiffe::TrustDomain::new(text).map_err(|error| error.to_string())?;
    Ok(format!("{domain} {}", domain.id_string()))
}
