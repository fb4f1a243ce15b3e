//! JSON.parse would round integers beyond 2^53: they travel as text, with the paths where they belong.

use serde_json::{Value, json};

/// The largest integer a JavaScript number holds exactly.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Finds them in a value: `[[path, digits], ...]`, each path starting with this one.
pub fn find(value: &Value, path: &mut Vec<Value>, found: &mut Vec<Value>) {
    match value {
        Value::Number(number) => {
            let large = number.as_u64().is_some_and(|number| number > MAX_SAFE_INTEGER)
                || number.as_i64().is_some_and(|number| number < -(MAX_SAFE_INTEGER as i64));
            if large {
                found.push(json!([path, number.to_string()]));
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.into());
                find(item, path, found);
                path.pop();
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                path.push(name.as_str().into());
                find(field, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}
