/* Prints, through libcurl, what it has loaded. */
#include <curl/curl.h>

int main(void) {
  CURL *curl = curl_easy_init();
  curl_easy_setopt(curl, CURLOPT_URL, "file:///proc/self/maps");
  return curl_easy_perform(curl);
}
