//! Socket activation (`LISTEN_FDS`): sockets that the service manager has made and keeps.

use super::bind::{BoundSocket, ListenError};

/// The `FileDescriptorName=` of the socket of the Workload API.
const WORKLOAD: &str = "workload";
/// The same for the control socket.
const CONTROL: &str = "control";

/// The listening sockets that the service manager made for the agent.
#[derive(Default)]
pub(in crate::agent) struct Activated {
    pub(in crate::agent) whoami: Option<BoundSocket>,
    pub(in crate::agent) workload: Option<BoundSocket>,
    pub(in crate::agent) control: Option<BoundSocket>,
}

/// Takes them over. The one named `workload` is the Workload API's, the one named `control` the control socket; any
/// other is the whoami socket.
#[cfg(target_os = "linux")]
pub(in crate::agent) fn activated() -> Result<Activated, ListenError> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names: Vec<&str> = names.split(':').collect();
    let mut offered = listenfd::ListenFd::from_env();
    let mut activated = Activated::default();
    for index in 0..offered.len() {
        let (slot, what) = match names.get(index) {
            Some(&WORKLOAD) => (&mut activated.workload, "for the Workload API"),
            Some(&CONTROL) => (&mut activated.control, "for the operator"),
            _ => (&mut activated.whoami, "for the whoami protocol"),
        };
        let socket = offered.take_unix_listener(index).map_err(|error| ListenError::Activation(error.to_string()))?;
        let socket = socket.ok_or_else(|| ListenError::Activation("a socket is not there".into()))?;
        if slot.replace(BoundSocket::adopt(socket)?).is_some() {
            return Err(ListenError::Activation(format!(
                "several sockets are offered {what}, expected one \
                 (FileDescriptorName={WORKLOAD} and {CONTROL} name the others)"
            )));
        }
    }
    Ok(activated)
}

#[cfg(not(target_os = "linux"))]
pub(in crate::agent) fn activated() -> Result<Activated, ListenError> {
    Ok(Activated::default())
}
