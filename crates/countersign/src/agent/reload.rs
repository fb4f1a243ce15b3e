use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::options::RulesSource;
use super::rules::{FileState, RuleSet};
use super::rules_error::RulesError;
use super::{dev, log};

/// The rules an agent goes by, and where newer ones come from.
pub(super) struct RulesInForce {
    source: RulesSource,
    current: RwLock<Arc<Edition>>,
    /// The state of the file when it was last tried, whether or not it was taken. Held while loading.
    tried: Mutex<Option<FileState>>,
}

/// One edition of the rules, and what is read anew with it.
pub(super) struct Edition {
    pub(super) rules: RuleSet,
    pub(super) hostname: String,
}

/// What a reload brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadReport {
    /// How many rules are in force now.
    pub rules: usize,
    /// What is doubtful about the file, though it was taken.
    pub warnings: Vec<String>,
}

impl RulesInForce {
    pub(super) fn open(source: RulesSource) -> Result<RulesInForce, RulesError> {
        let (rules, state) = read(&source)?;
        log_warnings(&source, &rules);
        Ok(RulesInForce {
            source,
            current: RwLock::new(Arc::new(Edition { rules, hostname: hostname() })),
            tried: Mutex::new(state),
        })
    }

    pub(super) fn current(&self) -> Arc<Edition> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The file that is worth watching, if the rules come from one.
    pub(super) fn file(&self) -> Option<&Path> {
        match &self.source {
            RulesSource::File(path) => Some(path),
            RulesSource::Text(_) | RulesSource::Dev { .. } => None,
        }
    }

    /// Is the file in another state than when it was last tried?
    pub(super) fn is_stale(&self, now: Option<FileState>) -> bool {
        *self.tried.lock().unwrap_or_else(PoisonError::into_inner) != now
    }

    /// Reads the rules anew. If they are broken the old ones stay in force.
    pub(super) fn reload(&self) -> Result<ReloadReport, RulesError> {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let (rules, state) = match read(&self.source) {
            Ok(read) => read,
            Err(error) => {
                *tried = self.file().and_then(|path| FileState::of(path).ok());
                tracing::error!(target: log::TARGET, %error, "the new rules are not taken, the old ones stay in force");
                return Err(error);
            }
        };
        let report = ReloadReport { rules: rules.rules().len(), warnings: rules.warnings().to_vec() };
        log_warnings(&self.source, &rules);
        *tried = state;
        let edition = Arc::new(Edition { rules, hostname: hostname() });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = edition;
        tracing::info!(target: log::TARGET, rules = report.rules, "rules reloaded");
        Ok(report)
    }
}

fn read(source: &RulesSource) -> Result<(RuleSet, Option<FileState>), RulesError> {
    match source {
        RulesSource::File(path) => RuleSet::load_with_state(path).map(|(rules, state)| (rules, Some(state))),
        RulesSource::Text(text) => RuleSet::parse(text).map(|rules| (rules, None)),
        RulesSource::Dev { exe } => Ok((dev::rules(exe.as_deref()), None)),
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
