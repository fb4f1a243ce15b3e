//! Moves the frames of a connection, on the runtime's thread or on the thread that begins a call.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker, ready};

use super::channel::Stream;

thread_local! {
    /// While this thread begins a call: the tasks to be woken, unless this thread does their work itself.
    static DEFERRED: RefCell<Option<Vec<Arc<TaskWaker>>>> = const { RefCell::new(None) };
}

/// Begins a call on the thread of the caller: what `begin` leaves to be written is written before this returns, and the
/// task that drives the connection need not wake up for it.
pub fn poll_eagerly<T>(begin: impl FnOnce() -> T) -> T {
    /// Runs even if `begin` panics: no task is left sleeping.
    struct Afterwards;
    impl Drop for Afterwards {
        fn drop(&mut self) {
            for waker in DEFERRED.take().unwrap_or_default() {
                match waker.driver.upgrade() {
                    Some(driver) => driver.drive_now(&waker),
                    None => waker.task.wake_by_ref(),
                }
            }
        }
    }
    DEFERRED.set(Some(Vec::new()));
    let _afterwards = Afterwards;
    begin()
}

/// What moves the frames of a connection: a task, and sometimes a thread that polls eagerly.
pub(super) struct Driver {
    /// `None`: it is over.
    connection: Mutex<Option<h2::client::Connection<Box<dyn Stream>>>>,
    /// The task's.
    waker: Mutex<Option<Arc<TaskWaker>>>,
}

/// The waker that a connection knows. A thread that drives in the task's place leaves this one with it, so that the
/// task is woken by what comes later.
struct TaskWaker {
    task: Waker,
    driver: Weak<Driver>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let left_for_later = DEFERRED.with_borrow_mut(|deferred| match deferred {
            Some(wakers) => {
                if !wakers.iter().any(|waker| Arc::ptr_eq(waker, self)) {
                    wakers.push(Arc::clone(self));
                }
                true
            }
            None => false,
        });
        if !left_for_later {
            self.task.wake_by_ref();
        }
    }
}

impl Driver {
    /// Sees to it that what is sent is sent and what comes is read.
    pub fn start(connection: h2::client::Connection<Box<dyn Stream>>) -> Arc<Driver> {
        let driver = Arc::new(Driver { connection: Mutex::new(Some(connection)), waker: Mutex::new(None) });
        let task = Arc::clone(&driver);
        tokio::spawn(std::future::poll_fn(move |context| task.drive(context)));
        driver
    }

    /// Ends the connection: all its streams learn that it broke.
    pub fn end(&self) {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Without the lock: this wakes the owners of streams.
        drop(connection);
        if let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            waker.task.wake_by_ref();
        }
    }

    fn drive(self: &Arc<Self>, context: &mut Context<'_>) -> Poll<()> {
        let waker = {
            let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
            match &*waker {
                Some(known) if known.task.will_wake(context.waker()) => Arc::clone(known),
                _ => {
                    let new = TaskWaker { task: context.waker().clone(), driver: Arc::downgrade(self) };
                    Arc::clone(waker.insert(Arc::new(new)))
                }
            }
        };
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        self.advance(&mut connection, &mut Context::from_waker(&waker.into()))
    }

    fn drive_now(&self, waker: &Arc<TaskWaker>) {
        match self.connection.try_lock() {
            Ok(mut connection) => {
                let context = Waker::from(Arc::clone(waker));
                if self.advance(&mut connection, &mut Context::from_waker(&context)).is_ready() {
                    waker.task.wake_by_ref();
                }
            }
            // The task has the lock, and may have looked already, before there was something to write.
            Err(_) => waker.task.wake_by_ref(),
        }
    }

    /// The connection ends when the other side closes it, or when its last handle and its last stream are gone. Streams
    /// report the error themselves.
    fn advance(
        &self,
        connection: &mut Option<h2::client::Connection<Box<dyn Stream>>>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let Some(driven) = connection else { return Poll::Ready(()) };
        ready!(Pin::new(driven).poll(context)).ok();
        *connection = None;
        Poll::Ready(())
    }
}
