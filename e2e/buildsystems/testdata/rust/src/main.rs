//! Encodes an image as PNG and decodes it, both with libpng; as main.c does.

use std::os::raw::{c_char, c_int, c_void};
use std::ptr::{null, null_mut};

const SIDE: usize = 64;
const FORMAT_RGB: u32 = 2;

/// png_image of png.h, version 1.
#[repr(C)]
struct Image {
    opaque: *mut c_void,
    version: u32,
    width: u32,
    height: u32,
    format: u32,
    flags: u32,
    colormap_entries: u32,
    warning_or_error: u32,
    message: [c_char; 64],
}

impl Image {
    fn new() -> Image {
        let mut image: Image = unsafe { std::mem::zeroed() };
        image.version = 1;
        image
    }
}

extern "C" {
    fn png_image_write_to_memory(image: *mut Image, memory: *mut c_void, size: *mut usize, to_8_bit: c_int, buffer: *const c_void, stride: i32, colormap: *const c_void) -> c_int;
    fn png_image_begin_read_from_memory(image: *mut Image, memory: *const c_void, size: usize) -> c_int;
    fn png_image_finish_read(image: *mut Image, background: *const c_void, buffer: *mut c_void, stride: i32, colormap: *mut c_void) -> c_int;
}

fn main() {
    let zlib = unsafe { std::ffi::CStr::from_ptr(libz_sys::zlibVersion()) };
    assert!(zlib.to_bytes().starts_with(b"1."));
    let mut pixels = vec![0u8; SIDE * SIDE * 3];
    for i in 0..SIDE * SIDE {
        pixels[3 * i] = (i % SIDE * 4) as u8;
        pixels[3 * i + 1] = (i / SIDE * 4) as u8;
        pixels[3 * i + 2] = ((i * i) >> 7) as u8;
    }
    let mut file = vec![0u8; 1 << 16];
    let mut size = file.len();
    let mut back = vec![0u8; pixels.len()];
    unsafe {
        let mut image = Image::new();
        image.width = SIDE as u32;
        image.height = SIDE as u32;
        image.format = FORMAT_RGB;
        assert_ne!(png_image_write_to_memory(&mut image, file.as_mut_ptr().cast(), &mut size, 0, pixels.as_ptr().cast(), 0, null()), 0);
        let mut image = Image::new();
        assert_ne!(png_image_begin_read_from_memory(&mut image, file.as_ptr().cast(), size), 0);
        image.format = FORMAT_RGB;
        assert_ne!(png_image_finish_read(&mut image, null(), back.as_mut_ptr().cast(), 0, null_mut()), 0);
    }
    assert!(pixels == back);
    let sum = file[..size].iter().fold(0u64, |sum, &byte| (sum * 31 + u64::from(byte)) % 1_000_000_007);
    println!("a PNG of {size} bytes, {sum}, came back");
    for line in std::fs::read_to_string("/proc/self/maps").unwrap().lines() {
        if line.contains("libz.") || line.contains("libpng") {
            println!("{line}");
        }
    }
}
