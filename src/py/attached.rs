//! Whether the calling thread is attached to the interpreter.

/// The function of the interpreter that says so.
#[cfg(not(feature = "abi3"))]
pub(super) fn is_attached() -> bool {
    // SAFETY: it may be called by any thread.
    unsafe { pyo3::ffi::PyGILState_Check() == 1 }
}

/// The same function, looked up by its name: it is in every CPython, and not in the stable interface, which has none that a
/// thread without the interpreter may call before 3.12. Only forks ask, so that where there are none, no thread is attached.
#[cfg(feature = "abi3")]
pub(super) fn is_attached() -> bool {
    #[cfg(unix)]
    {
        use std::ffi::c_int;
        use std::mem::transmute;

        type Check = unsafe extern "C" fn() -> c_int;
        static CHECK: crate::sync::OnceLock<Option<Check>> = crate::sync::OnceLock::new();

        // SAFETY: a name that ends; what is found under it has that signature in every version.
        let find = || unsafe {
            transmute::<*mut libc::c_void, Option<Check>>(libc::dlsym(libc::RTLD_DEFAULT, c"PyGILState_Check".as_ptr()))
        };
        // SAFETY: it may be called by any thread.
        CHECK.get_or_init(find).is_some_and(|check| unsafe { check() } == 1)
    }
    #[cfg(not(unix))]
    false
}
