//! Greets from Rust, for programs in C.

use std::ffi::CStr;
use std::os::raw::c_char;

/// Prints a greeting, and how loudly.
///
/// # Safety
///
/// `who` is a C string.
#[no_mangle]
pub unsafe extern "C" fn e2e_greet(who: *const c_char) {
    let who = CStr::from_ptr(who).to_string_lossy();
    // A thread, a mutex and a sine need what rustc says a static library needs.
    let lock = std::sync::Mutex::new(who.len() as f64);
    let sine = std::thread::scope(|s| s.spawn(|| lock.lock().unwrap().sin()).join().unwrap());
    let end = if cfg!(feature = "loud") { "!" } else { "." };
    println!("Hello, {who}, from Rust{end} {}", sine.is_finite());
}
