//! The events of an agent for JavaScript.

use countersign::agent::{Agent, AgentEvent};
use countersign::spiffe::workload_api::Method;
use serde_json::json;

use crate::host::mailbox::Mailbox;

/// Delivers the events of an agent under a key.
pub(crate) fn deliver_events(agent: &Agent, mailbox: &Mailbox, key: f64) {
    let sender = mailbox.sender();
    agent.observe(move |event| {
        let value = match event {
            AgentEvent::Issued { caller, method, spiffe_id, .. } => {
                let method = method.name();
                let (pid, uid) = (caller.pid, caller.uid);
                json!({ "type": "issued", "pid": pid, "uid": uid, "method": method, "spiffeId": spiffe_id })
            }
            AgentEvent::Refused { caller, method, code } => {
                // No method was called yet if there was no room for the connection.
                let (method, status) = (method.map_or("", Method::name), code.name());
                json!({ "type": "refused", "pid": caller.pid, "uid": caller.uid, "method": method, "status": status })
            }
            AgentEvent::Killed { by, reason } => json!({ "type": "kill", "by": by, "reason": reason }),
            AgentEvent::Resumed { by } => json!({ "type": "resume", "by": by }),
            AgentEvent::Reloaded { rules } => json!({ "type": "reload", "rules": rules }),
            AgentEvent::ReloadFailed { error } => json!({ "type": "reloaderror", "message": error }),
            AgentEvent::KeysChanged { sequence } => json!({ "type": "keys", "sequence": sequence }),
            _ => return,
        };
        sender.send(key, value.to_string());
    });
}
