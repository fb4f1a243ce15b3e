//! The control plane: how an operator monitors and controls an agent.
//!
//! One JSON object a line over a Unix socket, as the crate `secureops-ipc` writes it, and repaired where that cannot
//! work: an error is `{"type":"err","code":...,"message":...}`, a success is a flat object without a `type` of its own,
//! a reply echoes the `id` of its request, and `subscribe` is acknowledged before the alerts come.
//!
//! * [`Request`], [`Verb`] - what is asked; [`Reply`] - what comes back; [`Lines`] - how bytes become lines
//! * [`Alert`], [`AuditReport`], [`AuditFinding`], [`Severity`] - what is reported, in the schema of `secureops-core`
//! * [`ControlCode`] - why something was refused
//! * [`ControlClient`] - asks, and waits no longer than allowed
//! * [`log`] - the format of the audit log, and its verification
//!
//! ```no_run
//! use countersign::control::{ControlClient, Verb};
//!
//! let mut client = ControlClient::connect("/run/countersign/control.sock")?;
//! let status = client.request(&Verb::Status)?;
//! println!("{} rules", status["rules"]);
//! # Ok::<(), countersign::control::ControlError>(())
//! ```

mod alert;
mod classification;
mod client;
mod code;
mod error;
mod finding;
mod lines;
pub mod log;
mod object;
mod reply;
mod report;
mod request;
mod severity;
mod timestamp;

pub use alert::Alert;
pub use classification::{MaestroLayer, NistAttackType};
pub use client::{ControlClient, Subscription};
pub use code::ControlCode;
pub use error::ControlError;
pub use finding::AuditFinding;
pub use lines::{Lines, TooLong};
pub use reply::{Reply, alert_frame, error_frame, ok_frame};
pub use report::{AuditReport, AuditSummary, cross_layer_finding, score_of};
pub use request::{Request, RequestError, RequestId, Verb};
pub use severity::Severity;
pub use timestamp::Timestamp;

/// Where an agent answers its operator by default.
pub const DEFAULT_CONTROL_SOCKET_PATH: &str = "/run/countersign/control.sock";
/// The longest line an agent reads.
pub const MAX_REQUEST_LINE: usize = 64 * 1024;
/// The longest line a client reads: a report may have many findings.
pub const MAX_REPLY_LINE: usize = 16 * 1024 * 1024;
