//! Setting up the log of a process that is an agent and nothing else.
//!
//! The agent itself only emits `tracing` events; a host with a subscriber of its own does not call [`init`].

use std::io;

use tracing::level_filters::{LevelFilter, ParseLevelFilterError};
use tracing_subscriber::fmt;
use tracing_subscriber::util::SubscriberInitExt;

/// The target of every event the agent emits.
pub(super) const TARGET: &str = "countersign::agent";

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// There is no such level.
    #[error("log level: {0}")]
    Level(#[from] ParseLevelFilterError),
    /// This process has a subscriber already.
    #[error("this process has a log already")]
    Taken(#[from] tracing_subscriber::util::TryInitError),
}

/// Sends the log to stderr for the rest of the process, from this level on: `off`, `error`, `warn`, `info`, `debug` or
/// `trace`.
pub fn init(format: LogFormat, level: &str) -> Result<(), LogError> {
    let lines = fmt().with_max_level(level.parse::<LevelFilter>()?).with_writer(io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(false).finish().try_init()?,
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}
