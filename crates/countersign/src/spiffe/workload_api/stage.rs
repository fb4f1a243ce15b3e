use std::sync::atomic::{AtomicUsize, Ordering};

/// How far a call has come: what it was doing when its time was over.
#[derive(Default)]
pub(super) struct Stage(AtomicUsize);

const STAGES: [&str; 3] = [Stage::CONNECTING, Stage::WAITING, Stage::READING];

impl Stage {
    /// Nothing has answered at the endpoint, or another call is making the connection.
    pub const CONNECTING: &str = "connecting";
    /// The connection is there; the server has said nothing about this call, or has not taken it yet.
    pub const WAITING: &str = "waiting for the response";
    /// The response has begun.
    pub const READING: &str = "reading the response";

    /// It has come to this one.
    pub fn enter(&self, stage: &'static str) {
        self.0.store(STAGES.iter().position(|name| *name == stage).unwrap_or(0), Ordering::Relaxed);
    }

    /// Where it is.
    pub fn name(&self) -> &'static str {
        STAGES.get(self.0.load(Ordering::Relaxed)).copied().unwrap_or(Stage::CONNECTING)
    }
}
