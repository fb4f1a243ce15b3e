use std::time::{Duration, SystemTime, UNIX_EPOCH};

use countersign::control::Timestamp;
use proptest::prelude::*;

fn text(text: &str) -> Option<String> {
    Timestamp::parse(text).map(|time| time.to_string())
}

#[test]
fn it_reads_what_rfc_3339_allows_and_writes_one_form() {
    for (given, expected) in [
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000000Z"),
        ("2026-02-03t04:05:06.7z", "2026-02-03T04:05:06.700000000Z"),
        ("2026-02-03 04:05:06+01:30", "2026-02-03T02:35:06.000000000Z"),
        ("2024-02-29T23:59:59.999999999-00:01", "2024-03-01T00:00:59.999999999Z"),
        ("2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000000000Z"),
        ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000000000Z"),
        ("9999-12-31T23:59:59.1234567891Z", "9999-12-31T23:59:59.123456789Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000000Z"),
    ] {
        assert_eq!(text(given).as_deref(), Some(expected), "{given}");
    }
    for broken in [
        "",
        "2026",
        "2026-02-03",
        "2026-02-03T04:05Z",
        "2026-02-03T04:05:06",
        "2026-02-30T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00+0100",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00Z ",
        "+026-01-01T00:00:00Z",
        "2026-01-01X00:00:00Z",
        "2026-01-01T00:00:00é",
    ] {
        assert_eq!(text(broken), None, "{broken}");
    }
}

proptest! {
    #[test]
    fn every_moment_survives_being_written(nanoseconds in 0_u64..u64::MAX / 4) {
        for time in [UNIX_EPOCH + Duration::from_nanos(nanoseconds), UNIX_EPOCH - Duration::from_nanos(nanoseconds)] {
            let moment = Timestamp::from(time);
            prop_assert_eq!(Timestamp::parse(&moment.to_string()), Some(moment));
            prop_assert_eq!(SystemTime::from(moment), time);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,40}") {
        let _ = Timestamp::parse(&text);
    }
}

#[test]
fn it_agrees_with_the_calendar_of_another() {
    // What `date -u -d @N` says.
    for (seconds, expected) in [
        (951_782_400, "2000-02-29T00:00:00"),
        (4_107_542_399, "2100-02-28T23:59:59"),
        (4_107_542_400, "2100-03-01T00:00:00"),
        (1_709_164_800, "2024-02-29T00:00:00"),
    ] {
        let moment = Timestamp::from(UNIX_EPOCH + Duration::from_secs(seconds));
        assert!(moment.to_string().starts_with(expected), "{moment}");
        assert_eq!(moment.unix_seconds(), seconds as i64);
    }
}
