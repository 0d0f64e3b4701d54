#include <png.h>

#include "frame.h"

unsigned frame_width(void) { return png_access_version_number() / 10000; }
