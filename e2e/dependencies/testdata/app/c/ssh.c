/* Says what the libssh2 that it was linked with can do, and what it needs. */
#include <libssh2.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  const char **methods;
  LIBSSH2_SESSION *session;
  int i, n;
  if (libssh2_init(0) != 0 || !(session = libssh2_session_init()))
    return 1;
  libssh2_session_flag(session, LIBSSH2_FLAG_COMPRESS, 1);
  n = libssh2_session_supported_algs(session, LIBSSH2_METHOD_COMP_CS, &methods);
  printf("libssh2 %d compresses:", strcmp(libssh2_version(0), LIBSSH2_VERSION) == 0);
  for (i = 0; i < n; i++)
    printf(" %s", methods[i]);
  puts("");
  return 0;
}
