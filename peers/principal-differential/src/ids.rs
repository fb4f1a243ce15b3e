//! IDs: each side reads a text as a UUID, and makes one of a name and of random bytes.

use countersign::principal::{
    DeviceId, EventId, IdError, SessionId, TenantId, UserId, Uuid, ensure_user_id_not_reserved,
};

use crate::{
    random::Random,
    releases::{Answer, newest, old, quietly},
    tally::{Settled, Tally, Verdict},
};

const NOTHING: &[Settled] = &[];

const SEEDS: &[&str] = &[
    "9a36b1fe-3cf2-4ba5-8846-e1476509c712",
    "9A36B1FE-3CF2-4BA5-8846-E1476509C712",
    "9a36b1fe3cf24ba58846e1476509c712",
    "{9a36b1fe-3cf2-4ba5-8846-e1476509c712}",
    "{9a36b1fe3cf24ba58846e1476509c712}",
    "urn:uuid:9a36b1fe-3cf2-4ba5-8846-e1476509c712",
    "URN:UUID:9a36b1fe-3cf2-4ba5-8846-e1476509c712",
    "urn:uuid:9a36b1fe3cf24ba58846e1476509c712",
    "00000000-0000-0000-0000-000000000000",
    "00000000-0000-0000-0000-000000000001",
    "",
    "-",
    "{}",
    "urn:uuid:",
];

/// Kinds of errors count as answers: both must refuse under the same name.
fn told(answer: Answer) -> Verdict {
    Ok(answer.unwrap_or_else(|error| format!("refused: {error}")))
}

fn ours(error: IdError) -> String {
    format!("{} {}", error.code(), error.kind())
}

pub fn run(random: &mut Random, rounds: u64) -> Vec<Tally> {
    let mut texts = Tally::new("texts of IDs", NOTHING);
    let mut json = Tally::new("IDs in JSON", NOTHING);
    let mut made = Tally::new("IDs of names and of random bytes", NOTHING);
    for _ in 0..rounds {
        let text = generate(random);
        let all = [
            TenantId::parse(&text).map(|id| format!("{id} {id:?}")).map_err(ours),
            UserId::parse(&text).map(|id| format!("{id} {id:?}")).map_err(ours),
            DeviceId::parse(&text).map(|id| format!("{id} {id:?}")).map_err(ours),
            SessionId::parse(&text).map(|id| format!("{id} {id:?}")).map_err(ours),
            EventId::parse(&text).map(|id| format!("{id} {id:?}")).map_err(ours),
        ];
        for theirs in [newest::ids(&text), old::ids(&text)] {
            for (our, their) in all.iter().zip(theirs) {
                texts.compare(|| format!("{text:?}"), &told(our.clone()), &told(their));
            }
        }
        let document = in_json(random, &text);
        let our = || -> Answer {
            let id: TenantId = serde_json::from_str(&document).map_err(|_| "json".to_owned())?;
            Ok(serde_json::to_string(&id).expect("an ID"))
        };
        for their in [newest::id_json, old::id_json] {
            json.compare(|| document.clone(), &told(our()), &told(quietly(|| their(&document))));
        }
        let (one, other) = (bytes(random), bytes(random));
        let named = TenantId::from_namespaced_str(Uuid::from_bytes(one), &text).to_string();
        made.compare(|| format!("{one:?} {text:?}"), &Ok(named.clone()), &Ok(newest::named(one, &text)));
        made.compare(|| format!("{one:?} {text:?}"), &Ok(named), &Ok(old::named(one, &text)));
        let random_one = SessionId::from_random_bytes(one).to_string();
        for theirs in [newest::of_random_bytes(one), old::of_random_bytes(one)] {
            made.compare(|| format!("{one:?}"), &Ok(random_one.clone()), &Ok(theirs));
        }
        let reserved = ensure_user_id_not_reserved(&UserId::from_bytes(one), &TenantId::from_bytes(other));
        let reserved = reserved.map(|()| String::new()).map_err(ours);
        for theirs in [newest::reserved(one, other), old::reserved(one, other)] {
            made.compare(|| format!("{one:?} {other:?}"), &told(reserved.clone()), &told(theirs));
        }
    }
    vec![texts, json, made]
}

fn generate(random: &mut Random) -> String {
    let mut bytes = random.pick(SEEDS).as_bytes().to_vec();
    if !random.one_in(4) {
        random.mutate(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The text as a string, or something else where a string should be.
fn in_json(random: &mut Random, text: &str) -> String {
    match random.below(8) {
        0 => format!("{:?}", bytes(random)),
        1 => format!("[{text:?}]"),
        2 => "null".to_owned(),
        3 => random.next().to_string(),
        _ => serde_json::to_string(text).expect("a string"),
    }
}

fn bytes(random: &mut Random) -> [u8; 16] {
    let mut bytes = [0; 16];
    match random.below(4) {
        0 => {}
        1 => bytes[15] = random.below(3) as u8,
        _ => bytes.iter_mut().for_each(|byte| *byte = random.next() as u8),
    }
    bytes
}
