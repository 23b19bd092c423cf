//! Daemon threads while the program ends.
//!
//! CPython before 3.14 ends a daemon thread at its next request for the interpreter, by `pthread_exit`. On glibc that unwinds the
//! thread's stack by force, native frames included. A frame of Rust cannot be unwound that way: it aborts the process, or it
//! drops Python objects without the interpreter. CPython 3.14 hangs the thread instead, and so does this file.
//!
//! The unwinder asks the personality routine of each frame that has something to clean up (Itanium C++ ABI, Exception Handling,
//! 1.6: <https://itanium-cxx-abi.github.io/cxx-abi/abi-eh.html#base-personality>). All frames of Rust in this library find theirs through
//! one pointer. [`hang_threads_at_exit`] puts [`personality`] there, which hangs the thread at the first such frame of a forced
//! unwinding and passes everything else on. It depends neither on the version of Python nor on which of its functions are called.
//! Where no unwinding is forced (CPython 3.14, musl, macOS, Windows) nothing is to be done.

use std::ffi::{c_int, c_void};
use std::mem::transmute;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

type Personality = unsafe extern "C" fn(c_int, c_int, u64, *mut c_void, *mut c_void) -> c_int;

/// `_UA_FORCE_UNWIND`.
const FORCED: c_int = 8;

unsafe extern "C" {
    /// The pointer that unwind tables of this library refer to, by the name that LLVM and GCC give it.
    #[link_name = "DW.ref.rust_eh_personality"]
    static POINTER: AtomicPtr<c_void>;
}

/// What the pointer held at first.
static OF_RUST: OnceLock<Personality> = OnceLock::new();

/// Has a thread that is unwound by force hang at its first frame of Rust.
pub(super) fn hang_threads_at_exit() {
    // SAFETY: the pointer lies in writable data, aligned, and unwinders only read it.
    let pointer = unsafe { &POINTER };
    // SAFETY: the pointer is for a personality routine, and always holds one.
    OF_RUST.get_or_init(|| unsafe { transmute::<*mut c_void, Personality>(pointer.load(Ordering::Relaxed)) });
    pointer.store(personality as *mut c_void, Ordering::Release);
}

unsafe extern "C" fn personality(
    version: c_int,
    actions: c_int,
    class: u64,
    exception: *mut c_void,
    context: *mut c_void,
) -> c_int {
    if actions & FORCED != 0 {
        loop {
            std::thread::park();
        }
    }
    // No wait: it is set before the pointer that led here.
    let of_rust = OF_RUST.wait();
    // SAFETY: the unwinder's own arguments.
    unsafe { of_rust(version, actions, class, exception, context) }
}
