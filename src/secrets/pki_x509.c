// SPDX-License-Identifier: MIT
// pki_x509: see pki_x509.h. Subjects are O, OU, CN in this order, so that nginx prints them as
// "CN=...,OU=...,O=wildcam" (RFC 2253 is reversed), which is what its map of peers compares.
// Goes wrong: no memory, or libcrypto without random numbers; the text carries its last error.
#include "pki_x509.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

static int fail(Error *reterr, const char *what)
{
    unsigned long code = ERR_get_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return error_set(reterr, ERROR_UNAVAILABLE, "%s: libcrypto: %s", what,
                     reason != NULL ? reason : "no reason given");
}

EVP_PKEY *pki_key_new(Error *reterr)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    if (key == NULL)
        (void)fail(reterr, "make key");
    return key;
}

// 127 random bits: unpredictable and positive (RFC 5280 4.1.2.2 allows 20 bytes).
static bool set_serial(X509 *certificate)
{
    unsigned char bytes[16];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    bytes[0] = (unsigned char)((bytes[0] & 0x3f) | 0x40);
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool done =
        number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return done;
}

static bool add_entry(X509_NAME *name, const char *field, const char *text)
{
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)text, -1,
                                      -1, 0) == 1;
}

static X509_NAME *subject_new(const PkiSpec *spec)
{
    X509_NAME *name = X509_NAME_new();
    if (name != NULL && add_entry(name, "O", "wildcam") && add_entry(name, "OU", spec->unit) &&
        add_entry(name, "CN", spec->common_name))
        return name;
    X509_NAME_free(name);
    return NULL;
}

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&context);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool done = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return done;
}

static bool add_extensions(X509 *certificate, X509 *issuer, const PkiSpec *spec)
{
    bool ca = spec->usage == NULL;
    const struct {
        int nid;
        const char *value;
    } rows[] = {
        {NID_basic_constraints, ca ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE"},
        {NID_key_usage, ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature"},
        {NID_subject_key_identifier, "hash"},
        {NID_authority_key_identifier, "keyid:always"},
        {NID_ext_key_usage, spec->usage},
        {NID_subject_alt_name, spec->names},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].value != NULL &&
            !add_extension(certificate, issuer, rows[i].nid, rows[i].value))
            return false;
    }
    return true;
}

X509 *pki_certificate_new(const PkiSpec *spec, EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key,
                          Error *reterr)
{
    X509 *certificate CLEANUP(pki_certificate_freep) = X509_new();
    X509_NAME *subject = subject_new(spec);
    bool done =
        certificate != NULL && subject != NULL && X509_set_version(certificate, X509_VERSION_3) &&
        set_serial(certificate) && X509_set_subject_name(certificate, subject) &&
        X509_set_issuer_name(certificate, ca != NULL ? X509_get_subject_name(ca) : subject) &&
        X509_set_pubkey(certificate, key) &&
        ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)(spec->not_before.ns / NS_PER_S)) !=
            NULL &&
        ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)(spec->not_after.ns / NS_PER_S)) !=
            NULL &&
        add_extensions(certificate, ca != NULL ? ca : certificate, spec) &&
        X509_sign(certificate, ca_key != NULL ? ca_key : key, EVP_sha256()) != 0;
    X509_NAME_free(subject);
    if (!done) {
        (void)fail(reterr, "make certificate");
        return NULL;
    }
    X509 *made = certificate;
    certificate = NULL;
    return made;
}

// Hands the memory BIO's text over as a malloced, NUL-terminated copy.
static char *take_text(BIO *bio, bool written, size_t *ret_len)
{
    char *data = NULL, *text = NULL;
    long len = written ? BIO_get_mem_data(bio, &data) : 0;
    if (len > 0)
        text = alloc_zeroed((size_t)len + 1, 1);
    if (text != NULL) {
        memcpy(text, data, (size_t)len);
        *ret_len = (size_t)len;
    }
    BIO_free(bio);
    return text;
}

char *pki_certificate_pem(X509 *certificate, size_t *ret_len)
{
    BIO *bio = BIO_new(BIO_s_mem());
    return take_text(bio, bio != NULL && PEM_write_bio_X509(bio, certificate) == 1, ret_len);
}

char *pki_key_pem(EVP_PKEY *key, size_t *ret_len)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    return take_text(
        bio, bio != NULL && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1,
        ret_len);
}

static BIO *reader(const char *pem, size_t len)
{
    return len <= INT32_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
}

X509 *pki_certificate_parse(const char *pem, size_t len)
{
    BIO *bio = reader(pem, len);
    X509 *certificate = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return certificate;
}

// An encrypted key must not make libcrypto ask the terminal for a password.
static int no_password(char *buffer, int size, int rwflag, void *context)
{
    return -1;
}

EVP_PKEY *pki_key_parse(const char *pem, size_t len)
{
    BIO *bio = reader(pem, len);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return key;
}

static bool to_wall(const ASN1_TIME *time, Wall *ret_wall)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days, seconds;
    bool done = epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, time) == 1;
    ASN1_TIME_free(epoch);
    if (done)
        ret_wall->ns = ((int64_t)days * 86400 + seconds) * NS_PER_S;
    return done;
}

int pki_certificate_validity(const X509 *certificate, Wall *ret_not_before, Wall *ret_not_after)
{
    Wall before, after;
    if (!to_wall(X509_get0_notBefore(certificate), &before) ||
        !to_wall(X509_get0_notAfter(certificate), &after))
        return ERROR_FORMAT;
    *ret_not_before = before;
    *ret_not_after = after;
    return 0;
}

static bool same_extension(X509 *certificate, int nid, const char *value)
{
    int at = X509_get_ext_by_NID(certificate, nid, -1);
    if (value == NULL || at < 0)
        return value == NULL && at < 0;
    X509_EXTENSION *wanted = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    X509_EXTENSION *present = X509_get_ext(certificate, at);
    bool same = wanted != NULL && ASN1_OCTET_STRING_cmp(X509_EXTENSION_get_data(wanted),
                                                        X509_EXTENSION_get_data(present)) == 0;
    X509_EXTENSION_free(wanted);
    ERR_clear_error();
    return same;
}

bool pki_certificate_matches(X509 *certificate, const PkiSpec *spec)
{
    X509_NAME *subject = subject_new(spec);
    bool same = subject != NULL &&
                X509_NAME_cmp(subject, X509_get_subject_name(certificate)) == 0 &&
                same_extension(certificate, NID_subject_alt_name, spec->names) &&
                same_extension(certificate, NID_ext_key_usage, spec->usage);
    X509_NAME_free(subject);
    return same;
}
