use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::watch;
use zeroize::Zeroizing;

use super::dev;
use super::error::RulesError;
use super::ruleset::RuleSet;
use super::source::{DEV_TRUST_DOMAIN, RulesSource, WorkloadOverrides};
use super::workload_api::{WorkloadConfig, WorkloadSettings};
use crate::agent::decisions::{AgentEvent, EventBus};
use crate::agent::fs::file_state::FileState;
use crate::agent::log;
use crate::spiffe::TrustDomain;

/// The rules in force, and where newer ones come from.
pub(in crate::agent) struct RuleStore {
    source: RulesSource,
    overrides: WorkloadOverrides,
    current: RwLock<Arc<RulesSnapshot>>,
    /// Ticks when there is a new snapshot.
    snapshots: watch::Sender<u64>,
    events: Arc<EventBus>,
    /// The state of the file when it was last tried, whether or not it was taken. Held while loading.
    tried: Mutex<Option<FileState>>,
}

/// One snapshot of the rules, and what is read together with it.
pub(in crate::agent) struct RulesSnapshot {
    pub(in crate::agent) rules: RuleSet,
    pub(in crate::agent) hostname: String,
    /// How the Workload API runs; `None` when it is not served.
    pub(in crate::agent) workload: Option<WorkloadConfig>,
}

/// Rules that were read, and the state of their file (if they come from one) at that moment.
pub(in crate::agent) struct ReadRules {
    source: RulesSource,
    overrides: WorkloadOverrides,
    pub(in crate::agent) snapshot: RulesSnapshot,
    state: Option<FileState>,
}

/// What a reload brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadReport {
    /// How many rules are in force now.
    pub rules: usize,
    /// What is doubtful about the file, though it was taken.
    pub warnings: Vec<String>,
}

impl ReadRules {
    /// Reads the rules an agent starts with. Warnings about them go to the log of the process.
    pub(in crate::agent) fn first(source: RulesSource, overrides: WorkloadOverrides) -> Result<ReadRules, RulesError> {
        let (snapshot, state) = read(&source, &overrides)?;
        log_warnings(&source, &snapshot.rules);
        Ok(ReadRules { source, overrides, snapshot, state })
    }
}

impl RuleStore {
    /// A store that begins with rules that were read already, and publishes when others follow.
    pub(in crate::agent) fn new(first: ReadRules, events: Arc<EventBus>) -> RuleStore {
        let ReadRules { source, overrides, snapshot, state } = first;
        RuleStore {
            source,
            overrides,
            current: RwLock::new(Arc::new(snapshot)),
            snapshots: watch::Sender::new(0),
            events,
            tried: Mutex::new(state),
        }
    }

    /// Receives a tick for every new snapshot.
    pub(in crate::agent) fn subscribe(&self) -> watch::Receiver<u64> {
        self.snapshots.subscribe()
    }

    /// Has all subscribers evaluate the rules again.
    pub(in crate::agent) fn look_again(&self) {
        self.snapshots.send_modify(|snapshots| *snapshots += 1);
    }

    pub(in crate::agent) fn current(&self) -> Arc<RulesSnapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The file that is worth watching, if the rules come from one.
    pub(in crate::agent) fn file(&self) -> Option<&Path> {
        match &self.source {
            RulesSource::File(path) => Some(path),
            RulesSource::Text(_) | RulesSource::Dev { .. } => None,
        }
    }

    /// Is the file in another state than when it was last tried?
    pub(in crate::agent) fn is_stale(&self, now: Option<FileState>) -> bool {
        *self.tried.lock().unwrap_or_else(PoisonError::into_inner) != now
    }

    /// Reads the rules again. If they are broken or not trusted, the old ones stay in force.
    pub(in crate::agent) fn reload(&self) -> Result<ReloadReport, RulesError> {
        match self.source {
            RulesSource::File(_) => self.take(&self.source),
            // There is no file to read again. The rules in force may have been replaced since.
            RulesSource::Text(_) | RulesSource::Dev { .. } => {
                let current = self.current();
                let warnings = current.rules.warnings().to_vec();
                Ok(ReloadReport { rules: current.rules.rules().len(), warnings })
            }
        }
    }

