use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::control::{Alert, Severity, Timestamp, alert_frame};

/// How many alerts a subscriber may lag behind.
const CAPACITY: usize = 1024;
/// How many alerts of a severity above INFO are kept besides.
const IMPORTANT: usize = 512;

/// The latest alerts, each serialized once for all subscribers. A subscriber has a place in the row and no queue of its
/// own: a slow one loses the oldest alerts, and learns how many.
pub(in crate::agent) struct AlertBus {
    row: Mutex<Row>,
    /// The number of the last alert.
    latest: watch::Sender<u64>,
    /// The run of the agent: the numbers of alerts begin anew with each.
    pub(in crate::agent) run: String,
}

#[derive(Default)]
struct Row {
    last: u64,
    recent: VecDeque<NumberedFrame>,
    important: VecDeque<NumberedFrame>,
    by_severity: [u64; Severity::ALL.len()],
}

#[derive(Clone)]
struct NumberedFrame {
    seq: u64,
    /// The line for a subscriber.
    text: Arc<str>,
}

/// What a subscriber is sent.
pub(in crate::agent) struct Delivery {
    /// Lines, ready to be sent.
    pub(in crate::agent) frames: String,
    /// The number of the last alert in them.
    pub(in crate::agent) last: u64,
}

impl Default for AlertBus {
    fn default() -> AlertBus {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let run = format!("{:x}-{now:x}", std::process::id());
        AlertBus { row: Mutex::default(), latest: watch::Sender::new(0), run }
    }
}

impl AlertBus {
    /// Publishes alerts. Subscribers are woken once for all of them.
    pub(in crate::agent) fn publish(&self, alerts: Vec<Alert>) {
        if alerts.is_empty() {
            return;
        }
        let mut row = self.lock();
        for mut alert in alerts {
            row.last += 1;
            row.by_severity[alert.severity as usize] += 1;
            alert.seq = Some(row.last);
            let frame = NumberedFrame { seq: row.last, text: alert_frame(&alert).into() };
            if alert.severity != Severity::Info {
                keep(&mut row.important, frame.clone(), IMPORTANT);
            }
            keep(&mut row.recent, frame, CAPACITY);
        }
        let last = row.last;
        drop(row);
        self.latest.send_replace(last);
    }

    /// Changes with every new alert.
    pub(in crate::agent) fn subscribe(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    /// The number of the last alert.
    pub(in crate::agent) fn last(&self) -> u64 {
        self.lock().last
    }

    /// How many there were of each severity.
    pub(in crate::agent) fn by_severity(&self) -> [u64; Severity::ALL.len()] {
        self.lock().by_severity
    }

    /// The alerts behind the one of this number, at most so many. In front of them stands how many are no longer kept.
    pub(in crate::agent) fn after(&self, seq: u64, most: usize) -> Option<Delivery> {
        let row = self.lock();
        if seq >= row.last {
            return None;
        }
        let mut delivery = Delivery { frames: String::new(), last: seq };
        let first = row.recent.front().map_or(row.last + 1, |oldest| oldest.seq);
        if first > seq + 1 {
            delivery.frames += &alert_frame(&missed(first - seq - 1));
            delivery.last = first - 1;
        }
        let start = (delivery.last + 1 - first) as usize;
        for frame in row.recent.iter().skip(start).take(most) {
            delivery.frames += &frame.text;
            delivery.last = frame.seq;
        }
        Some(delivery)
    }

    /// The last alerts that are kept, the oldest first, as JSON.
    pub(in crate::agent) fn recent(&self, most: usize) -> String {
        let row = self.lock();
        let oldest = row.recent.front().map_or(0, |frame| frame.seq);
        let before = row.important.iter().filter(|frame| frame.seq < oldest);
        list(&before.chain(&row.recent).collect::<Vec<_>>(), most)
    }

    /// The last alerts of a severity above INFO, the oldest first, as JSON.
    pub(in crate::agent) fn important(&self, most: usize) -> String {
        list(&self.lock().important.iter().collect::<Vec<_>>(), most)
    }

    fn lock(&self) -> MutexGuard<'_, Row> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn list(alerts: &[&NumberedFrame], most: usize) -> String {
    let mut list = String::from("[");
    for frame in &alerts[alerts.len().saturating_sub(most)..] {
        if list.len() > 1 {
            list.push(',');
        }
        // A frame is an alert with a type, and a line feed behind it.
        let members = frame.text.trim_end().strip_prefix("{\"type\":\"alert\",").unwrap_or("}");
        list.push('{');
        list += members;
    }
    list.push(']');
    list
}

fn keep(row: &mut VecDeque<NumberedFrame>, frame: NumberedFrame, capacity: usize) {
    if row.len() == capacity {
        row.pop_front();
    }
    row.push_back(frame);
}

/// Stands for alerts that are not kept any more.
fn missed(count: u64) -> Alert {
    Alert {
        timestamp: Timestamp::now(),
        severity: Severity::Low,
        monitor: "subscription".into(),
        message: format!("{count} alerts were dropped: they arrived faster than they were read"),
        details: None,
        seq: None,
        missed: Some(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(severity: Severity) -> Alert {
        Alert { severity, missed: None, message: "m".into(), ..missed(0) }
    }

    fn seqs(frames: &str) -> Vec<u64> {
        let numbers = frames.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        numbers.map(|alert| alert["seq"].as_u64().or(alert["missed"].as_u64()).expect("a number")).collect()
    }

    #[test]
    fn a_slow_subscriber_learns_what_it_missed() {
        let bus = AlertBus::default();
        bus.publish((0..CAPACITY as u64 + 10).map(|_| alert(Severity::Info)).collect());
        let delivery = bus.after(0, 3).expect("something");
        assert_eq!((seqs(&delivery.frames), delivery.last), (vec![10, 11, 12, 13], 13));
        let delivery = bus.after(13, usize::MAX).expect("something");
        assert_eq!((delivery.last, seqs(&delivery.frames).len()), (CAPACITY as u64 + 10, CAPACITY - 3));
        assert!(bus.after(delivery.last, 1).is_none());
        // A number from a later run of the agent than this.
        assert!(bus.after(u64::MAX, 1).is_none());
    }

    #[test]
    fn important_alerts_are_kept_longer() {
        let bus = AlertBus::default();
        bus.publish(vec![alert(Severity::Critical)]);
        bus.publish((0..CAPACITY).map(|_| alert(Severity::Info)).collect());
        let list: Vec<Alert> = serde_json::from_str(&bus.recent(usize::MAX)).expect("alerts");
        assert_eq!((list.len(), list[0].severity, list[0].seq), (CAPACITY + 1, Severity::Critical, Some(1)));
        assert_eq!(serde_json::from_str::<Vec<Alert>>(&bus.recent(2)).expect("alerts").len(), 2);
        assert_eq!(bus.recent(0), "[]");
        assert_eq!(bus.by_severity(), [1, 0, 0, 0, CAPACITY as u64]);
    }
}
