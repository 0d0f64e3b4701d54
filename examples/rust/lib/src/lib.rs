//! A library with a C interface; see `include/ocipkg_example_rust.h`.

use std::ffi::CStr;
use std::os::raw::{c_char, c_int};

/// Writes a greeting, as `snprintf` would.
///
/// # Safety
///
/// `who` must be null or a C string, and `out` must point to `n` bytes.
#[no_mangle]
pub unsafe extern "C" fn ocipkg_example_rust_greet(
    who: *const c_char,
    out: *mut c_char,
    n: usize,
) -> c_int {
    if who.is_null() {
        return -1;
    }
    let who = CStr::from_ptr(who).to_string_lossy();
    let text = format!("Hello, {who}, from Rust!");
    if n > 0 {
        let copied = text.len().min(n - 1);
        text.as_ptr().cast::<c_char>().copy_to(out, copied);
        out.add(copied).write(0);
    }
    c_int::try_from(text.len()).unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greet(n: usize) -> (c_int, String) {
        let mut out = [b'#'; 64];
        let who = b"you\0";
        unsafe {
            let length = ocipkg_example_rust_greet(who.as_ptr().cast(), out.as_mut_ptr().cast(), n);
            let text = CStr::from_ptr(out.as_ptr().cast());
            (length, text.to_str().unwrap().to_string())
        }
    }

    #[test]
    fn the_greeting_is_written_and_measured() {
        assert_eq!(greet(64), (22, "Hello, you, from Rust!".to_string()));
    }

    #[test]
    fn a_short_buffer_gets_a_cut_greeting() {
        assert_eq!(greet(6), (22, "Hello".to_string()));
    }

    #[test]
    fn null_is_nobody_to_greet() {
        let length =
            unsafe { ocipkg_example_rust_greet(std::ptr::null(), std::ptr::null_mut(), 0) };
        assert_eq!(length, -1);
    }
}
