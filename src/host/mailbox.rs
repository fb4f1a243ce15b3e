//! What comes back from the thread of [`runtime`]: outcomes of calls, and events.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

use countersign::spiffe::workload_api::poll_eagerly;
use napi::bindgen_prelude::{Either, FnArgs, Function, ToNapiValue};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Result, Status, sys};
use napi_derive::napi;
use tokio::task::AbortHandle;

use super::failure::Failure;
use super::runtime;

/// What `deliver` is called with: the key of a call or of a feed, a text or a failure, and what a text cannot hold.
type Delivery = FnArgs<(f64, Either<String, Failure>, Option<Attachment>)>;
/// Weak: it keeps no process alive. JavaScript does that for the calls that are awaited.
type Deliver = ThreadsafeFunction<Delivery, (), Delivery, Status, false, true>;
/// The outcome of a call.
pub type Outcome = std::result::Result<(String, Option<Attachment>), Failure>;

/// A value of any class, made into a JavaScript value on the JavaScript thread.
pub struct Attachment(Box<dyn FnOnce(sys::napi_env) -> Result<sys::napi_value> + Send>);

impl Attachment {
    pub fn new(value: impl ToNapiValue + Send + 'static) -> Attachment {
        // SAFETY: the only call comes from `to_napi_value`, whose caller promises what this one needs.
        Attachment(Box::new(move |env| unsafe { ToNapiValue::to_napi_value(env, value) }))
    }
}

impl ToNapiValue for Attachment {
    unsafe fn to_napi_value(env: sys::napi_env, attachment: Attachment) -> Result<sys::napi_value> {
        (attachment.0)(env)
    }
}

/// One for each environment.
#[napi]
pub struct Mailbox {
    sender: Arc<Sender>,
}

/// Delivers to one environment.
pub struct Sender {
    deliver: Deliver,
    calls: Mutex<HashMap<u64, Arc<Call>>>,
}

type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A call in flight. It begins on the JavaScript thread, and is taken over by the other thread when there is something
/// new for it: until then, that thread can sleep.
struct Call {
    key: u64,
    sender: Weak<Sender>,
    stage: Mutex<Stage>,
}

enum Stage {
    /// Being begun; whether it was woken meanwhile.
    Beginning { woken: bool },
    /// Begun, with nothing new for it yet.
    Waiting(Running),
    /// Taken over.
    TakenOver(AbortHandle),
    /// Over, or taken back.
    Over,
}

impl Call {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_over(self: &Arc<Self>, stage: &mut Stage, running: Running) {
        let Ok(handle) = runtime::handle() else { return };
        let call = Arc::clone(self);
        let task = handle.spawn(async move {
            let outcome = running.await;
            if let Some(sender) = call.sender.upgrade()
                && sender.calls().remove(&call.key).is_some()
            {
                sender.deliver(call.key as f64, outcome);
            }
        });
        *stage = Stage::TakenOver(task.abort_handle());
    }

    fn cancel(&self) {
        // Dropped without the lock: what is dropped with it may wake it once more.
        let before = std::mem::replace(&mut *self.stage(), Stage::Over);
        if let Stage::TakenOver(task) = &before {
            task.abort();
        }
    }
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        let mut stage = self.stage();
        match std::mem::replace(&mut *stage, Stage::Over) {
            Stage::Beginning { .. } => *stage = Stage::Beginning { woken: true },
            Stage::Waiting(running) => self.take_over(&mut stage, running),
            later => *stage = later,
        }
    }
}

#[napi]
impl Mailbox {
    /// `deliver` is called once for each call, and once for each event of a feed.
    #[napi(constructor)]
    pub fn new(
        #[napi(ts_arg_type = "(key: number, text: string | Failure, context?: X509Context) => void")] deliver: Function<
            '_,
            Delivery,
            (),
        >,
    ) -> Result<Mailbox> {
        let deliver = deliver.build_threadsafe_function().weak::<true>().build_callback(|call| Ok(call.value))?;
        Ok(Mailbox { sender: Arc::new(Sender { deliver, calls: Mutex::default() }) })
    }

    /// Take a call back: nothing is delivered for it any more. False when it is over already.
    #[napi]
    pub fn cancel(&self, key: f64) -> bool {
        match self.sender.calls().remove(&(key as u64)) {
            Some(call) => {
                call.cancel();
                true
            }
            None => false,
        }
    }
}

impl Mailbox {
    /// What events are sent with.
    pub fn sender(&self) -> Arc<Sender> {
        Arc::clone(&self.sender)
    }
}

impl Sender {
    fn calls(&self) -> MutexGuard<'_, HashMap<u64, Arc<Call>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Delivers an event under the key of its feed.
    pub fn send(&self, key: f64, text: String) {
        self.deliver(key, Ok((text, None)));
    }

    /// An environment that is being torn down takes nothing any more; nothing is lost, its calls are gone too.
    fn deliver(&self, key: f64, outcome: Outcome) {
        let (text, attachment) = match outcome {
            Ok((text, attachment)) => (Either::A(text), attachment),
            Err(failure) => (Either::B(failure), None),
        };
        self.deliver.call((key, text, attachment).into(), ThreadsafeFunctionCallMode::NonBlocking);
    }

    /// Runs a call, and delivers its outcome under its key. It begins here and now: what it writes at once is on its
    /// way when this returns.
    pub fn call(self: &Arc<Sender>, key: f64, running: impl Future<Output = Outcome> + Send + 'static) -> Result<()> {
        let handle = runtime::handle()?;
        let mut running: Running = Box::pin(running);
        let stage = Mutex::new(Stage::Beginning { woken: false });
        let call = Arc::new(Call { key: key as u64, sender: Arc::downgrade(self), stage });
        let waker = Waker::from(Arc::clone(&call));
        let _inside = handle.enter();
        let begun = poll_eagerly(|| running.as_mut().poll(&mut Context::from_waker(&waker)));
        if let Poll::Ready(outcome) = begun {
            self.deliver(key, outcome);
            return Ok(());
        }
        self.calls().insert(call.key, Arc::clone(&call));
        let mut stage = call.stage();
        match *stage {
            Stage::Beginning { woken: true } => call.take_over(&mut stage, running),
            _ => *stage = Stage::Waiting(running),
        }
        Ok(())
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // The environment is gone, and with it all promises.
        for (_, call) in self.calls().drain() {
            call.cancel();
        }
    }
}
