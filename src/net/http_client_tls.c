// SPDX-License-Identifier: MIT
// http_client_tls: see http_client_tls.h. The key's bytes are wiped when they are replaced or
// freed.
#include "http_client_tls.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "files.h"

#define PEM_BYTES_MAX (256U << 10) // a CA file of hundreds of certificates

typedef struct Blob {
    char *bytes;
    size_t len;
} Blob;

typedef struct Blobs {
    Blob ca, cert, key;
} Blobs;

struct HttpClientTls {
    char *ca_file, *cert_file, *key_file;
    Blobs blobs;
};

static void blob_done(Blob *blob)
{
    if (blob->bytes != NULL)
        OPENSSL_cleanse(blob->bytes, blob->len);
    free(blob->bytes);
    *blob = (Blob){0};
}

static void blobs_done(Blobs *blobs)
{
    blob_done(&blobs->ca);
    blob_done(&blobs->cert);
    blob_done(&blobs->key);
}

static int blob_read(const char *path, Blob *blob, Error *reterr)
{
    if (path == NULL)
        return 0;
    return files_read(path, PEM_BYTES_MAX, &blob->bytes, &blob->len, reterr);
}

// Key and certificate must belong together; the CA file must hold at least one certificate.
static int check_pair(const HttpClientTls *tls, const Blobs *blobs, Error *reterr)
{
    int r = 0;
    BIO *ca_bio = BIO_new_mem_buf(blobs->ca.bytes, (int)blobs->ca.len);
    X509 *ca = ca_bio == NULL ? NULL : PEM_read_bio_X509(ca_bio, NULL, NULL, NULL);
    if (tls->ca_file != NULL && ca == NULL)
        r = error_set(reterr, ERROR_FORMAT, "'%s' holds no certificate", tls->ca_file);
    X509_free(ca);
    BIO_free(ca_bio);
    if (r < 0 || tls->cert_file == NULL)
        return r;
    BIO *cert_bio = BIO_new_mem_buf(blobs->cert.bytes, (int)blobs->cert.len);
    BIO *key_bio = BIO_new_mem_buf(blobs->key.bytes, (int)blobs->key.len);
    X509 *cert = cert_bio == NULL ? NULL : PEM_read_bio_X509(cert_bio, NULL, NULL, NULL);
    EVP_PKEY *key = key_bio == NULL ? NULL : PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL);
    if (cert == NULL)
        r = error_set(reterr, ERROR_FORMAT, "'%s' holds no certificate", tls->cert_file);
    else if (key == NULL)
        r = error_set(reterr, ERROR_FORMAT, "'%s' holds no private key", tls->key_file);
    else if (X509_check_private_key(cert, key) != 1)
        r = error_set(reterr, ERROR_FORMAT, "the key '%s' does not belong to '%s'", tls->key_file,
                      tls->cert_file);
    X509_free(cert);
    EVP_PKEY_free(key);
    BIO_free(cert_bio);
    BIO_free(key_bio);
    ERR_clear_error();
    return r;
}

int http_client_tls_reload(HttpClientTls *tls, Error *reterr)
{
    Blobs blobs = {0};
    int r = blob_read(tls->ca_file, &blobs.ca, reterr);
    if (r >= 0)
        r = blob_read(tls->cert_file, &blobs.cert, reterr);
    if (r >= 0)
        r = blob_read(tls->key_file, &blobs.key, reterr);
    if (r >= 0)
        r = check_pair(tls, &blobs, reterr);
    if (r < 0) {
        blobs_done(&blobs);
        return error_wrap(reterr, r, "load certificates");
    }
    blobs_done(&tls->blobs);
    tls->blobs = blobs;
    return 0;
}

int http_client_tls_new(const char *ca_file, const char *cert_file, const char *key_file,
                        HttpClientTls **ret_tls, Error *reterr)
{
    if ((cert_file == NULL) != (key_file == NULL))
        return error_set(reterr, ERROR_USAGE, "a client certificate needs its key, and a key it");
    HttpClientTls *tls = alloc_zeroed(1, sizeof *tls);
    if (tls == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for certificates");
    tls->ca_file = ca_file != NULL ? alloc_strdup(ca_file) : NULL;
    tls->cert_file = cert_file != NULL ? alloc_strdup(cert_file) : NULL;
    tls->key_file = key_file != NULL ? alloc_strdup(key_file) : NULL;
    int r = 0;
    if ((ca_file != NULL && tls->ca_file == NULL) ||
        (cert_file != NULL && (tls->cert_file == NULL || tls->key_file == NULL)))
        r = error_set(reterr, ERROR_MEMORY, "no memory for certificates");
    if (r >= 0)
        r = http_client_tls_reload(tls, reterr);
    if (r < 0) {
        (void)http_client_tls_free(tls);
        return r;
    }
    *ret_tls = tls;
    return 0;
}

static CURLcode set_blob(CURL *easy, CURLoption option, const Blob *blob)
{
    if (blob->bytes == NULL)
        return CURLE_OK;
    struct curl_blob value = {.data = blob->bytes, .len = blob->len, .flags = CURL_BLOB_COPY};
    return curl_easy_setopt(easy, option, &value);
}

int http_client_tls_apply(const HttpClientTls *tls, CURL *easy)
{
    if (tls->ca_file == NULL)
        return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http") == CURLE_OK ? 0 : ERROR_MEMORY;
    if (curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK ||
        set_blob(easy, CURLOPT_CAINFO_BLOB, &tls->blobs.ca) != CURLE_OK ||
        set_blob(easy, CURLOPT_SSLCERT_BLOB, &tls->blobs.cert) != CURLE_OK ||
        set_blob(easy, CURLOPT_SSLKEY_BLOB, &tls->blobs.key) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) != CURLE_OK)
        return ERROR_MEMORY;
    return 0;
}

HttpClientTls *http_client_tls_free(HttpClientTls *tls)
{
    if (tls == NULL)
        return NULL;
    blobs_done(&tls->blobs);
    free(tls->ca_file);
    free(tls->cert_file);
    free(tls->key_file);
    free(tls);
    return NULL;
}
