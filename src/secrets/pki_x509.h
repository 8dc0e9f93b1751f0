// SPDX-License-Identifier: MIT
// pki_x509: making and reading keys and certificates with libcrypto; in memory only, for pki.c.
#pragma once
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

#include "error.h"
#include "instant.h"

typedef struct PkiSpec {
    const char *unit;        // OU
    const char *common_name; // CN
    const char *names;       // subjectAltName as OpenSSL writes it: "DNS:a,IP:127.0.0.1"
    const char *usage;       // extendedKeyUsage: "serverAuth", "clientAuth"; NULL: this is a CA
    Wall not_before, not_after;
} PkiSpec;

EVP_PKEY *pki_key_new(Error *reterr); // P-256; NULL on failure
// Signed by `ca` with `ca_key`; for a CA both are NULL and it signs itself. NULL on failure.
X509 *pki_certificate_new(const PkiSpec *spec, EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key,
                          Error *reterr);
// Malloced PEM text, or NULL.
char *pki_certificate_pem(X509 *certificate, size_t *ret_len);
char *pki_key_pem(EVP_PKEY *key, size_t *ret_len);
X509 *pki_certificate_parse(const char *pem, size_t len); // NULL: none in there
EVP_PKEY *pki_key_parse(const char *pem, size_t len);
int pki_certificate_validity(const X509 *certificate, Wall *ret_not_before,
                             Wall *ret_not_after) MUST_CHECK;
// Same subject, names and usage.
bool pki_certificate_matches(X509 *certificate, const PkiSpec *spec);

static inline void pki_key_freep(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
    *key = NULL;
}

static inline void pki_certificate_freep(X509 **certificate)
{
    X509_free(*certificate);
    *certificate = NULL;
}
