//! The few functions of the host's libuv that are needed, resolved at run time: a host without them is not an error.

use std::ffi::{c_int, c_uint, c_void};
use std::sync::OnceLock;

/// A libuv handle: memory of the size libuv asks for, owned by us until its close callback has run.
pub type Handle = *mut c_void;
pub type PollCallback = unsafe extern "C" fn(Handle, c_int, c_int);
pub type CloseCallback = unsafe extern "C" fn(Handle);

pub const READABLE: c_int = 1;
pub const WRITABLE: c_int = 2;
pub const DISCONNECT: c_int = 4;

/// `uv_handle_type` of a poll handle; part of libuv 1's stable ABI.
const UV_POLL: c_int = 8;

type SizeOf = unsafe extern "C" fn(c_int) -> usize;
type PollInit = unsafe extern "C" fn(*mut c_void, Handle, c_int) -> c_int;
type PollStart = unsafe extern "C" fn(Handle, c_int, PollCallback) -> c_int;
type OneInt = unsafe extern "C" fn(Handle) -> c_int;
type Close = unsafe extern "C" fn(Handle, CloseCallback);
type One = unsafe extern "C" fn(Handle);
type SetData = unsafe extern "C" fn(Handle, *mut c_void);
type GetData = unsafe extern "C" fn(Handle) -> *mut c_void;

pub struct Libuv {
    handle_size: SizeOf,
    poll_init: PollInit,
    poll_start: PollStart,
    poll_stop: OneInt,
    close: Close,
    reference: One,
    unreference: One,
    set_data: SetData,
    get_data: GetData,
}

impl Libuv {
    /// The host's libuv, when it has one of major version 1.
    pub fn of_host() -> Option<&'static Libuv> {
        static LIBUV: OnceLock<Option<Libuv>> = OnceLock::new();
        LIBUV.get_or_init(Libuv::resolve).as_ref()
    }

    fn resolve() -> Option<Libuv> {
        macro_rules! symbol {
            ($name:literal as $signature:ty) => {{
                // SAFETY: RTLD_DEFAULT with a NUL-terminated name; dlsym has no other requirement.
                let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, $name.as_ptr()) };
                if address.is_null() {
                    return None;
                }
                // SAFETY: the symbol is the function of that name of libuv 1 (its major version is checked before
                // anything is called), whose C signature the field it is stored in repeats.
                unsafe { std::mem::transmute::<*mut c_void, $signature>(address) }
            }};
        }
        let version = symbol!(c"uv_version" as unsafe extern "C" fn() -> c_uint);
        // SAFETY: uv_version takes nothing and only returns a constant.
        if unsafe { version() } >> 16 != 1 {
            return None;
        }
        Some(Libuv {
            handle_size: symbol!(c"uv_handle_size" as SizeOf),
            poll_init: symbol!(c"uv_poll_init" as PollInit),
            poll_start: symbol!(c"uv_poll_start" as PollStart),
            poll_stop: symbol!(c"uv_poll_stop" as OneInt),
            close: symbol!(c"uv_close" as Close),
            reference: symbol!(c"uv_ref" as One),
            unreference: symbol!(c"uv_unref" as One),
            set_data: symbol!(c"uv_handle_set_data" as SetData),
            get_data: symbol!(c"uv_handle_get_data" as GetData),
        })
    }

    /// Memory for one poll handle, zeroed.
    pub fn allocate_poll(&self) -> Handle {
        // SAFETY: uv_handle_size is pure; calloc of a non-zero size gives zeroed memory aligned for any type.
        unsafe { libc::calloc(1, (self.handle_size)(UV_POLL)) }
    }

    /// Give the memory of a handle back.
    ///
    /// # Safety
    /// `handle` came from [`Libuv::allocate_poll`] and is not initialised, or its close callback has run.
    pub unsafe fn free(&self, handle: Handle) {
        // SAFETY: the caller's promise.
        unsafe { libc::free(handle) }
    }

    /// # Safety
    /// `event_loop` is the loop of the calling thread; `handle` is allocated and not initialised.
    pub unsafe fn init(&self, event_loop: *mut c_void, handle: Handle, descriptor: c_int) -> bool {
        // SAFETY: the caller's promise.
        unsafe { (self.poll_init)(event_loop, handle, descriptor) == 0 }
    }

    /// # Safety
    /// `handle` is initialised and not closing; the calling thread is its loop's.
    pub unsafe fn start(&self, handle: Handle, events: c_int, callback: PollCallback) -> bool {
        // SAFETY: the caller's promise.
        unsafe { (self.poll_start)(handle, events, callback) == 0 }
    }

    /// Stop and close; `closed` runs later in the same loop and must free or reuse the memory.
    ///
    /// # Safety
    /// `handle` is initialised and not closing; the calling thread is its loop's.
    pub unsafe fn close(&self, handle: Handle, closed: CloseCallback) {
        // SAFETY: the caller's promise.
        unsafe {
            (self.poll_stop)(handle);
            (self.close)(handle, closed);
        }
    }

    /// Let the handle keep the process alive, or not.
    ///
    /// # Safety
    /// `handle` is initialised; the calling thread is its loop's.
    pub unsafe fn hold_process(&self, handle: Handle, hold: bool) {
        // SAFETY: the caller's promise.
        unsafe { if hold { (self.reference)(handle) } else { (self.unreference)(handle) } }
    }

    /// # Safety
    /// `handle` is allocated.
    pub unsafe fn set_data(&self, handle: Handle, data: *mut c_void) {
        // SAFETY: the caller's promise.
        unsafe { (self.set_data)(handle, data) }
    }

    /// # Safety
    /// `handle` is allocated.
    pub unsafe fn data(&self, handle: Handle) -> *mut c_void {
        // SAFETY: the caller's promise.
        unsafe { (self.get_data)(handle) }
    }
}
