//! Any JSON: values as Rust holds them, and texts that are almost JSON.

use serde_json::{Map, Number, Value};

use crate::random::Random;

const TEXTS: &[&str] =
    &["", "a", "kind", "__proto__", "ä🦊", "\0\u{1f}\u{7f}\"\\/\n\u{2028}", "10", "9", "constructor"];

pub fn text(random: &mut Random) -> String {
    (*random.pick(TEXTS)).to_owned()
}

pub fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 7 } else { 9 }) {
        0 => Value::Null,
        1 => Value::Bool(random.one_in(2)),
        2 => Value::from(random.next()),
        3 => Value::from(random.next() as i64),
        4 => Value::from(random.below(3) as i64 - 1),
        5 => Number::from_f64(f64::from_bits(random.next())).map_or(Value::from(1.0), Value::Number),
        6 => Value::String(text(random)),
        7 => (0..random.below(4)).map(|_| value(random, depth - 1)).collect(),
        _ => Value::Object(object(random, depth - 1)),
    }
}

pub fn object(random: &mut Random, depth: usize) -> Map<String, Value> {
    (0..random.below(5)).map(|_| (text(random), value(random, depth))).collect()
}
