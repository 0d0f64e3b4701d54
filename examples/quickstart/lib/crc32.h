#ifndef CRC32_H
#define CRC32_H

#include <stddef.h>
#include <stdint.h>

/* The CRC-32 of ISO-HDLC, as zip, gzip and PNG have it, of n bytes; crc is that
 * of the bytes before them, or 0. */
uint32_t crc32(uint32_t crc, const void *data, size_t n);

#endif
