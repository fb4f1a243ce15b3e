//! An agent for tests: in memory, in milliseconds, and wrong on command.
//!
//! ```
//! use countersign::agent::testing::{Fault, Plan, TestAgent};
//! use countersign::spiffe::workload_api::{Code, Status};
//!
//! let agent = TestAgent::start(&["spiffe://example.org/billing"])?;
//! let endpoint = agent.endpoint();       // every process of this user gets the SVIDs
//! agent.faults().plan(Plan {
//!     method: None,
//!     times: Some(2),
//!     fault: Fault::Status(Status::new(Code::Unavailable, "not now")),
//! });
//! # Ok::<(), countersign::agent::AgentError>(())
//! ```

mod ca;
mod call_record;
mod fault;
mod faults;
mod flaw;
mod mangle;

use std::fmt::Write as _;
use std::ops::Deref;
use std::sync::Arc;

pub use self::ca::TestCa;
use self::faults::FaultInterceptor;
pub use self::flaw::{JwtFlaw, X509Flaw};
use crate::agent::agent::{Agent, AgentError};

pub use self::call_record::CallRecord;
pub use self::fault::{Fault, Plan};
pub use self::faults::Faults;
use crate::agent::config::options::AgentOptions;
pub use crate::agent::workload::interceptor::Order;
pub use crate::spiffe::workload_api::Method;

/// An [`Agent`] with faults that a test chooses.
pub struct TestAgent {
    agent: Agent,
    faults: Arc<Faults>,
    /// Removed with the agent.
    directory: Option<std::path::PathBuf>,
}

impl TestAgent {
    /// Gives these SPIFFE IDs, all of one trust domain, to every process of this user.
    pub fn start(spiffe_ids: &[&str]) -> Result<TestAgent, AgentError> {
        TestAgent::start_with(TestAgent::options(&TestAgent::rules(spiffe_ids)))
    }

    /// Rules that give these SPIFFE IDs to every process of this user. None: no process gets any.
    pub fn rules(spiffe_ids: &[&str]) -> String {
        let uid = rustix::process::geteuid().as_raw();
        // A rules file has a rule at least.
        let mut text = String::from("[[rule]]\nidentity = \"NOBODY\"\nmatch = { uid = 4294967294 }\n");
        for id in spiffe_ids {
            let _ = write!(text, "[[rule]]\nmatch = {{ uid = {uid} }}\nspiffe_id = \"{id}\"\n");
        }
        text
    }

    /// Options of an agent on these rules, with everything in memory. The trust domain is that of the rules, or
    /// `example.org`.
    pub fn options(rules: &str) -> AgentOptions {
        AgentOptions::default().rules_text(rules).state_in_memory()
    }

    /// Starts an agent with these options. Sockets that are not named are made in a private directory.
    pub fn start_with(mut options: AgentOptions) -> Result<TestAgent, AgentError> {
        let os = |what| move |source| AgentError::Os { what, source };
        let mut directory = None;
        if options.socket.is_none() || options.workload_socket.is_none() {
            let place = crate::agent::config::dev::private_directory().map_err(os("making a private directory"))?;
            options.socket.get_or_insert_with(|| place.join("whoami.sock"));
            options.workload_socket.get_or_insert_with(|| place.join("workload.sock"));
            directory = Some(place);
        }
        if let crate::agent::rules::source::RulesSource::Text(text) = &options.rules
            && options.trust_domain.is_none()
        {
            options.trust_domain = crate::agent::rules::ruleset::RuleSet::parse(text)?.some_trust_domain();
        }
        let faults = Arc::new(Faults::default());
        match Agent::start_with(options, Arc::new(FaultInterceptor(Arc::clone(&faults)))) {
            Ok(agent) => Ok(TestAgent { agent, faults, directory }),
            Err(error) => {
                if let Some(directory) = directory {
                    let _ = std::fs::remove_dir(directory);
                }
                Err(error)
            }
        }
    }

    /// Gives these SPIFFE IDs from now on. None takes the identity away from everybody.
    pub fn set_spiffe_ids(&self, spiffe_ids: &[&str]) -> Result<(), AgentError> {
        self.agent.replace_rules(&TestAgent::rules(spiffe_ids))?;
        Ok(())
    }

    /// What goes wrong, and what was asked.
    pub fn faults(&self) -> &Arc<Faults> {
        &self.faults
    }

    /// Where it is found: `unix:` and a path.
    pub fn endpoint(&self) -> String {
        self.agent.endpoint().unwrap_or_default()
    }

    /// Ends it.
    pub fn close(&self) {
        self.faults.freeze(false);
        self.agent.close();
    }
}

impl Deref for TestAgent {
    type Target = Agent;

    fn deref(&self) -> &Agent {
        &self.agent
    }
}

impl Drop for TestAgent {
    fn drop(&mut self) {
        self.close();
        if let Some(directory) = &self.directory {
            let _ = std::fs::remove_dir(directory);
        }
    }
}
