//! Principals: each side reads a document and writes it again, in both directions, from values that are right, almost
//! right, and text that is torn.

use countersign::principal::{Principal, PrincipalError};
use serde_json::{Map, Value, json};

use crate::{
    names,
    random::Random,
    random_json,
    releases::{newest, old, quietly},
    tally::{Settled, Tally, Verdict},
};

const NEWEST: &[Settled] = &[
    Settled {
        rule: "RFC 8259 4: a member that is named twice is refused at every depth; theirs lets the last one count in attributes and in members it does not know",
        applies: |ours, theirs| is(ours, "duplicate_member") && accepted(theirs),
    },
    Settled {
        rule: "a principal is an object, and so is an issuer; what serde derives takes arrays, member by member, as well",
        applies: |ours, theirs| is(ours, ARRAY) && accepted(theirs),
    },
    Settled {
        rule: "a kind is a name; what serde derives takes its number in the order of declaration as well",
        applies: |ours, theirs| is(ours, NUMBER) && accepted(theirs),
    },
];

const OLD: &[Settled] = &[
    NEWEST[0],
    NEWEST[1],
    NEWEST[2],
    Settled {
        rule: "names in documents are judged; releases before 0.10 took any text",
        applies: |ours, theirs| accepted(theirs) && NAME_RULES.iter().any(|rule| is(ours, rule)),
    },
    Settled {
        rule: "an OAuth issuer is written as `oauth`; releases before 0.10 wrote `o_auth` and read nothing else",
        applies: |ours, theirs| match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                ours.replace(r#""issuer":{"kind":"oauth"}"#, r#""issuer":{"kind":"o_auth"}"#) == *theirs
            }
            (Ok(ours), Err(_)) => ours.contains(r#""issuer":{"kind":"oauth"}"#),
            _ => false,
        },
    },
    Settled {
        rule: "an issuer with a label is written and read; releases before 0.10 could do neither",
        applies: |ours, theirs| {
            theirs.is_err() && ours.as_ref().is_ok_and(|text| text.contains(r#""issuer":{"kind":"custom","#))
        },
    },
];

const NOTHING: &[Settled] = &[];

/// What our refusal of an array is called here.
const ARRAY: &str = "an array";
/// What our refusal of a kind that is a number is called here.
const NUMBER: &str = "a number";

const NAME_RULES: &[&str] = &[
    "too_long",
    "wrong_scheme",
    "query_or_fragment",
    "user_info",
    "port",
    "missing_trust_domain",
    "trust_domain_too_long",
    "bad_first_char",
    "bad_trust_domain_char",
    "empty_segment",
    "dot_segment",
    "bad_path_segment_char",
    "empty",
];

fn accepted(verdict: &Verdict) -> bool {
    verdict.is_ok()
}

fn is(verdict: &Verdict, rule: &str) -> bool {
    verdict.as_ref().is_err_and(|code| code == rule)
}

fn ours(json: &str) -> Verdict {
    let refused = |error: PrincipalError| match serde_json::from_str::<Value>(json) {
        Ok(value) if value.is_array() || value["issuer"].is_array() => ARRAY.to_owned(),
        Ok(value) if value["kind"].is_number() || value["issuer"]["kind"].is_number() => NUMBER.to_owned(),
        _ => error.code().to_owned(),
    };
    let principal = Principal::from_json(json).map_err(refused)?;
    // What serde reads without the text at hand is the same.
    assert_eq!(serde_json::from_str::<Principal>(json).expect("the same"), principal);
    Ok(principal.to_json())
}

pub fn run(random: &mut Random, rounds: u64) -> Vec<Tally> {
    let mut newest_reads = Tally::new("documents, 0.14", NEWEST);
    let mut old_reads = Tally::new("documents, 0.9", OLD);
    let mut sent = Tally::new("documents each side wrote for the other, 0.14", NOTHING);
    let mut sent_old = Tally::new("documents each side wrote for the other, 0.9", OLD);
    for _ in 0..rounds {
        let json = match random.below(4) {
            0 => whole(random).to_string(),
            1 => bent(random),
            2 => torn(random),
            _ => repeated(random),
        };
        let our = ours(&json);
        old_reads.compare(|| json.clone(), &our, &quietly(|| old::principal(&json)));
        // What releases before 0.10 wrote is read as if a later one had written it, and by later ones not at all.
        let mut later = json.clone();
        if json.contains(r#""o_auth""#) {
            assert!(newest::principal(&json).is_err(), "{json}");
            later = json.replace(r#""o_auth""#, r#""oauth""#);
        }
        newest_reads.compare(|| json.clone(), &our, &quietly(|| newest::principal(&later)));

        // A round trip through the other side, from what is right on both.
        let good = good(random).to_string();
        let our = ours(&good);
        sent.compare(|| good.clone(), &our, &our.clone().and_then(|ours| newest::principal(&ours)));
        sent.compare(
            || good.clone(),
            &newest::principal(&good).and_then(|theirs| ours(&theirs)),
            &newest::principal(&good),
        );
        sent_old.compare(|| good.clone(), &our, &our.clone().and_then(|ours| old::principal(&ours)));
        let theirs = old::principal(&good.replace(r#""oauth""#, r#""o_auth""#));
        if let Ok(theirs) = theirs {
            sent_old.compare(|| good.clone(), &ours(&theirs), &Ok(theirs));
        }
    }
    vec![newest_reads, old_reads, sent, sent_old]
}

const U: &str = "9a36b1fe-3cf2-4ba5-8846-e1476509c712";

/// A principal that every release since 0.10 takes.
fn good(random: &mut Random) -> Value {
    let attributes = Value::Object(random_json::object(random, 3));
    if random.one_in(2) {
        let session = if random.one_in(2) { Value::Null } else { json!(U) };
        return json!({ "kind": "human", "user_id": U, "tenant_id": U, "session_id": session, "attributes": attributes });
    }
    let issuers = [
        json!({ "kind": "cli" }),
        json!({ "kind": "jwt_svid" }),
        json!({ "kind": "mtls" }),
        json!({ "kind": "oauth" }),
        json!({ "kind": "custom", "label": "github_actions" }),
    ];
    json!({
        "kind": "workload",
        "workload_id": "spiffe://gnomes.local/market-worker/world_cup",
        "trust_domain": random.pick(&["gnomes.local", "other.org"]),
        "issuer": random.pick(&issuers),
        "tenant_id": random.pick(&[U, "00000000-0000-0000-0000-000000000000"]),
        "tenant_slug": random_json::text(random),
        "service_name": random_json::text(random),
        "attributes": attributes,
    })
}

/// One whose names may be anything.
fn whole(random: &mut Random) -> Value {
    let mut value = good(random);
    if value["kind"] == "workload" {
        if random.one_in(2) {
            value["workload_id"] = json!(names::id(random));
        }
        if random.one_in(4) {
            value["trust_domain"] = json!(names::of(random, &["example.org", "UPPER Case", "", "a_b"], 255));
        }
        if random.one_in(4) {
            let kind = *random.pick(&["o_auth", "oauth", "OAuth", "custom", "spire", "cli", ""]);
            let kind = if random.one_in(8) { json!(random.below(6)) } else { json!(kind) };
            value["issuer"] = json!({ "kind": kind, "label": *random.pick(&["k8s", "cli", "A", ""]), "x": 1 });
        }
    }
    value
}

/// One with members missing, of another type, or in another shape.
fn bent(random: &mut Random) -> String {
    let mut value = whole(random);
    let object = value.as_object_mut().expect("an object");
    for _ in 0..=random.below(2) {
        let names: Vec<String> = object.keys().cloned().collect();
        let name = random.pick(&names).clone();
        match random.below(4) {
            0 => drop(object.remove(&name)),
            1 => drop(object.insert(name, random_json::value(random, 2))),
            2 => drop(object.insert(random_json::text(random), random_json::value(random, 2))),
            _ => drop(object.insert(name, Value::from(random.below(3)))),
        }
        if object.is_empty() {
            break;
        }
    }
    match random.below(10) {
        0 => Value::Array(sequence(object)).to_string(),
        1 => {
            if let Some(issuer) = object.get_mut("issuer").and_then(|issuer| issuer.as_object().cloned()) {
                object.insert("issuer".to_owned(), Value::Array(sequence(&issuer)));
            }
            value.to_string()
        }
        2 => {
            let depth = 120 + random.below(12);
            let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            value.to_string().replacen('{', &format!("{{\"deep\":{nested},"), 1)
        }
        3 => {
            let depth = 120 + random.below(12);
            let nested = format!("\"attributes\":{{\"deep\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
            object.remove("attributes");
            value.to_string().replacen('{', &format!("{{{nested},"), 1).replace(",}", "}")
        }
        _ => value.to_string(),
    }
}

/// The members in the order serde derives, without their names.
fn sequence(object: &Map<String, Value>) -> Vec<Value> {
    const ORDER: &[&str] = &[
        "kind",
        "label",
        "user_id",
        "workload_id",
        "trust_domain",
        "issuer",
        "tenant_id",
        "session_id",
        "tenant_slug",
        "service_name",
        "attributes",
    ];
    ORDER.iter().filter_map(|name| object.get(*name).cloned()).collect()
}

fn torn(random: &mut Random) -> String {
    let mut bytes = whole(random).to_string().into_bytes();
    random.mutate(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One that names a member twice.
fn repeated(random: &mut Random) -> String {
    let value = whole(random);
    let names: Vec<&String> = value.as_object().expect("an object").keys().collect();
    let name = (*random.pick(&names)).clone();
    let again = if random.one_in(2) { value[&name].clone() } else { random_json::value(random, 1) };
    let text = value.to_string();
    match random.below(4) {
        0 => text.replacen('{', &format!("{{{}:{again},", Value::from(name)), 1),
        1 => {
            text.replacen("\"attributes\":{", "\"attributes\":{\"a\":1,\"a\":{\"b\":1,\"b\":2},", 1).replace(",}", "}")
        }
        2 => text.replacen('{', "{\"x\":1,\"x\":2,", 1),
        _ => text,
    }
}
