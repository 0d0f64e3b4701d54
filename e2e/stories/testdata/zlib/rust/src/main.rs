//! Compresses and decompresses ten megabytes with zlib.

use std::ffi::CStr;
use std::os::raw::{c_char, c_int, c_ulong};

extern "C" {
    fn zlibVersion() -> *const c_char;
    fn compressBound(size: c_ulong) -> c_ulong;
    fn compress2(to: *mut u8, to_size: *mut c_ulong, from: *const u8, size: c_ulong, level: c_int) -> c_int;
    fn uncompress(to: *mut u8, to_size: *mut c_ulong, from: *const u8, size: c_ulong) -> c_int;
}

const SIZE: usize = 10_000_000;

fn main() {
    let input: Vec<u8> = (0..SIZE).map(|i| b"ocipkg and zlib!"[(i * i / 7) % 16]).collect();
    let mut back = vec![0u8; SIZE];
    let mut back_size = SIZE as c_ulong;
    let version = unsafe {
        // SAFETY: each buffer has the size that is given with it.
        let mut packed_size = compressBound(SIZE as c_ulong);
        let mut packed = vec![0u8; packed_size as usize];
        assert_eq!(0, compress2(packed.as_mut_ptr(), &mut packed_size, input.as_ptr(), SIZE as c_ulong, 1));
        assert!(packed_size < SIZE as c_ulong / 2);
        assert_eq!(0, uncompress(back.as_mut_ptr(), &mut back_size, packed.as_ptr(), packed_size));
        CStr::from_ptr(zlibVersion()).to_str().unwrap()
    };
    assert!(back_size as usize == SIZE && back == input);
    println!("zlib {version}: {SIZE} bytes came back");
    for line in std::fs::read_to_string("/proc/self/maps").unwrap().lines() {
        if line.contains("libz.") {
            println!("{line}");
        }
    }
}
