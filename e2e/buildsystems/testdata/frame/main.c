#include <frame.h>
#include <stdio.h>

int main(void) {
  printf("a frame of %u\n", frame_width());
  return 0;
}
