/* Calls one function of each library. */
#include <curl/curl.h>
#include <libssh2.h>
#include <lz4.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <zstd.h>

int main(void) {
  SSL_CTX *context = SSL_CTX_new(TLS_method());
  printf("curl %d, libssh2 %d, lz4 %d, openssl %d, ssl %d, sqlite3 %d, zstd %d\n", curl_version() != NULL,
         libssh2_version(0) != NULL, LZ4_versionNumber() == LZ4_VERSION_NUMBER,
         OpenSSL_version_num() == OPENSSL_VERSION_NUMBER, context != NULL,
         sqlite3_libversion_number() == SQLITE_VERSION_NUMBER, ZSTD_versionNumber() == ZSTD_VERSION_NUMBER);
  return 0;
}
