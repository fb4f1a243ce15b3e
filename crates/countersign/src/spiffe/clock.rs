//! Points in time as whole seconds since 1970: what certificates and tokens are written in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 9999-12-31T23:59:59Z, the last moment an X.509 certificate can name (RFC 5280 4.1.2.5.2).
pub(crate) const LAST_MOMENT: i64 = 253_402_300_799;

/// The given time, or now, in seconds since 1970 (negative before).
pub(crate) fn unix_seconds(time: Option<SystemTime>) -> i64 {
    let time = time.unwrap_or_else(SystemTime::now);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => {
            let before = before.duration();
            let whole = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
            -whole - i64::from(before.subsec_nanos() > 0)
        }
    }
}

/// Seconds since 1970 as a system time. Values outside of what certificates and tokens may hold are brought to the
/// edge.
pub(crate) fn system_time(seconds: i64) -> SystemTime {
    let seconds = seconds.clamp(-LAST_MOMENT, LAST_MOMENT);
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_down_on_both_sides_of_1970() {
        let half = Duration::from_millis(500);
        assert_eq!(unix_seconds(Some(UNIX_EPOCH + half)), 0);
        assert_eq!(unix_seconds(Some(UNIX_EPOCH - half)), -1);
        assert_eq!(unix_seconds(Some(UNIX_EPOCH - Duration::from_secs(2))), -2);
        assert_eq!(system_time(-2), UNIX_EPOCH - Duration::from_secs(2));
    }
}
