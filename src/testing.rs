//! The test agent and the test authority for JavaScript. What has a shape of its own crosses as JSON.

use std::sync::Arc;
use std::time::Duration;

use countersign::agent::testing::{Fault, JwtFlaw, Method, Order, Plan, TestAgent, TestCa, X509Flaw};
use countersign::spiffe::workload_api::proto::{
    JwtBundlesResponse, JwtSvid, JwtSvidResponse, X509BundlesResponse, X509Svid, X509SvidResponse,
};
use countersign::spiffe::workload_api::{Code, Status};
use countersign::spiffe::{SpiffeId, TrustDomain};
use napi::bindgen_prelude::{AsyncTask, Buffer, Either};
use napi::{Error, Result};
use napi_derive::napi;
use prost::Message;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::agent::{Closing, bundle_of, deliver_events, replaced, rotated, started, stats_of};
use crate::host::failure::{Failure, answer};
use crate::host::mailbox::Mailbox;

/// An agent that does wrong things on command.
#[napi]
pub struct NativeTestAgent {
    agent: Arc<TestAgent>,
}

/// What goes wrong, as JavaScript writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PlanForm {
    method: Option<String>,
    times: Option<u32>,
    kind: String,
    status: Option<String>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    delay: u64,
    #[serde(default)]
    bytes: usize,
    #[serde(default)]
    field: String,
}

#[napi]
impl NativeTestAgent {
    /// Start one, as JSON options ask for, or a failure.
    #[napi(ts_return_type = "NativeTestAgent | Failure")]
    pub fn start(mailbox: &Mailbox, key: f64, options: String) -> Either<NativeTestAgent, Failure> {
        answer(started(&options, TestAgent::start_with).map(|agent| {
            deliver_events(&agent, mailbox, key);
            NativeTestAgent { agent: Arc::new(agent) }
        }))
    }

    /// The path of the whoami socket.
    #[napi(getter)]
    pub fn socket_path(&self) -> String {
        self.agent.socket_path().to_string_lossy().into_owned()
    }

    /// Where the Workload API is served, as `unix:` and a path.
    #[napi(getter)]
    pub fn endpoint(&self) -> String {
        self.agent.endpoint()
    }

    /// Use these rules from now on. JSON: `{rules, warnings}`. Or a failure.
    #[napi]
    pub fn replace_rules(&self, text: String) -> Either<String, Failure> {
        replaced(self.agent.replace_rules(&text))
    }

    /// Change the keys of the authority: `prepare`, `activate` or `forget`.
    #[napi]
    pub fn rotate(&self, step: String) -> Either<bool, Failure> {
        rotated(&self.agent, &step)
    }

    /// The bundle of its trust domain as a SPIFFE bundle document.
    #[napi]
    pub fn bundle(&self) -> Option<String> {
        bundle_of(&self.agent, None)
    }

    /// What it did so far, as JSON.
    #[napi]
    pub fn stats(&self) -> String {
        stats_of(&self.agent)
    }

    /// Have something go wrong. With `reply`, that message is sent instead.
    #[napi]
    pub fn plan(&self, plan: String, reply: Option<Buffer>) -> Result<()> {
        let form: PlanForm = serde_json::from_str(&plan).map_err(|error| Error::from_reason(error.to_string()))?;
        let method = match form.method {
            None => None,
            Some(name) => Some(Method::from_name(&name).ok_or_else(|| Error::from_reason("no such method"))?),
        };
        let fault = match form.kind.as_str() {
            "status" => Fault::Status(status(form.status.as_deref().unwrap_or_default(), form.message)?),
            "reset" => Fault::Reset,
            "end" => Fault::End,
            "delay" => Fault::Delay(Duration::from_millis(form.delay)),
            "garbage" => Fault::Garbage,
            "badFrame" => Fault::BadFrame,
            "huge" => Fault::Huge(form.bytes),
            "blank" => Fault::Blank(form.field),
            "duplicateHints" => Fault::DuplicateHints,
            "wrongKey" => Fault::WrongKey,
            "respond" => Fault::Respond(reply.map(|bytes| bytes.to_vec()).unwrap_or_default().into()),
            _ => return Err(Error::from_reason("no such fault")),
        };
        self.agent.faults().plan(Plan { method, times: form.times, fault });
        Ok(())
    }

