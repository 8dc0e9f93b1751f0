// SPDX-License-Identifier: MIT
// http_client_tls: the client's CA, certificate and key as bytes in memory. Why not paths: curl
// matches kept connections by these bytes, so new files mean new connections, and a pair is checked
// before it is used instead of failing every request while somebody is writing the second file.
#pragma once
#include <curl/curl.h>

#include "error.h"

typedef struct HttpClientTls HttpClientTls;

// Paths may be NULL (no CA: TLS is refused; no certificate: none is shown). Copies the paths.
int http_client_tls_new(const char *ca_file, const char *cert_file, const char *key_file,
                        HttpClientTls **ret_tls, Error *reterr) MUST_CHECK;
int http_client_tls_reload(HttpClientTls *tls, Error *reterr) MUST_CHECK;
// Sets the options of one transfer; curl copies the bytes.
int http_client_tls_apply(const HttpClientTls *tls, CURL *easy) MUST_CHECK;
HttpClientTls *http_client_tls_free(HttpClientTls *tls);
