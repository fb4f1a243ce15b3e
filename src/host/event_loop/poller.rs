//! The private readiness set of one environment: an epoll descriptor that holds every call in flight and one timer.
//! The host's loop only has to watch this one descriptor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};

/// The timer's key; calls use the keys below it.
const TIMER: u64 = u64::MAX;

pub struct Poller {
    set: OwnedFd,
    timer: OwnedFd,
    armed: Option<Instant>,
}

/// What one look at the set found.
#[derive(Default)]
pub struct Ready {
    /// The keys of the sockets that are ready.
    pub keys: Vec<u64>,
    /// Nothing more is waiting in the set.
    pub drained: bool,
}

impl Poller {
    pub fn new() -> io::Result<Poller> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        epoll::add(&set, &timer, epoll::EventData::new_u64(TIMER), epoll::EventFlags::IN)?;
        Ok(Poller { set, timer, armed: None })
    }

    /// Watch a socket; `writable` asks for room to write as well. Level triggered: nothing is lost.
    pub fn add(&self, socket: impl AsFd, key: u64, writable: bool) -> io::Result<()> {
        Ok(epoll::add(&self.set, socket, epoll::EventData::new_u64(key), interest(writable))?)
    }

    /// Change what is asked of a socket.
    pub fn modify(&self, socket: impl AsFd, key: u64, writable: bool) -> io::Result<()> {
        Ok(epoll::modify(&self.set, socket, epoll::EventData::new_u64(key), interest(writable))?)
    }

    /// Make sure the set becomes ready at this time or earlier.
    pub fn wake_by(&mut self, when: Instant) -> io::Result<()> {
        if self.armed.is_some_and(|armed| armed <= when) {
            return Ok(());
        }
        // A zero expiration would disarm the timer.
        let left = when.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
        let expiration = Timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos() as _ };
        let setting = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: expiration };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &setting)?;
        self.armed = Some(when);
        Ok(())
    }

    /// Take what is ready now, without waiting.
    pub fn take_ready(&mut self, ready: &mut Ready) -> io::Result<()> {
        let mut events = Vec::with_capacity(256);
        let nothing = Timespec { tv_sec: 0, tv_nsec: 0 };
        epoll::wait(&self.set, rustix::buffer::spare_capacity(&mut events), Some(&nothing))?;
        ready.keys.clear();
        ready.drained = events.len() < events.capacity();
        for event in events {
            match event.data.u64() {
                TIMER => {
                    let mut expirations = [0; 8];
                    // Only to make the descriptor unready again; it may have been read before.
                    let _ = rustix::io::read(&self.timer, &mut expirations);
                    self.armed = None;
                }
                key => ready.keys.push(key),
            }
        }
        Ok(())
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }
}

fn interest(writable: bool) -> epoll::EventFlags {
    match writable {
        true => epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::OUT,
        false => epoll::EventFlags::IN | epoll::EventFlags::RDHUP,
    }
}
