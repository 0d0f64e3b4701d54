/* Compresses and decompresses ten megabytes with zlib. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define SIZE 10000000UL

/* Prints where the process has zlib in its memory, if from a shared library. */
static void print_mappings(void) {
  char line[4096];
  FILE *maps = fopen("/proc/self/maps", "r");
  while (maps && fgets(line, sizeof line, maps))
    if (strstr(line, "libz.")) fputs(line, stdout);
}

int main(void) {
  unsigned char *in = malloc(SIZE), *back = malloc(SIZE);
  uLongf packed_size = compressBound(SIZE), back_size = SIZE;
  unsigned char *packed = malloc(packed_size);
  unsigned long state = 1;
  for (unsigned long i = 0; i < SIZE; i++) {
    state = state * 6364136223846793005UL + 1442695040888963407UL;
    in[i] = "ocipkg zlib "[state >> 61];
  }
  if (compress2(packed, &packed_size, in, SIZE, 1) != Z_OK) return 1;
  if (uncompress(back, &back_size, packed, packed_size) != Z_OK) return 2;
  if (back_size != SIZE || memcmp(in, back, SIZE) != 0) return 3;
  if (packed_size > SIZE / 2) return 4;
  printf("zlib %s: %lu bytes came back\n", zlibVersion(), (unsigned long)back_size);
  print_mappings();
  return 0;
}
