/* Encodes an image as PNG and decodes it, both with libpng. */
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIDE 64

/* Prints where the process has the libraries in its memory, if they are shared. */
static void print_mappings(void) {
  char line[4096];
  FILE *maps = fopen("/proc/self/maps", "r");
  while (maps && fgets(line, sizeof line, maps))
    if (strstr(line, "libz.") || strstr(line, "libpng")) fputs(line, stdout);
}

int main(void) {
  static unsigned char in[SIDE * SIDE * 3], back[SIDE * SIDE * 3], file[1 << 16];
  png_alloc_size_t size = sizeof file;
  unsigned long sum = 0;
  png_image image;
  for (int i = 0; i < SIDE * SIDE; i++) {
    in[3 * i] = i % SIDE * 4;
    in[3 * i + 1] = i / SIDE * 4;
    in[3 * i + 2] = (i * i) >> 7;
  }
  memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  image.width = image.height = SIDE;
  image.format = PNG_FORMAT_RGB;
  if (!png_image_write_to_memory(&image, file, &size, 0, in, 0, NULL)) return 1;
  memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_memory(&image, file, size)) return 2;
  image.format = PNG_FORMAT_RGB;
  if (!png_image_finish_read(&image, NULL, back, 0, NULL)) return 3;
  if (memcmp(in, back, sizeof in) != 0) return 4;
  for (png_alloc_size_t i = 0; i < size; i++) sum = (sum * 31 + file[i]) % 1000000007;
  printf("a PNG of %lu bytes, %lu, came back\n", (unsigned long)size, sum);
  print_mappings();
  return 0;
}
