//! The bundles of foreign trust domains: from files, which are watched, and from endpoints, which the host fetches.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::agent::fs::file_state::FileState;
use crate::agent::fs::trust_policy::BUNDLE;
use crate::agent::fs::trusted;
use crate::agent::log;
use crate::agent::rules::workload_api::Federation;
use crate::spiffe::limits::{JWKS_BYTES, PEM_BYTES};
use crate::spiffe::{JwtBundle, SpiffeBundle, TrustDomain, X509Bundle};

/// What is known of foreign trust domains. A bundle that cannot be read any more leaves the last good one in force.
#[derive(Default)]
pub(super) struct Federations(Mutex<BTreeMap<TrustDomain, Known>>);

#[derive(Default)]
struct Known {
    file: Option<PathBuf>,
    /// The state of the file when it was last tried.
    tried: Option<FileState>,
    from_file: Option<SpiffeBundle>,
    /// The bundle of an endpoint has precedence over that of the file.
    from_endpoint: Option<SpiffeBundle>,
}

impl Federations {
    /// Reads the files that changed. True if a bundle is different.
    pub(super) fn look(&self, wanted: &BTreeMap<TrustDomain, Federation>) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.len();
        known.retain(|name, _| wanted.contains_key(name));
        let mut changed = known.len() != before;
        for (name, federation) in wanted {
            let entry = known.entry(name.clone()).or_default();
            if entry.file != federation.bundle_file {
                *entry = Known { file: federation.bundle_file.clone(), ..Known::default() };
                changed = true;
            }
            if federation.endpoint.is_none() {
                changed |= entry.from_endpoint.take().is_some();
            }
            let Some(path) = &entry.file else { continue };
            let now = FileState::of(path).ok();
            if now == entry.tried && (now.is_some() || entry.from_file.is_some()) {
                continue;
            }
            let first_try = entry.tried.is_none();
            entry.tried = now;
            match read_bundle_file(name, path) {
                Ok(bundle) if entry.from_file.as_ref() != Some(&bundle) => {
                    entry.from_file = Some(bundle);
                    changed = true;
                    let (trust_domain, file) = (name.name(), path.display());
                    tracing::info!(target: log::TARGET, trust_domain, %file, "took a foreign bundle");
                }
                Ok(_) => {}
                // Not every second, of a file that stays away.
                Err(_) if now.is_none() && !first_try => {}
                Err(error) => {
                    let (trust_domain, file) = (name.name(), path.display());
                    tracing::error!(target: log::TARGET, trust_domain, %file, error, "a foreign bundle is not taken");
                }
            }
        }
        changed
    }

    /// Takes the bundle of an endpoint. `None`: no rule wants it, or it is older than what is known.
    pub(super) fn take(&self, name: &TrustDomain, bundle: SpiffeBundle) -> Option<bool> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.get_mut(name)?;
        let last = entry.from_endpoint.as_ref();
        // SPIFFE Federation 4: the sequence number only grows.
        if let (Some(old), Some(new)) = (last.and_then(SpiffeBundle::sequence), bundle.sequence())
            && new < old
        {
            return None;
        }
        let changed = last != Some(&bundle);
        entry.from_endpoint = Some(bundle);
        Some(changed)
    }

    pub(super) fn bundles(&self) -> BTreeMap<TrustDomain, SpiffeBundle> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bundle = |(name, entry): (&TrustDomain, &Known)| {
            let bundle = entry.from_endpoint.as_ref().or(entry.from_file.as_ref())?;
            Some((name.clone(), bundle.clone()))
        };
        known.iter().filter_map(bundle).collect()
    }
}

/// A SPIFFE bundle document, or the X.509 authorities as PEM.
fn read_bundle_file(name: &TrustDomain, path: &Path) -> Result<SpiffeBundle, String> {
    let limit = JWKS_BYTES.max(PEM_BYTES) as u64;
    let read = trusted::open(path, &BUNDLE).and_then(|file| file.read(limit));
    let bytes = read.map_err(|problem| problem.about(path))?;
    parse_bundle(name, &bytes)
}

/// The same from text.
fn parse_bundle(name: &TrustDomain, text: &[u8]) -> Result<SpiffeBundle, String> {
    if text.trim_ascii_start().starts_with(b"{") {
        return SpiffeBundle::parse(name.clone(), text).map_err(|error| error.to_string());
    }
    let x509 = X509Bundle::from_pem(name.clone(), text).map_err(|error| error.to_string())?;
    SpiffeBundle::from_bundles(x509, JwtBundle::new(name.clone())).map_err(|error| error.to_string())
}
