//! What the agent tells a service manager (`sd_notify`). Outside Linux there is none.

/// A change of what the agent does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    Ready,
    Reloading,
    Stopping,
}

/// Tells the service manager, if there is one. A failure to do so is no reason to stop.
#[cfg(target_os = "linux")]
pub(super) fn notify(change: Change) {
    use sd_notify::NotifyState;
    let _ = match change {
        Change::Ready => sd_notify::notify(&[NotifyState::Ready]),
        Change::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
        Change::Reloading => match NotifyState::monotonic_usec_now() {
            Ok(now) => sd_notify::notify(&[NotifyState::Reloading, now]),
            Err(error) => Err(error),
        },
    };
}

#[cfg(not(target_os = "linux"))]
pub(super) fn notify(_change: Change) {}
