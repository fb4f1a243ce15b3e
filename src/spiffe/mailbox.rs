//! What comes back from the thread that speaks to Workload APIs.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

use countersign::spiffe::workload_api::hurry;
use napi::bindgen_prelude::{FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Result, Status};
use napi_derive::napi;
use tokio::task::AbortHandle;

use super::runtime;
use super::x509_context::X509Context;

/// What `deliver` is called with: the key of a call or of a feed, a text, and what the text cannot say.
type Letter = FnArgs<(f64, String, Option<X509Context>)>;
/// What a call comes to.
pub type Outcome = (String, Option<X509Context>);
/// Weak: it keeps no process alive. JavaScript does that for the calls that are awaited.
type Deliver = ThreadsafeFunction<Letter, (), Letter, Status, false, true>;

/// One for each environment.
#[napi]
pub struct Mailbox {
    pub(crate) post: Arc<Post>,
}

pub struct Post {
    deliver: Deliver,
    calls: Mutex<HashMap<u64, Arc<Call>>>,
}

type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A call in flight. It was begun on the thread of JavaScript, and is taken over by the other thread when there is
/// something new for it: until then nobody has to wake up.
struct Call {
    key: u64,
    post: Weak<Post>,
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
            let (text, context) = running.await;
            if let Some(post) = call.post.upgrade()
                && post.calls().remove(&call.key).is_some()
            {
                post.send(call.key as f64, text, context);
            }
        });
        *stage = Stage::TakenOver(task.abort_handle());
    }

    fn take_back(&self) {
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
    /// `deliver` gets whatever comes back, once for each call, and once for each event of a feed.
    #[napi(constructor)]
    pub fn new(
        #[napi(ts_arg_type = "(key: number, text: string, context?: X509Context) => void")] deliver: Function<
            '_,
            Letter,
            (),
        >,
    ) -> Result<Mailbox> {
        let deliver = deliver.build_threadsafe_function().weak::<true>().build_callback(|call| Ok(call.value))?;
        Ok(Mailbox { post: Arc::new(Post { deliver, calls: Mutex::default() }) })
    }

    /// Take a call back: nothing is delivered for it any more. False when it is over already.
    #[napi]
    pub fn cancel(&self, key: f64) -> bool {
        match self.post.calls().remove(&(key as u64)) {
            Some(call) => {
                call.take_back();
                true
            }
            None => false,
        }
    }
}

impl Post {
    fn calls(&self) -> MutexGuard<'_, HashMap<u64, Arc<Call>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deliver something. An environment that is going away takes nothing, and that is all right.
    pub fn send(&self, key: f64, text: String, context: Option<X509Context>) {
        self.deliver.call((key, text, context).into(), ThreadsafeFunctionCallMode::NonBlocking);
    }

    /// Run a call, and deliver what it comes to under its key. It begins here and now, and what it has to
    /// say is on its way when this returns.
    pub fn call(self: &Arc<Post>, key: f64, running: impl Future<Output = Outcome> + Send + 'static) -> Result<()> {
        let handle = runtime::handle()?;
        let mut running: Running = Box::pin(running);
        let stage = Mutex::new(Stage::Beginning { woken: false });
        let call = Arc::new(Call { key: key as u64, post: Arc::downgrade(self), stage });
        let waker = Waker::from(Arc::clone(&call));
        let _inside = handle.enter();
        let begun = hurry(|| running.as_mut().poll(&mut Context::from_waker(&waker)));
        if let Poll::Ready((text, context)) = begun {
            self.send(key, text, context);
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

impl Drop for Post {
    fn drop(&mut self) {
        // The environment is gone, and with it everybody who waits.
        for (_, call) in self.calls().drain() {
            call.take_back();
        }
    }
}
