//! Times as JavaScript has them: milliseconds since 1970, or of a duration.

use std::time::{Duration, SystemTime};

/// A point in time. What is outside of what the system's clock can say stays at the edge that is nearest.
pub fn time(milliseconds: f64) -> SystemTime {
    let distance = duration(milliseconds.abs());
    let time = if milliseconds < 0.0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A duration. JavaScript has made sure that the number is one.
pub fn duration(milliseconds: f64) -> Duration {
    Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or_default()
}