    /// Remove all faults, and thaw.
    #[napi]
    pub fn clear_faults(&self) {
        self.agent.faults().clear();
    }

    /// Answer nothing until thawed.
    #[napi]
    pub fn freeze(&self, frozen: bool) {
        self.agent.faults().freeze(frozen);
    }

    /// Have every open stream `resend`, `reissue`, `reset`, or end with a status.
    #[napi]
    pub fn order(&self, order: String, message: Option<String>) -> Result<()> {
        self.agent.faults().order(match order.as_str() {
            "resend" => Order::Resend,
            "reissue" => Order::Reissue,
            "reset" => Order::Reset,
            code => Order::Finish(status(code, message.unwrap_or_default())?),
        });
        Ok(())
    }

    /// The calls from a number on, as JSON.
    #[napi]
    pub fn calls(&self, from: f64) -> String {
        let call = |call: countersign::agent::testing::CallRecord| {
            json!({
                "number": call.number,
                "method": call.method,
                "at": call.at_ms,
                "pid": call.pid,
                "uid": call.uid,
                "securityHeader": call.security_header,
                "status": call.outcome,
                "messages": call.messages,
                "audience": call.audience,
                "spiffeId": Some(call.spiffe_id).filter(|id| !id.is_empty()),
            })
        };
        Value::Array(self.agent.faults().calls(from as u64).into_iter().map(call).collect()).to_string()
    }

    /// End it, without keeping the event loop from going on.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close_soon(&self) -> AsyncTask<Closing> {
        let agent = Arc::clone(&self.agent);
        AsyncTask::new(Closing(Box::new(move || agent.close())))
    }
}

fn status(name: &str, message: String) -> Result<Status> {
    match Code::from_name(name) {
        Some(code) => Ok(Status::new(code, message)),
        None => Err(Error::from_reason(format!("no status is called {name:?}"))),
    }
}

/// One X509-SVID of a message that is made by hand. What is left out is left out of the message.
#[napi(object)]
pub struct OfferedX509Svid {
    /// The name it is labelled with.
    pub spiffe_id: Option<String>,
    /// Concatenated DER, leaf first.
    pub chain: Option<Buffer>,
    /// PKCS#8.
    pub key: Option<Buffer>,
    /// Concatenated DER.
    pub bundle: Option<Buffer>,
    /// What an operator calls it.
    pub hint: Option<String>,
}

/// One token of a message that is made by hand.
#[napi(object)]
pub struct OfferedJwtSvid {
    /// The name it is labelled with.
    pub spiffe_id: Option<String>,
    /// The token.
    pub token: Option<String>,
    /// What an operator calls it.
    pub hint: Option<String>,
}

/// A bundle of a message that is made by hand: concatenated DER, or a JWKS.
#[napi(object)]
pub struct OfferedBundle {
    /// The trust domain, as `spiffe://` and its name.
    pub trust_domain: String,
    /// The bytes.
    pub bytes: Buffer,
}

fn bytes(buffer: Option<Buffer>) -> prost::bytes::Bytes {
    buffer.map(|buffer| buffer.to_vec()).unwrap_or_default().into()
}

fn map(bundles: Vec<OfferedBundle>) -> std::collections::BTreeMap<String, prost::bytes::Bytes> {
    bundles.into_iter().map(|bundle| (bundle.trust_domain, bundle.bytes.to_vec().into())).collect()
}

/// Write a response to `FetchX509SVID`.
#[napi]
pub fn write_x509_response(svids: Vec<OfferedX509Svid>, federated: Vec<OfferedBundle>, crls: Vec<Buffer>) -> Buffer {
    let svids = svids.into_iter().map(|svid| X509Svid {
        spiffe_id: svid.spiffe_id.unwrap_or_default(),
        x509_svid: bytes(svid.chain),
        x509_svid_key: bytes(svid.key),
        bundle: bytes(svid.bundle),
        hint: svid.hint.unwrap_or_default(),
    });
    let crl = crls.into_iter().map(|crl| crl.to_vec().into()).collect();
    let message = X509SvidResponse { svids: svids.collect(), crl, federated_bundles: map(federated) };
    message.encode_to_vec().into()
}

