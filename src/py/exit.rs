//! Daemon threads while the program ends.
//!
//! When a program ends, CPython before 3.14 ends a daemon thread where that next asks for the interpreter: by `pthread_exit`,
//! which on glibc unwinds the thread's stack. A thread that native code has called back into Python from has frames of Rust
//! on its stack, over which it cannot be unwound, so the whole process was aborted. CPython 3.14 has such a thread hang, and so do
//! the functions here: calls from Rust into Python go through them, by order of the linker (see build.rs), and the first frame
//! of Rust that is reached hangs the thread. PyO3 does the same where a thread attaches. Elsewhere than on glibc nothing is unwound.

use std::ffi::{c_char, c_int, c_long, c_void};

type Object = *mut c_void;
#[cfg(Py_3_11)]
type Vectorcall = unsafe extern "C-unwind" fn(Object, *const Object, usize, Object) -> Object;

/// Dropped, it hangs the thread.
struct HangWhereUnwound;

impl Drop for HangWhereUnwound {
    fn drop(&mut self) {
        loop {
            std::thread::park();
        }
    }
}

// Whatever may run Python code, or the garbage collector, and is called by PyO3. A call of one argument goes another way on 3.9 and 3.10,
// which nothing can stand in.
proxywhirl_macros::hang_where_unwound! {
    fn PyObject_Call(callable: Object, arguments: Object, keywords: Object) -> Object;
    fn PyObject_CallNoArgs(callable: Object) -> Object;
    #[cfg(Py_3_11)]
    fn PyObject_Vectorcall(callable: Object, arguments: *const Object, count: usize, names: Object) -> Object;
    #[cfg(not(Py_3_12))]
    fn _PyObject_MakeTpCall(thread: Object, callable: Object, arguments: *const Object, count: isize, names: Object) -> Object;
    #[cfg(Py_3_12)]
    fn PyObject_CallOneArg(callable: Object, argument: Object) -> Object;
    #[cfg(Py_3_13)]
    fn PyObject_GetOptionalAttr(object: Object, name: Object, value: *mut Object) -> c_int;
    #[cfg(Py_3_13)]
    fn PyDict_GetItemRef(dict: Object, key: Object, value: *mut Object) -> c_int;
    fn PyObject_VectorcallDict(callable: Object, arguments: *const Object, count: usize, keywords: Object) -> Object;
    fn PyObject_VectorcallMethod(name: Object, arguments: *const Object, count: usize, names: Object) -> Object;
    fn PyObject_GetAttr(object: Object, name: Object) -> Object;
    fn PyObject_SetAttr(object: Object, name: Object, value: Object) -> c_int;
    fn PyObject_SetAttrString(object: Object, name: *const c_char, value: Object) -> c_int;
    fn PyObject_GetItem(object: Object, key: Object) -> Object;
    fn PyObject_SetItem(object: Object, key: Object, value: Object) -> c_int;
    fn PyObject_DelItem(object: Object, key: Object) -> c_int;
    fn PyObject_GetIter(object: Object) -> Object;
    fn PyIter_Next(iterator: Object) -> Object;
    fn PyObject_IsInstance(object: Object, class: Object) -> c_int;
    fn PyObject_IsTrue(object: Object) -> c_int;
    fn PyObject_LengthHint(object: Object, default: isize) -> isize;
    fn PyObject_Repr(object: Object) -> Object;
    fn PyObject_Str(object: Object) -> Object;
    fn PyObject_RichCompare(one: Object, other: Object, operation: c_int) -> Object;
    fn PyObject_Size(object: Object) -> isize;
    fn PyImport_Import(name: Object) -> Object;
    fn PyDict_Contains(dict: Object, key: Object) -> c_int;
    fn PyDict_GetItemWithError(dict: Object, key: Object) -> Object;
    fn PyDict_SetItem(dict: Object, key: Object, value: Object) -> c_int;
    fn PyDict_DelItem(dict: Object, key: Object) -> c_int;
    fn PyDict_Update(dict: Object, other: Object) -> c_int;
    fn PyDict_New() -> Object;
    fn PyList_New(length: isize) -> Object;
    fn PyTuple_New(length: isize) -> Object;
    fn PySet_New(iterable: Object) -> Object;
    fn PySet_Add(set: Object, key: Object) -> c_int;
    fn PyMapping_Keys(object: Object) -> Object;
    fn PyMapping_Values(object: Object) -> Object;
    fn PyMapping_Size(object: Object) -> isize;
    fn PyNumber_Index(object: Object) -> Object;
    fn PyFloat_AsDouble(object: Object) -> f64;
    fn PyLong_AsLong(object: Object) -> c_long;
    fn PyOS_FSPath(object: Object) -> Object;
    fn PySequence_GetItem(object: Object, index: isize) -> Object;
    fn PyErr_CheckSignals() -> c_int;
    fn PyErr_NormalizeException(class: *mut Object, value: *mut Object, traceback: *mut Object) -> ();
    fn PyErr_SetObject(class: Object, value: Object) -> ();
    fn PyErr_WriteUnraisable(object: Object) -> ();
    fn PyErr_PrintEx(remember: c_int) -> ();
    fn PyErr_GivenExceptionMatches(given: Object, wanted: Object) -> c_int;
    fn PyTraceBack_Print(traceback: Object, file: Object) -> c_int;
    fn _Py_Dealloc(object: Object) -> ();
}

/// From 3.11 on PyO3 asks for the vectorcall function of a callable and calls that. It gets one that asks again and calls in
/// the way of all others here.
#[cfg(Py_3_11)]
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn __wrap_PyVectorcall_Function(callable: Object) -> Option<Vectorcall> {
    // SAFETY: the caller's promise.
    unsafe { __real_PyVectorcall_Function(callable) }.map(|_| call_again as Vectorcall)
}

#[cfg(Py_3_11)]
unsafe extern "C-unwind" fn call_again(
    callable: Object,
    arguments: *const Object,
    count: usize,
    names: Object,
) -> Object {
    let hang = HangWhereUnwound;
    // SAFETY: PyO3 calls this as it would call the function itself, at once, so that there still is one.
    let returned = unsafe {
        match __real_PyVectorcall_Function(callable) {
            Some(function) => function(callable, arguments, count, names),
            None => std::ptr::null_mut(),
        }
    };
    std::mem::forget(hang);
    returned
}

#[cfg(Py_3_11)]
unsafe extern "C-unwind" {
    fn __real_PyVectorcall_Function(callable: Object) -> Option<Vectorcall>;
}
