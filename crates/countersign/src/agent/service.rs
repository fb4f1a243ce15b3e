//! What is said to and taken from a service manager (systemd's protocols). Elsewhere there is none.

use std::os::unix::net::UnixListener;

use super::listener::ListenError;

/// The listening socket the service manager made for us, if it made one.
#[cfg(target_os = "linux")]
pub(super) fn activated() -> Result<Option<UnixListener>, ListenError> {
    let mut offered = listenfd::ListenFd::from_env();
    match offered.len() {
        0 => Ok(None),
        1 => offered.take_unix_listener(0).map_err(|error| ListenError::Activation(error.to_string())),
        more => Err(ListenError::Activation(format!("{more} sockets are offered, expected one"))),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn activated() -> Result<Option<UnixListener>, ListenError> {
    Ok(None)
}

/// A change in what we are doing.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    Ready,
    Reloading,
    Stopping,
}

/// Tells the service manager, if there is one. That it cannot be told is no reason to stop.
#[cfg(target_os = "linux")]
pub(super) fn tell(change: Change) {
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
pub(super) fn tell(_change: Change) {}
