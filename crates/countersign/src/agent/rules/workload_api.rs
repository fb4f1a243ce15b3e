use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;

use super::error::RulesError;
use super::schema::{FederationForm, WorkloadApiForm};
use super::source::{StateLocation, WorkloadOverrides};
use super::svid_entry::lifetime;
use crate::spiffe::{SpiffeId, TrustDomain};

/// The socket of the Workload API by default.
pub const DEFAULT_WORKLOAD_SOCKET_PATH: &str = "/run/countersign/workload.sock";
/// Where the keys of the authority are by default.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/countersign";

/// How long a key lives by default: peers have ten days to notice the next one.
pub const DEFAULT_CA_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

const X509_SVID_TTL: Duration = Duration::from_secs(3600);
const JWT_SVID_TTL: Duration = Duration::from_secs(300);

/// The table `[workload_api]` of a rules file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkloadSettings {
    /// The trust domain this machine is the authority of.
    pub trust_domain: Option<TrustDomain>,
    /// The socket.
    pub socket: Option<PathBuf>,
    /// Where the keys are kept.
    pub state_dir: Option<PathBuf>,
    /// How long a root and a key for tokens live.
    pub ca_ttl: Option<Duration>,
    /// How long an X509-SVID lives.
    pub x509_svid_ttl: Option<Duration>,
    /// How long a JWT-SVID lives.
    pub jwt_svid_ttl: Option<Duration>,
    /// Foreign trust domains, and where their bundles are found.
    pub federates_with: BTreeMap<TrustDomain, Federation>,
}

/// Where the bundle of a foreign trust domain is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Federation {
    /// A file: a SPIFFE bundle document, or PEM. With an endpoint: what holds until the endpoint was reached.
    pub bundle_file: Option<PathBuf>,
    /// An endpoint that serves it.
    pub endpoint: Option<BundleEndpoint>,
}

/// A bundle endpoint (SPIFFE Federation 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleEndpoint {
    /// `https://`, and no user information.
    pub url: String,
    /// With the profile `https_spiffe`: the SPIFFE ID of the server. Without: `https_web`.
    pub spiffe_id: Option<SpiffeId>,
}

/// The resolved settings of the Workload API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::agent) struct WorkloadConfig {
    pub(in crate::agent) trust_domain: TrustDomain,
    pub(in crate::agent) socket: Option<PathBuf>,
    /// `None`: in memory.
    pub(in crate::agent) state_dir: Option<PathBuf>,
    pub(in crate::agent) ca_ttl: Duration,
    pub(in crate::agent) x509_svid_ttl: Duration,
    pub(in crate::agent) jwt_svid_ttl: Duration,
    pub(in crate::agent) federates_with: BTreeMap<TrustDomain, Federation>,
}

impl WorkloadSettings {
    pub(in crate::agent) fn from_form(text: &str, form: WorkloadApiForm) -> Result<WorkloadSettings, RulesError> {
        let at = |span: Range<usize>, message: String| RulesError::at(text, span, message);
        let trust_domain = match &form.trust_domain {
            None => None,
            Some(name) => Some(
                TrustDomain::parse(name.get_ref())
                    .map_err(|error| at(name.span(), format!("trust_domain: {error}")))?,
            ),
        };
        let absolute = |name: &str, path: Option<Spanned<PathBuf>>| match path {
            Some(path) if !path.get_ref().is_absolute() => {
                Err(at(path.span(), format!("{name}: expected an absolute path")))
            }
            path => Ok(path.map(Spanned::into_inner)),
        };
        let ca_ttl = lifetime(text, "ca_ttl", form.ca_ttl.as_ref())?;
        let shorter = |name: &str, value| -> Result<Option<Duration>, RulesError> {
            let ttl = lifetime(text, name, value)?;
            match (value, ttl) {
                (Some(value), Some(ttl)) if ttl > ca_ttl.unwrap_or(DEFAULT_CA_TTL) => Err(at(
                    value.span(),
                    format!("{name}: longer than ca_ttl, and nothing outlives the key that signed it"),
                )),
                _ => Ok(ttl),
            }
        };
        let mut federates_with = BTreeMap::new();
        for (name, federation) in form.federates_with {
            let domain = TrustDomain::parse(name.get_ref())
                .map_err(|error| at(name.span(), format!("federates_with: {error}")))?;
            if Some(&domain) == trust_domain.as_ref() {
                return Err(at(name.span(), "federates_with: this is the agent's own trust domain".into()));
            }
            let federation = Federation::from_form(text, name.span(), federation)?;
            if federates_with.insert(domain, federation).is_some() {
                return Err(at(name.span(), "federates_with: the trust domain is named twice".into()));
            }
        }
        Ok(WorkloadSettings {
            trust_domain,
            socket: absolute("socket", form.socket)?,
            state_dir: absolute("state_dir", form.state_dir)?,
            ca_ttl,
            x509_svid_ttl: shorter("x509_svid_ttl", form.x509_svid_ttl.as_ref())?,
            jwt_svid_ttl: shorter("jwt_svid_ttl", form.jwt_svid_ttl.as_ref())?,
            federates_with,
        })
    }

