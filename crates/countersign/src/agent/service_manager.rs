//! What is said to and taken from a service manager (systemd's protocols). Elsewhere there is none.

use std::os::unix::net::UnixListener;

use crate::agent::endpoint::bind::ListenError;

/// The `FileDescriptorName=` of the socket of the Workload API.
const WORKLOAD: &str = "workload";
/// That of the control socket.
const CONTROL: &str = "control";

/// The listening sockets the service manager made for us.
#[derive(Default)]
pub(super) struct Activated {
    pub(super) whoami: Option<UnixListener>,
    pub(super) workload: Option<UnixListener>,
    pub(super) control: Option<UnixListener>,
}

/// Takes them over. The one called `workload` is that of the Workload API, the one called `control` that of the operator;
/// another one, whatever its name, is for who asks who it is.
#[cfg(target_os = "linux")]
pub(super) fn activated() -> Result<Activated, ListenError> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names: Vec<&str> = names.split(':').collect();
    let mut offered = listenfd::ListenFd::from_env();
    let mut activated = Activated::default();
    for index in 0..offered.len() {
        let (place, what) = match names.get(index) {
            Some(&WORKLOAD) => (&mut activated.workload, "for the Workload API"),
            Some(&CONTROL) => (&mut activated.control, "for the operator"),
            _ => (&mut activated.whoami, "for who asks who it is"),
        };
        let socket = offered.take_unix_listener(index).map_err(|error| ListenError::Activation(error.to_string()))?;
        if place.replace(socket.ok_or_else(|| ListenError::Activation("a socket is not there".into()))?).is_some() {
            let message = format!(
                "several sockets are offered {what}, expected one (FileDescriptorName={WORKLOAD} and {CONTROL} name the others)"
            );
            return Err(ListenError::Activation(message));
        }
    }
    Ok(activated)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn activated() -> Result<Activated, ListenError> {
    Ok(Activated::default())
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
