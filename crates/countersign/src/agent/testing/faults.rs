//! Faults on command, for those who test their own services against a Workload API that misbehaves. Only a
//! [`TestAgent`](super::TestAgent) has these: no rules file and no command line leads here.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use h2::Reason;
use prost::Message;
use prost::bytes::Bytes;
use tokio::sync::watch;

use crate::agent::workload::call::Method;
use crate::agent::workload::reply::{Gone, Reply};
use crate::peer::Peer;
use crate::spiffe::issue::{JwtIssuer, KeyUse, SigningKey};
use crate::spiffe::workload_api::framing::{frame, wiped};
use crate::spiffe::workload_api::proto::{
    JwtBundlesResponse, JwtSvidRequest, JwtSvidResponse, ValidateJwtSvidResponse, X509BundlesResponse, X509SvidResponse,
};
use crate::spiffe::workload_api::{Code, Status};

/// Calls that are remembered.
const REMEMBERED: usize = 10_000;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The call ends with this status.
    Status(Status),
    /// The stream is reset without a status.
    Reset,
    /// The stream ends in good order before anything was told.
    End,
    /// The call is answered later.
    Delay(Duration),
    /// A message that is none.
    Garbage,
    /// Bytes that are not framed as gRPC messages are.
    BadFrame,
    /// A message of so many bytes.
    Huge(usize),
    /// A message without this field, or with an empty one.
    Blank(String),
    /// A message in which all SVIDs have the same hint; an only one comes twice.
    DuplicateHints,
    /// A message whose keys or signatures are those of a stranger.
    WrongKey,
    /// This message instead.
    Respond(Bytes),
}

impl Fault {
    /// It strikes when a call arrives, not when a message is sent.
    fn is_about_the_call(&self) -> bool {
        matches!(self, Fault::Status(_) | Fault::Reset | Fault::End | Fault::Delay(_))
    }
}

/// A fault that waits for its call or message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Of which method; `None`: of any.
    pub method: Option<Method>,
    /// How often; `None`: until it is taken back.
    pub times: Option<u32>,
    /// What goes wrong.
    pub fault: Fault,
}

/// What open streams are told to do at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Nothing.
    None,
    /// Send what was sent last once more.
    Resend,
    /// Issue new SVIDs, whatever the age of the present ones.
    Reissue,
    /// End with this status.
    Finish(Status),
    /// End without one.
    Reset,
}

/// A call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// Its number, from 0.
    pub number: u64,
    /// The method, or the path of one that is not known.
    pub method: String,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Who called.
    pub pid: Option<u32>,
    /// Who called.
    pub uid: Option<u32>,
    /// Whether the security header was there, exactly once.
    pub security_header: bool,
    /// How it ended, once it has: `OK`, the name of a status, or `CANCELLED` when the caller took it back.
    pub outcome: Option<String>,
    /// How many messages it was sent.
    pub messages: u64,
    /// The audience it asked for.
    pub audience: Vec<String>,
    /// The SPIFFE ID it asked for; empty for all.
    pub spiffe_id: String,
}

/// Faults, orders, and a memory of calls.
pub struct Faults {
    inner: Mutex<Inner>,
    orders: watch::Sender<Order>,
    frozen: watch::Sender<bool>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    plans: Vec<Plan>,
    calls: VecDeque<CallRecord>,
    count: u64,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            inner: Mutex::default(),
            orders: watch::Sender::new(Order::None),
            frozen: watch::Sender::new(false),
            changed: watch::Sender::new(0),
        }
    }
}

impl Faults {
    /// Adds a fault behind those that wait already.
    pub fn plan(&self, plan: Plan) {
        self.lock().plans.push(plan);
    }

    /// Takes all faults back, and thaws.
    pub fn clear(&self) {
        self.lock().plans.clear();
        self.freeze(false);
    }

    /// Has every open stream do something.
    pub fn order(&self, order: Order) {
        self.orders.send_replace(order);
    }

    /// Says nothing more to anybody, until thawed.
    pub fn freeze(&self, frozen: bool) {
        self.frozen.send_replace(frozen);
    }

    /// The calls so far, from this number on.
    pub fn calls(&self, from: u64) -> Vec<CallRecord> {
        self.lock().calls.iter().filter(|call| call.number >= from).cloned().collect()
    }

