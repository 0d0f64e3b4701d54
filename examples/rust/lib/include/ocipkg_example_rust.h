#ifndef OCIPKG_EXAMPLE_RUST_H
#define OCIPKG_EXAMPLE_RUST_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Writes "Hello, WHO, from Rust!" with its closing zero to the n bytes at out,
 * cut off where they are too few, and returns its whole length in bytes, as
 * snprintf does. With n = 0, out may be null. Returns -1 when who is null.
 */
int ocipkg_example_rust_greet(const char *who, char *out, size_t n);

#ifdef __cplusplus
}
#endif

#endif
