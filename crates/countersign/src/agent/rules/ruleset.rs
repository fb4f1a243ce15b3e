use std::ops::Range;

use toml::Spanned;

use super::error::RulesError;
use super::rule::Rule;
use super::schema::{FileForm, RuleForm};
use super::source::DEV_TRUST_DOMAIN;
use super::svid_entry::list;
use super::workload_api::WorkloadSettings;
use crate::spiffe::TrustDomain;

/// The rules, in the order they are tried: the first that matches wins.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Rule>,
    workload_api: Option<WorkloadSettings>,
    warnings: Vec<String>,
}

impl RuleSet {
    /// Rules made in memory.
    pub fn new(rules: Vec<Rule>) -> RuleSet {
        RuleSet { rules, workload_api: None, warnings: Vec::new() }
    }

    /// Reads rules from TOML text.
    pub fn parse(text: &str) -> Result<RuleSet, RulesError> {
        let form: FileForm = toml::from_str(text).map_err(|error| match error.span() {
            // Only the message: the error's own print quotes the line, and a line may hold a token.
            Some(span) => RulesError::at(text, span, error.message()),
            None => RulesError::whole(error.message()),
        })?;
        if form.rule.is_empty() {
            return Err(RulesError::whole("no [[rule]] in it, expected at least one"));
        }
        let workload_api = form.workload_api.map(|form| WorkloadSettings::from_form(text, form)).transpose()?;
        let mut rules = Vec::with_capacity(form.rule.len());
        for rule in form.rule {
            let names = NamesInRule::of(rule.get_ref());
            let rule = Rule::from_form(text, rule)?;
            if let Some(settings) = &workload_api {
                names.must_fit(text, &rule, settings)?;
            }
            rules.push(rule);
        }
        let warnings = match &workload_api {
            None if rules.iter().any(|rule| rule.svid.is_some()) => {
                vec!["there is no [workload_api]: spiffe_id is served only with --trust-domain".to_owned()]
            }
            _ => Vec::new(),
        };
        Ok(RuleSet { rules, workload_api, warnings })
    }

    /// The rules in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The trust domain of the table, or else of the first SPIFFE ID, or else that of every example.
    pub(in crate::agent) fn some_trust_domain(&self) -> Option<TrustDomain> {
        let configured = self.workload_api.as_ref().and_then(|settings| settings.trust_domain.clone());
        let first = || Some(self.rules.iter().find_map(|rule| rule.svid.as_ref())?.spiffe_id.trust_domain());
        configured.or_else(first).or_else(|| TrustDomain::parse(DEV_TRUST_DOMAIN).ok())
    }

    /// Every SPIFFE ID is in this trust domain, and every foreign bundle it asks for is known.
    pub(in crate::agent) fn must_live_in(&self, trust_domain: &TrustDomain) -> Result<(), RulesError> {
        let federates_with = self.workload_api.as_ref().map(|settings| &settings.federates_with);
        for (number, rule) in self.rules.iter().enumerate() {
            let Some(svid) = &rule.svid else { continue };
            let which = || match rule.position {
                Some(position) => format!("rule {} (line {})", number + 1, position.line),
                None => format!("rule {}", number + 1),
            };
            if !svid.spiffe_id.member_of(trust_domain) {
                let message = format!("{}: spiffe_id is not in the trust domain {trust_domain}", which());
                return Err(RulesError::whole(message));
            }
            let unknown = |name: &&TrustDomain| federates_with.is_none_or(|known| !known.contains_key(*name));
            if let Some(name) = svid.federates_with.iter().find(unknown) {
                let message = format!("{}: federates_with: {name} is not among those of [workload_api]", which());
                return Err(RulesError::whole(message));
            }
        }
        Ok(())
    }

    /// What is said about the Workload API as a whole.
    pub fn workload_api(&self) -> Option<&WorkloadSettings> {
        self.workload_api.as_ref()
    }

    /// What is doubtful about the file, although it was accepted.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub(super) fn warn(&mut self, warnings: impl IntoIterator<Item = String>) {
        self.warnings.extend(warnings);
    }
}

/// Where in the text a rule names what the table `[workload_api]` has to know.
struct NamesInRule {
    spiffe_id: Option<Range<usize>>,
    federates_with: Vec<Range<usize>>,
}

impl NamesInRule {
    fn of(form: &RuleForm) -> NamesInRule {
        NamesInRule {
            spiffe_id: form.spiffe_id.as_ref().map(Spanned::span),
            federates_with: list(form.federates_with.as_ref()).map(Spanned::span).collect(),
        }
    }

    fn must_fit(self, text: &str, rule: &Rule, settings: &WorkloadSettings) -> Result<(), RulesError> {
        let (Some(svid), Some(spiffe_id)) = (&rule.svid, self.spiffe_id) else { return Ok(()) };
        if let Some(own) = &settings.trust_domain
            && !svid.spiffe_id.member_of(own)
        {
            let message =
                format!("spiffe_id: not in the trust domain {own}, and this agent is no authority of another");
            return Err(RulesError::at(text, spiffe_id, message));
        }
        for (name, span) in svid.federates_with.iter().zip(self.federates_with) {
            if !settings.federates_with.contains_key(name) {
                let message = format!("federates_with: {name} is not among those of [workload_api]");
                return Err(RulesError::at(text, span, message));
            }
        }
        Ok(())
    }
}