    /// Ticks with every call that comes or ends.
    pub fn activity(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(in crate::agent) fn orders(&self) -> watch::Receiver<Order> {
        self.orders.subscribe()
    }

    /// Notes a call.
    pub(in crate::agent) fn arrived(&self, method: &str, peer: &Peer, security_header: bool) -> u64 {
        let who = peer.credentials();
        let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let mut inner = self.lock();
        let number = inner.count;
        inner.count += 1;
        if inner.calls.len() == REMEMBERED {
            inner.calls.pop_front();
        }
        inner.calls.push_back(CallRecord {
            number,
            method: method.to_owned(),
            at_ms,
            pid: who.pid,
            uid: who.uid,
            security_header,
            outcome: None,
            messages: 0,
            audience: Vec::new(),
            spiffe_id: String::new(),
        });
        drop(inner);
        self.tick();
        number
    }

    /// Adds to what is known of a call.
    pub(in crate::agent) fn note(&self, number: u64, change: impl FnOnce(&mut CallRecord)) {
        let mut inner = self.lock();
        if let Some(call) = inner.calls.iter_mut().find(|call| call.number == number) {
            change(call);
        }
        drop(inner);
        self.tick();
    }

    fn tick(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// What strikes a call that arrived.
    pub(in crate::agent) async fn on_call(&self, method: Method) -> Option<Fault> {
        let fault = self.next(method, Fault::is_about_the_call);
        if let Some(Fault::Delay(delay)) = fault {
            tokio::time::sleep(delay).await;
            return None;
        }
        fault
    }

    /// Sends a message, or what a fault makes of it.
    pub(in crate::agent) async fn send<R: Message + Mangled>(
        &self,
        reply: &mut Reply,
        method: Method,
        message: R,
    ) -> Result<(), Gone> {
        let mut frozen = self.frozen.subscribe();
        if *frozen.borrow_and_update() {
            tokio::select! {
                () = reply.cancelled() => return Err(Gone),
                _ = frozen.wait_for(|frozen| !frozen) => {}
            }
        }
        let fault = self.next(method, |fault| !fault.is_about_the_call());
        let bytes = match fault {
            None => frame(&message),
            Some(fault) => mangle(message, fault),
        };
        reply.send(bytes).await
    }

    fn next(&self, method: Method, kind: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut inner = self.lock();
        let fits = |plan: &Plan| plan.method.is_none_or(|only| only == method) && kind(&plan.fault);
        let at = inner.plans.iter().position(fits)?;
        let fault = inner.plans[at].fault.clone();
        match &mut inner.plans[at].times {
            None => {}
            Some(0 | 1) => drop(inner.plans.remove(at)),
            Some(times) => *times -= 1,
        }
        Some(fault)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a call the way a fault says.
pub(in crate::agent) fn strike(mut reply: Reply, fault: Fault) {
    match fault {
        Fault::Status(status) => reply.finish(&status),
        Fault::End => reply.done(),
        _ => reply.reset(Reason::INTERNAL_ERROR),
    }
}

fn mangle<R: Message + Mangled>(mut message: R, fault: Fault) -> Bytes {
    match fault {
        // Field 1 of a type no message has.
        Fault::Garbage => return framed(b"\x0f\xff\xff\xff garbage"),
        Fault::BadFrame => return Bytes::from_static(b"\x7f this is no frame"),
        Fault::Huge(length) => return framed(&vec![0; length]),
        Fault::Respond(bytes) => return framed(&bytes),
        Fault::Blank(field) => message.blank(&field),
        Fault::DuplicateHints => message.duplicate_hints(),
        Fault::WrongKey => message.wrong_key(),
        Fault::Status(_) | Fault::Reset | Fault::End | Fault::Delay(_) => {}
    }
    frame(&message)
}

fn framed(message: &[u8]) -> Bytes {
    let mut framed = Vec::with_capacity(5 + message.len());
    framed.push(0);
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(message);
    framed.into()
}

/// What a fault can do to a message.
pub(in crate::agent) trait Mangled {
    /// Empties a field. A name the message has not changes nothing.
    fn blank(&mut self, field: &str);
    fn duplicate_hints(&mut self) {}
    fn wrong_key(&mut self) {}
}

/// Gives all of them the same hint. An only one gets a twin.
fn share_a_hint<T: Clone>(svids: &mut Vec<T>, hint: impl Fn(&mut T) -> &mut String) {
    if let [only] = &svids[..] {
        let twin = only.clone();
        svids.push(twin);
    }
    svids.iter_mut().for_each(|svid| *hint(svid) = "duplicate".to_owned());
}

impl Mangled for X509SvidResponse {
    fn blank(&mut self, field: &str) {
        match field {
            "svids" => self.svids.clear(),
            "federated_bundles" => self.federated_bundles.clear(),
            "crl" => self.crl.clear(),
            _ => {}
        }
        for svid in &mut self.svids {
            match field {
                "spiffe_id" => svid.spiffe_id.clear(),
                "x509_svid" => svid.x509_svid.clear(),
                "x509_svid_key" => svid.x509_svid_key.clear(),
                "bundle" => svid.bundle.clear(),
                "hint" => svid.hint.clear(),
                _ => {}
            }
        }
    }

    fn duplicate_hints(&mut self) {
        share_a_hint(&mut self.svids, |svid| &mut svid.hint);
    }

    fn wrong_key(&mut self) {
        let stranger = SigningKey::generate(KeyUse::Certificates).and_then(|key| key.to_pkcs8());
        if let Ok(key) = stranger {
            let key = wiped(key);
            self.svids.iter_mut().for_each(|svid| svid.x509_svid_key = key.clone());
        }
    }
}

impl Mangled for X509BundlesResponse {
    fn blank(&mut self, field: &str) {
        match field {
            "bundles" => self.bundles.clear(),
            "bundle" => self.bundles.values_mut().for_each(Bytes::clear),
            "crl" => self.crl.clear(),
            _ => {}
        }
    }
}

impl Mangled for JwtBundlesResponse {
    fn blank(&mut self, field: &str) {
        match field {
            "bundles" => self.bundles.clear(),
            "bundle" => self.bundles.values_mut().for_each(Bytes::clear),
            _ => {}
        }
    }
}

impl Mangled for JwtSvidResponse {
    fn blank(&mut self, field: &str) {
        if field == "svids" {
            self.svids.clear();
        }
        for svid in &mut self.svids {
            match field {
                "spiffe_id" => svid.spiffe_id.clear(),
                "svid" => svid.svid.clear(),
                "hint" => svid.hint.clear(),
                _ => {}
            }
        }
    }

    fn duplicate_hints(&mut self) {
        share_a_hint(&mut self.svids, |svid| &mut svid.hint);
    }

    fn wrong_key(&mut self) {
        for svid in &mut self.svids {
            let Some((signed, _)) = svid.svid.rsplit_once('.') else { continue };
            let stranger = JwtIssuer::generate(i64::MAX).and_then(|key| key.sign_over(signed));
            if let Ok(token) = stranger {
                svid.svid = token.as_str().to_owned();
            }
        }
    }
}

impl Mangled for ValidateJwtSvidResponse {
    fn blank(&mut self, field: &str) {
        match field {
            "spiffe_id" => self.spiffe_id.clear(),
            "claims" => self.claims = None,
            _ => {}
        }
    }
}

/// Writes down what becomes of one call. One that is dropped before it ended was taken back by its caller.
pub(in crate::agent) struct Recorder {
    faults: Arc<Faults>,
    number: u64,
}

impl Recorder {
    pub(in crate::agent) fn new(faults: Arc<Faults>, number: u64) -> Recorder {
        Recorder { faults, number }
    }

    pub(in crate::agent) fn asks_for(&self, request: &JwtSvidRequest) {
        self.faults.note(self.number, |call| {
            call.audience.clone_from(&request.audience);
            call.spiffe_id.clone_from(&request.spiffe_id);
        });
    }

    pub(in crate::agent) fn sent(&self) {
        self.faults.note(self.number, |call| call.messages += 1);
    }

    pub(in crate::agent) fn ended(&self, code: Code) {
        self.faults.note(self.number, |call| {
            call.outcome.get_or_insert_with(|| code.name().to_owned());
        });
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.ended(Code::Cancelled);
    }
}
