use std::ffi::CStr;
use std::os::raw::{c_char, c_int, c_void};

extern "C" {
    fn libssh2_init(flags: c_int) -> c_int;
    fn libssh2_session_init_ex(a: *const c_void, f: *const c_void, r: *const c_void, o: *const c_void) -> *mut c_void;
    fn libssh2_session_flag(session: *mut c_void, flag: c_int, value: c_int) -> c_int;
    fn libssh2_session_supported_algs(session: *mut c_void, method: c_int, algs: *mut *const *const c_char) -> c_int;
    fn libssh2_version(required: c_int) -> *const c_char;
}

/// Tells what the libssh2 that it was linked with can do, and what it needs.
fn main() {
    const COMPRESS: c_int = 2;
    const COMPRESSION_TO_THE_SERVER: c_int = 6;
    let null = std::ptr::null();
    unsafe {
        assert_eq!(libssh2_init(0), 0);
        let session = libssh2_session_init_ex(null, null, null, null);
        libssh2_session_flag(session, COMPRESS, 1);
        let mut methods: *const *const c_char = std::ptr::null();
        let n = libssh2_session_supported_algs(session, COMPRESSION_TO_THE_SERVER, &mut methods);
        let version = CStr::from_ptr(libssh2_version(0)).to_str().unwrap();
        print!("libssh2 {} compresses:", version.starts_with("1.10") as i32);
        for i in 0..n as usize {
            print!(" {}", CStr::from_ptr(*methods.add(i)).to_str().unwrap());
        }
        println!();
    }
}
