#include "ocipkg_example.h"

#include <algorithm>
#include <cstring>
#include <string>

int ocipkg_example_greet(const char *who, char *out, size_t n) {
  const std::string text = "Hello, " + std::string(who) + ", from C++!";
  if (n > 0) {
    const size_t length = std::min(text.size(), n - 1);
    std::memcpy(out, text.data(), length);
    out[length] = '\0';
  }
  return static_cast<int>(text.size());
}
