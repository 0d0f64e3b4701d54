//! Prints a greeting that a C++ library composes. The library comes from the
//! package that `build.rs` links.

use std::ffi::CString;
use std::os::raw::{c_char, c_int};

extern "C" {
    /// Of `ocipkg_example.h`: writes the greeting to the `n` bytes at `out` and
    /// returns its length.
    fn ocipkg_example_greet(who: *const c_char, out: *mut c_char, n: usize) -> c_int;
}

fn greet(who: &str) -> String {
    let who = CString::new(who).expect("a name has no zero byte");
    let mut out = [0u8; 256];
    let length = unsafe {
        // SAFETY: who is a C string, and out has the length that is given.
        ocipkg_example_greet(who.as_ptr(), out.as_mut_ptr().cast(), out.len())
    };
    let length = usize::try_from(length).expect("the library fails for no name");
    String::from_utf8_lossy(&out[..length.min(out.len() - 1)]).into_owned()
}

fn main() {
    let who = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "Rust".to_string());
    println!("{}", greet(&who));
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_library_greets() {
        assert_eq!(super::greet("Rust"), "Hello, Rust, from C++!");
    }
}