/// Write a response to `FetchJWTSVID`.
#[napi]
pub fn write_jwt_response(svids: Vec<OfferedJwtSvid>) -> Buffer {
    let svids = svids.into_iter().map(|svid| JwtSvid {
        spiffe_id: svid.spiffe_id.unwrap_or_default(),
        svid: svid.token.unwrap_or_default(),
        hint: svid.hint.unwrap_or_default(),
    });
    JwtSvidResponse { svids: svids.collect() }.encode_to_vec().into()
}

/// Write a response to `FetchX509Bundles` or `FetchJWTBundles`.
#[napi]
pub fn write_bundles_response(bundles: Vec<OfferedBundle>, jwt: bool) -> Buffer {
    let bundles = map(bundles);
    match jwt {
        true => JwtBundlesResponse { bundles }.encode_to_vec().into(),
        false => X509BundlesResponse { crl: Vec::new(), bundles }.encode_to_vec().into(),
    }
}

/// An authority for tests.
#[napi]
pub struct NativeTestCa {
    ca: TestCa,
}

/// An X509-SVID of a test authority, which may be a wrong one.
#[napi(object)]
pub struct MintedX509Svid {
    /// Concatenated DER, leaf first.
    pub chain: Buffer,
    /// PKCS#8.
    pub key: Buffer,
}

#[napi]
impl NativeTestCa {
    /// A new one.
    #[napi(constructor)]
    pub fn new(trust_domain: String) -> Result<NativeTestCa> {
        let name = TrustDomain::parse(&trust_domain).map_err(|error| Error::from_reason(error.to_string()))?;
        let ca = TestCa::new(name).map_err(|error| Error::from_reason(error.to_string()))?;
        Ok(NativeTestCa { ca })
    }

    /// Its authorities, as a SPIFFE bundle document.
    #[napi]
    pub fn bundle(&self) -> Result<String> {
        let bundle = self.ca.bundle().and_then(|bundle| bundle.to_json());
        bundle.map_err(|error| Error::from_reason(error.to_string()))
    }

    /// An X509-SVID for so many seconds.
    #[napi]
    pub fn x509_svid(
        &self,
        spiffe_id: String,
        dns_names: Vec<String>,
        ttl: f64,
        flaw: Option<String>,
    ) -> Result<MintedX509Svid> {
        let failed = |error: &dyn std::fmt::Display| Error::from_reason(error.to_string());
        let id = SpiffeId::parse(&spiffe_id).map_err(|error| failed(&error))?;
        let flaw = named(X509Flaw::ALL, flaw)?;
        let issued = self.ca.x509_svid(&id, &dns_names, ttl as i64, flaw).map_err(|error| failed(&error))?;
        Ok(MintedX509Svid { chain: issued.chain_der.into(), key: issued.key_der.to_vec().into() })
    }

    /// A JWT-SVID for so many seconds.
    #[napi]
    pub fn jwt_svid(&self, spiffe_id: String, audience: Vec<String>, ttl: f64, flaw: Option<String>) -> Result<String> {
        let failed = |error: &dyn std::fmt::Display| Error::from_reason(error.to_string());
        let id = SpiffeId::parse(&spiffe_id).map_err(|error| failed(&error))?;
        let flaw = named(JwtFlaw::ALL, flaw)?;
        let token = self.ca.jwt_svid(&id, &audience, ttl as i64, flaw).map_err(|error| failed(&error))?;
        Ok(token.as_str().to_owned())
    }
}

fn named<F: Copy>(all: &[(&'static str, F)], name: Option<String>) -> Result<Option<F>> {
    let Some(name) = name else { return Ok(None) };
    let found = all.iter().find(|(known, _)| *known == name).map(|(_, flaw)| *flaw);
    found.map(Some).ok_or_else(|| Error::from_reason(format!("no flaw is called {name:?}")))
}

/// The flaws there are, as JSON: `{x509: [...], jwt: [...]}`.
#[napi]
pub fn test_flaws() -> String {
    let x509: Vec<_> = X509Flaw::ALL.iter().map(|(name, _)| name).collect();
    let jwt: Vec<_> = JwtFlaw::ALL.iter().map(|(name, _)| name).collect();
    json!({ "x509": x509, "jwt": jwt }).to_string()
}