    /// Replaces the rules by this text. If it is broken the old rules stay in force.
    pub(in crate::agent) fn replace(&self, text: &str) -> Result<ReloadReport, RulesError> {
        self.take(&RulesSource::Text(Zeroizing::new(text.to_owned())))
    }

    fn take(&self, source: &RulesSource) -> Result<ReloadReport, RulesError> {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let read = read(source, &self.overrides).and_then(|(snapshot, state)| {
            snapshot.may_follow(&self.current()).map_err(|error| match self.file() {
                Some(path) => error.in_file(path),
                None => error,
            })?;
            Ok((snapshot, state))
        });
        let (snapshot, state) = match read {
            Ok(read) => read,
            Err(error) => {
                *tried = self.file().and_then(|path| FileState::of(path).ok());
                tracing::error!(target: log::TARGET, %error, "the new rules are not taken, the old ones stay in force");
                self.events.publish(|| AgentEvent::ReloadFailed { error: error.to_string() });
                return Err(error);
            }
        };
        let rules = &snapshot.rules;
        let report = ReloadReport { rules: rules.rules().len(), warnings: rules.warnings().to_vec() };
        log_warnings(&self.source, rules);
        *tried = state;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
        self.snapshots.send_modify(|snapshots| *snapshots += 1);
        tracing::info!(target: log::TARGET, rules = report.rules, "rules reloaded");
        self.events.publish(|| AgentEvent::Reloaded { rules: report.rules });
        Ok(report)
    }
}

impl RulesSnapshot {
    /// Sockets, keys and names were made from these settings, and cannot be changed while they are in use.
    fn may_follow(&self, last: &RulesSnapshot) -> Result<(), RulesError> {
        let fixed =
            |what: &str| Err(RulesError::whole(format!("{what} of [workload_api] changed: that takes a restart")));
        match (&self.workload, &last.workload) {
            (None, None) => Ok(()),
            (Some(new), Some(old)) if new.trust_domain != old.trust_domain => fixed("trust_domain"),
            (Some(new), Some(old)) if new.socket != old.socket => fixed("socket"),
            (Some(new), Some(old)) if new.state_dir != old.state_dir => fixed("state_dir"),
            (Some(_), Some(_)) => Ok(()),
            _ => Err(RulesError::whole("[workload_api] came or went: that takes a restart")),
        }
    }
}

fn read(source: &RulesSource, overrides: &WorkloadOverrides) -> Result<(RulesSnapshot, Option<FileState>), RulesError> {
    let (rules, state) = match source {
        RulesSource::File(path) => RuleSet::load_with_state(path).map(|(rules, state)| (rules, Some(state)))?,
        RulesSource::Text(text) => (RuleSet::parse(text)?, None),
        RulesSource::Dev { exe } => (dev::rules(exe.as_deref(), &dev_trust_domain(overrides)?)?, None),
    };
    let workload = match (rules.workload_api(), source) {
        (Some(settings), _) => Some(settings.resolve(overrides)?),
        (None, RulesSource::Dev { .. }) => {
            let trust_domain = Some(dev_trust_domain(overrides)?);
            Some(WorkloadSettings { trust_domain, ..WorkloadSettings::default() }.resolve(overrides)?)
        }
        (None, _) if overrides.ask_for_one() => Some(WorkloadSettings::default().resolve(overrides)?),
        (None, _) => None,
    };
    if let Some(config) = &workload {
        rules.must_live_in(&config.trust_domain)?;
    }
    Ok((RulesSnapshot { rules, hostname: hostname(), workload }, state))
}

fn dev_trust_domain(overrides: &WorkloadOverrides) -> Result<TrustDomain, RulesError> {
    match &overrides.trust_domain {
        Some(name) => Ok(name.clone()),
        None => TrustDomain::parse(DEV_TRUST_DOMAIN).map_err(|error| RulesError::whole(error.to_string())),
    }
}

fn log_warnings(source: &RulesSource, rules: &RuleSet) {
    for warning in rules.warnings() {
        if let RulesSource::File(path) = source {
            tracing::warn!(target: log::TARGET, file = %path.display(), "{warning}");
        }
    }
}

fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
