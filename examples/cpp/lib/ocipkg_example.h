#ifndef OCIPKG_EXAMPLE_H
#define OCIPKG_EXAMPLE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes "Hello, WHO, from C++!" into the n bytes at out, cut short and ended
 * with a NUL byte where there is room for one, and gives its whole length. */
int ocipkg_example_greet(const char *who, char *out, size_t n);

#ifdef __cplusplus
}
#endif

#endif
