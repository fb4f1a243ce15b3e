//! Names: each side reads a text as a trust domain, as the ID of a workload, and as the label of an issuer.

use countersign::principal::{IdentityError, Issuer, TrustDomain, WorkloadId};

use crate::{
    random::Random,
    releases::{Answer, newest, old},
    tally::{Settled, Tally, Verdict},
};

const NOTHING: &[Settled] = &[];

const OLD_IDS: &[Settled] = &[Settled {
    rule: "SPIFFE-ID 2.2: no `.` and `..` segments; releases before 0.10 took them",
    applies: |ours, theirs| refuses(ours, "component") && theirs.as_ref().is_ok_and(|id| has_dots(id)),
}];

const OLD_LABELS: &[Settled] = &[Settled {
    rule: "a label is none that a built-in issuer has; releases before 0.10 took those",
    applies: |ours, theirs| {
        let reserved = ["cli", "jwt_svid", "mtls", "oauth"];
        refuses(ours, "component") && theirs.as_ref().is_ok_and(|label| reserved.contains(&label.as_str()))
    },
}];

const DOMAINS: &[&str] = &[
    "example.org",
    "a",
    "gnomes.local",
    "UPPER",
    "a_b",
    ".a",
    "-a",
    "a.",
    "a-",
    "a..b",
    "10.0.0.1",
    "xn--a",
    "",
    "a/b",
    "a:1",
    "u@a",
    "ä",
    "0",
];
const SEGMENTS: &[&str] = &[
    "billing",
    "world_cup",
    "A-z.~_0",
    ".",
    "..",
    "...",
    ".a",
    "a.",
    "",
    "a b",
    "a/b",
    "%2e",
    "ä",
    "a?b",
    "a#b",
    "\0",
    "~",
];
const LABELS: &[&str] = &[
    "cli",
    "jwt_svid",
    "mtls",
    "oauth",
    "o_auth",
    "custom",
    "github_actions",
    "k8s",
    "",
    "A",
    "a-b",
    "ä",
    "_",
    "0",
    "cli ",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

fn has_dots(id: &str) -> bool {
    id.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// Kinds of errors count as answers: both must refuse under the same name.
fn told(answer: Answer) -> Verdict {
    Ok(answer.unwrap_or_else(|error| format!("refused: {error}")))
}

fn refuses(verdict: &Verdict, kind: &str) -> bool {
    verdict.as_ref().is_ok_and(|text| text.strip_prefix("refused: ") == Some(kind))
}

pub fn error_kind(error: IdentityError) -> String {
    match error {
        IdentityError::InvalidSpiffeId(_) => "spiffe_id",
        IdentityError::InvalidTrustDomain(_) => "trust_domain",
        IdentityError::InvalidComponent { .. } => "component",
        _ => "not_authenticated",
    }
    .to_owned()
}

pub fn run(random: &mut Random, rounds: u64) -> Vec<Tally> {
    let mut domains = Tally::new("trust domains", NOTHING);
    let mut ids = Tally::new("workload IDs, 0.14", NOTHING);
    let mut old_ids = Tally::new("workload IDs, 0.9", OLD_IDS);
    let mut labels = Tally::new("labels, 0.14", NOTHING);
    let mut old_labels = Tally::new("labels, 0.9", OLD_LABELS);
    for _ in 0..rounds {
        let domain = of(random, DOMAINS, 255);
        let our = told(TrustDomain::parse(&domain).map(|it| it.to_string()).map_err(error_kind));
        domains.compare(|| format!("{domain:?}"), &our, &told(newest::trust_domain(&domain)));
        domains.compare(|| format!("{domain:?}"), &our, &told(old::trust_domain(&domain)));

        let (service, slug) = (of(random, SEGMENTS, 1000), of(random, SEGMENTS, 1000));
        let built = TrustDomain::parse(&domain).and_then(|domain| WorkloadId::build(&domain, &service, &slug));
        let built = told(built.map(|it| it.to_string()).map_err(error_kind));
        let shown = || format!("{domain:?} {service:?} {slug:?}");
        ids.compare(shown, &built, &told(newest::build(&domain, &service, &slug)));
        old_ids.compare(shown, &built, &told(old::build(&domain, &service, &slug)));

        let text = id(random);
        let our = told(WorkloadId::parse(&text).map(|it| it.to_string()).map_err(error_kind));
        ids.compare(|| format!("{text:?}"), &our, &told(newest::workload_id(&text)));
        old_ids.compare(|| format!("{text:?}"), &our, &told(old::workload_id(&text)));

        let label = of(random, LABELS, 32);
        let our = told(Issuer::custom(&label).map(|it| it.as_str().to_owned()).map_err(error_kind));
        labels.compare(|| format!("{label:?}"), &our, &told(newest::label(&label)));
        old_labels.compare(|| format!("{label:?}"), &our, &told(old::label(&label)));
    }
    vec![domains, ids, old_ids, labels, old_labels]
}

/// One of these, as it is, mutated, or of a length around the limit.
pub fn of(random: &mut Random, seeds: &[&str], limit: usize) -> String {
    match random.below(6) {
        0 => "a".repeat(limit + 1 - random.below(3)),
        1 | 2 => {
            let mut bytes = random.pick(seeds).as_bytes().to_vec();
            random.mutate(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        }
        _ => (*random.pick(seeds)).to_owned(),
    }
}

/// The text of an ID, or of something like one.
pub fn id(random: &mut Random) -> String {
    let scheme = if random.one_in(8) {
        *random.pick(&["SPIFFE://", "spiffe:/", "https://", "", " spiffe://"])
    } else {
        "spiffe://"
    };
    let mut text = format!("{scheme}{}", of(random, DOMAINS, 255));
    for _ in 0..random.below(4) {
        text.push('/');
        text.push_str(*random.pick(SEGMENTS));
    }
    if random.one_in(12) {
        let missing = 2048usize.saturating_sub(text.len());
        text.push_str(&"a".repeat(missing + 1 - random.below(3).min(missing)));
    }
    text
}
