//! Faults on command, for those who test their own services against a Workload API that misbehaves. Only a
//! [`TestAgent`](super::TestAgent) has these: no rules file and no command line leads here.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::bytes::Bytes;
use tokio::sync::watch;

use super::call_record::CallRecord;
use super::fault::{Fault, Plan};
use super::mangle::mangle;
use crate::agent::workload::interceptor::{CallObserver, Ending, Interceptor, Later, Order};
use crate::peer::Peer;
use crate::spiffe::workload_api::proto::JwtSvidRequest;
use crate::spiffe::workload_api::{Code, Method};

/// Calls that are remembered.
const REMEMBERED: usize = 10_000;

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

    /// Sends nothing more to any client, until thawed.
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

    /// Notes a call.
    fn arrived(&self, method: &str, peer: &Peer, security_header: bool) -> u64 {
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
    fn note(&self, number: u64, change: impl FnOnce(&mut CallRecord)) {
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

/// What the agent is given: the faults, and a memory of calls.
pub(super) struct FaultInterceptor(pub(super) Arc<Faults>);

impl Interceptor for FaultInterceptor {
    fn call_arrived(&self, method: &str, peer: &Peer, security_header: bool) -> Option<Box<dyn CallObserver>> {
        let number = self.0.arrived(method, peer, security_header);
        Some(Box::new(Recorder { faults: Arc::clone(&self.0), number }))
    }

    fn before_call(&self, method: Method) -> Option<Later<'_, Option<Ending>>> {
        let fault = self.0.next(method, Fault::is_about_the_call)?;
        Some(Box::pin(async move {
            match fault {
                Fault::Delay(delay) => {
                    tokio::time::sleep(delay).await;
                    None
                }
                Fault::Status(status) => Some(Ending::Status(status)),
                Fault::End => Some(Ending::Done),
                _ => Some(Ending::Reset),
            }
        }))
    }

    fn before_message(&self, method: Method, framed: &Bytes) -> Option<Later<'_, Bytes>> {
        let framed = framed.clone();
        Some(Box::pin(async move {
            // The sender is dropped with the faults only.
            let _ = self.0.frozen.subscribe().wait_for(|frozen| !frozen).await;
            match self.0.next(method, |fault| !fault.is_about_the_call()) {
                None => framed,
                Some(fault) => mangle(method, &framed, &fault),
            }
        }))
    }

    fn orders(&self) -> Option<watch::Receiver<Order>> {
        Some(self.0.orders.subscribe())
    }
}

/// Writes down what becomes of one call. One that is dropped before it ended was cancelled by its caller.
struct Recorder {
    faults: Arc<Faults>,
    number: u64,
}

impl CallObserver for Recorder {
    fn token_requested(&self, request: &JwtSvidRequest) {
        self.faults.note(self.number, |call| {
            call.audience.clone_from(&request.audience);
            call.spiffe_id.clone_from(&request.spiffe_id);
        });
    }

    fn message_sent(&self) {
        self.faults.note(self.number, |call| call.messages += 1);
    }

    fn ended(&self, code: Code) {
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