    /// What holds together with the command line. It overrides paths, and must not contradict the trust domain.
    pub(in crate::agent) fn resolve(&self, asked: &WorkloadOverrides) -> Result<WorkloadConfig, RulesError> {
        let trust_domain = match (&self.trust_domain, &asked.trust_domain) {
            (Some(file), Some(given)) if file != given => {
                return Err(RulesError::whole(format!(
                    "trust_domain is {file} in [workload_api], and {given} on the command line"
                )));
            }
            (Some(name), _) | (None, Some(name)) => name.clone(),
            (None, None) => {
                return Err(RulesError::whole("[workload_api] has no trust_domain, and --trust-domain is not given"));
            }
        };
        let state_dir = match (&asked.state, &self.state_dir) {
            (StateLocation::Memory, _) => None,
            (StateLocation::Directory(path), _) | (StateLocation::Default, Some(path)) => Some(path.clone()),
            (StateLocation::Default, None) => Some(PathBuf::from(DEFAULT_STATE_DIR)),
        };
        let ca_ttl = self.ca_ttl.unwrap_or(DEFAULT_CA_TTL);
        Ok(WorkloadConfig {
            trust_domain,
            socket: asked.socket.clone().or_else(|| self.socket.clone()),
            state_dir,
            ca_ttl,
            x509_svid_ttl: self.x509_svid_ttl.unwrap_or(X509_SVID_TTL).min(ca_ttl),
            jwt_svid_ttl: self.jwt_svid_ttl.unwrap_or(JWT_SVID_TTL).min(ca_ttl),
            federates_with: self.federates_with.clone(),
        })
    }
}

impl Federation {
    fn from_form(text: &str, name: Range<usize>, form: FederationForm) -> Result<Federation, RulesError> {
        let at = |span: Range<usize>, message: &str| RulesError::at(text, span, message);
        let bundle_file = match form.bundle_file {
            Some(path) if !path.get_ref().is_absolute() => {
                return Err(at(path.span(), "bundle_file: expected an absolute path"));
            }
            path => path.map(Spanned::into_inner),
        };
        let endpoint = match form.bundle_endpoint_url {
            None => {
                let stray = form.bundle_endpoint_profile.as_ref().or(form.endpoint_spiffe_id.as_ref());
                if let Some(stray) = stray {
                    return Err(at(stray.span(), "there is no bundle_endpoint_url it could be about"));
                }
                None
            }
            Some(url) => {
                let rest = url.get_ref().strip_prefix("https://").unwrap_or_default();
                let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
                // SPIFFE Federation 5.1.1: https, and no user information.
                if host.is_empty() || host.contains('@') || rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
                    return Err(at(
                        url.span(),
                        "bundle_endpoint_url: expected https://host/path, without user information",
                    ));
                }
                let profile =
                    form.bundle_endpoint_profile.as_ref().map(|profile| (profile.get_ref().as_str(), profile.span()));
                let spiffe_id = match (profile, form.endpoint_spiffe_id) {
                    (Some(("https_web", _)), None) => None,
                    (Some(("https_web", _)), Some(id)) => {
                        return Err(at(id.span(), "endpoint_spiffe_id: the profile https_web has none"));
                    }
                    (Some(("https_spiffe", span)), id) => {
                        let id =
                            id.ok_or_else(|| at(span.clone(), "the profile https_spiffe needs endpoint_spiffe_id"))?;
                        if bundle_file.is_none() {
                            return Err(at(span, "the profile https_spiffe needs a bundle_file to begin with"));
                        }
                        let bad = |error| RulesError::at(text, id.span(), format!("endpoint_spiffe_id: {error}"));
                        Some(SpiffeId::parse(id.get_ref()).map_err(bad)?)
                    }
                    (Some((_, span)), _) => {
                        return Err(at(span, "bundle_endpoint_profile: expected https_web or https_spiffe"));
                    }
                    (None, _) => {
                        return Err(at(url.span(), "bundle_endpoint_profile is missing: https_web or https_spiffe"));
                    }
                };
                Some(BundleEndpoint { url: url.into_inner(), spiffe_id })
            }
        };
        if bundle_file.is_none() && endpoint.is_none() {
            return Err(at(name, "federates_with: expected bundle_file or bundle_endpoint_url"));
        }
        Ok(Federation { bundle_file, endpoint })
    }
}
