// SPDX-License-Identifier: MIT
// pki: see pki.h. What is on disk is judged by content (signed by this CA, names, key, time), not
// by file dates: a changed address or domain in fleet.yaml, a restored backup or a new CA all lead
// to the same thing, a new pair. Unreadable or malformed files are replaced, too.
#include "pki.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "bounds.h"
#include "files.h"
#include "layout.h"
#include "pki_files.h"
#include "pki_x509.h"

// Validity starts before `now`, so that a peer whose clock is behind accepts it.
#define BACKDATE_NS (3600 * NS_PER_S)
#define CA_LIFETIME_NS (INT64_C(1825) * 86400 * NS_PER_S)
#define NAMES_MAX 512

typedef struct Loaded {
    PkiPair pair;
    X509 *certificate;
    EVP_PKEY *key;
} Loaded;

typedef struct Names {
    char common_name[BOUND_NAME + 1];
    char alternative[NAMES_MAX];
} Names;

static void loaded_done(Loaded *loaded)
{
    pki_pair_done(&loaded->pair);
    pki_certificate_freep(&loaded->certificate);
    pki_key_freep(&loaded->key);
}

// ERROR_CORRUPT when the files are no certificate and its key.
static int load_pair(const char *base, Loaded *ret_loaded, Error *reterr)
{
    Loaded loaded = {0};
    int r = pki_pair_read(base, &loaded.pair, reterr);
    if (r < 0)
        return r;
    loaded.certificate =
        pki_certificate_parse(loaded.pair.certificate, loaded.pair.certificate_len);
    loaded.key = pki_key_parse(loaded.pair.key, loaded.pair.key_len);
    if (loaded.certificate == NULL || loaded.key == NULL ||
        X509_check_private_key(loaded.certificate, loaded.key) != 1) {
        loaded_done(&loaded);
        return error_set(reterr, ERROR_CORRUPT, "%s.pem, %s.key: no certificate and its key", base,
                         base);
    }
    *ret_loaded = loaded;
    return 0;
}

static int save_pair(const char *base, X509 *certificate, EVP_PKEY *key, Error *reterr)
{
    PkiPair pair = {0};
    pair.certificate = pki_certificate_pem(certificate, &pair.certificate_len);
    pair.key = pki_key_pem(key, &pair.key_len);
    BIGNUM *serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *tag = serial != NULL ? BN_bn2hex(serial) : NULL;
    int r = pair.certificate == NULL || pair.key == NULL || tag == NULL
                ? error_set(reterr, ERROR_MEMORY, "%s: out of memory", base)
                : pki_pair_replace(base, tag, &pair, reterr);
    OPENSSL_free(tag);
    BN_free(serial);
    pki_pair_done(&pair);
    return r;
}

static bool valid_at(const X509 *certificate, Wall now)
{
    Wall before, after;
    return pki_certificate_validity(certificate, &before, &after) == 0 && before.ns <= now.ns &&
           now.ns < after.ns;
}

int pki_ensure_ca(const char *dir, Wall now, bool *ret_made, Error *reterr)
{
    LayoutPath base = layout_dir(dir, "pki/ca");
    Loaded present = {0};
    // A CA that ends within a month would cut the certificates under it short.
    bool good = load_pair(base.text, &present, NULL) == 0 && valid_at(present.certificate, now) &&
                valid_at(present.certificate, wall_add(now, 30 * 86400 * NS_PER_S));
    loaded_done(&present);
    if (ret_made != NULL)
        *ret_made = !good;
    if (good)
        return 0;
    int r = files_make_dirs(layout_dir(dir, "pki").text, 0700, reterr);
    if (r < 0)
        return r;
    EVP_PKEY *key CLEANUP(pki_key_freep) = pki_key_new(reterr);
    if (key == NULL)
        return ERROR_UNAVAILABLE;
    const PkiSpec spec = {.unit = "ca",
                          .common_name = "wildcam local CA",
                          .not_before = wall_add(now, -BACKDATE_NS),
                          .not_after = wall_add(now, CA_LIFETIME_NS)};
    X509 *certificate CLEANUP(pki_certificate_freep) =
        pki_certificate_new(&spec, key, NULL, NULL, reterr);
    if (certificate == NULL)
        return ERROR_UNAVAILABLE;
    return save_pair(base.text, certificate, key, reterr);
}

static int load_ca(const char *dir, Loaded *ret_ca, Error *reterr)
{
    int r = load_pair(layout_dir(dir, "pki/ca").text, ret_ca, reterr);
    return r < 0 ? error_wrap(reterr, r, "certificate authority") : 0;
}

static void clean_user(const char *user, char *text, size_t size)
{
    static const char ALLOWED[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    (void)snprintf(text, size, "%s", user[0] != '\0' ? user : "operator");
    for (char *at = text; (at += strspn(at, ALLOWED))[0] != '\0';)
        *at = '_';
}

// Fills in the subject and names of processes.md; `names` owns the texts.
static int describe(const PkiRequest *request, Wall now, Names *names, PkiSpec *ret_spec,
                    Error *reterr)
{
    static const struct {
        const char *unit, *usage;
    } KINDS[PKI_KIND_MAX] = {
        [PKI_KIND_EDGE] = {"edge", "serverAuth"},
        [PKI_KIND_PEER] = {"gateway", "clientAuth"},
        [PKI_KIND_PG] = {"database", "serverAuth"},
        [PKI_KIND_OPERATOR] = {"admin", "clientAuth"},
    };
    const char *r = request->region, *d = request->domain, *a = request->address;
    char *text = names->alternative;
    int n = 0;
    switch (request->kind) {
    case PKI_KIND_EDGE:
        n = snprintf(text, NAMES_MAX, "DNS:api.%s,DNS:backup.api.%s,DNS:%s.gateway.%s,DNS:%s,IP:%s",
                     d, d, r, d, d, a);
        break;
    case PKI_KIND_PEER:
        n = snprintf(text, NAMES_MAX, "DNS:%s.gateway.%s", r, d);
        break;
    case PKI_KIND_PG:
        n = snprintf(text, NAMES_MAX, "DNS:%s.db.%s,IP:%s", r, d, a);
        break;
    case PKI_KIND_OPERATOR:
        clean_user(request->user, names->common_name, sizeof names->common_name);
        n = snprintf(text, NAMES_MAX, "DNS:%s.operator.%s", names->common_name, d);
        break;
    case PKI_KIND_MAX:
    default:
        NOT_REACHED();
    }
    if (request->kind != PKI_KIND_OPERATOR)
        (void)snprintf(names->common_name, sizeof names->common_name, "%s", r);
    if (n < 0 || n >= NAMES_MAX || request->lifetime_ns < NS_PER_S)
        return error_set(reterr, ERROR_RANGE, "names or lifetime of the certificate of '%s'",
                         names->common_name);
    *ret_spec = (PkiSpec){.unit = KINDS[request->kind].unit,
                          .common_name = names->common_name,
                          .names = names->alternative,
                          .usage = KINDS[request->kind].usage,
                          .not_before = wall_add(now, -BACKDATE_NS),
                          .not_after = wall_add(now, request->lifetime_ns)};
    return 0;
}

static LayoutPath base_of(const char *dir, const PkiRequest *request)
{
    static const char *const NAMES[PKI_KIND_MAX] = {"edge", "peer", "pg", "operator"};
    return request->kind == PKI_KIND_OPERATOR
               ? layout_dir(dir, "pki/operator")
               : layout_pki(dir, request->region, NAMES[request->kind]);
}

static int issue(const char *dir, const PkiRequest *request, const PkiSpec *spec, const Loaded *ca,
                 Error *reterr)
{
    if (request->kind != PKI_KIND_OPERATOR) {
        int r = files_make_dirs(layout_pki(dir, request->region, "").text, 0700, reterr);
        if (r < 0)
            return r;
    }
    EVP_PKEY *key CLEANUP(pki_key_freep) = pki_key_new(reterr);
    if (key == NULL)
        return ERROR_UNAVAILABLE;
    X509 *certificate CLEANUP(pki_certificate_freep) =
        pki_certificate_new(spec, key, ca->certificate, ca->key, reterr);
    if (certificate == NULL)
        return ERROR_UNAVAILABLE;
    return save_pair(base_of(dir, request).text, certificate, key, reterr);
}

static bool good_until_renewal(const Loaded *present, const PkiRequest *request,
                               const PkiSpec *spec, const Loaded *ca, Wall now,
                               int64_t renew_before_ns)
{
    int64_t margin_ns =
        renew_before_ns < request->lifetime_ns / 2 ? renew_before_ns : request->lifetime_ns / 2;
    return X509_verify(present->certificate, X509_get0_pubkey(ca->certificate)) == 1 &&
           pki_certificate_matches(present->certificate, spec) &&
           valid_at(present->certificate, now) &&
           valid_at(present->certificate, wall_add(now, margin_ns));
}

int pki_ensure(const char *dir, const PkiRequest *request, Wall now, int64_t renew_before_ns,
               bool *ret_issued, Error *reterr)
{
    Names names;
    PkiSpec spec;
    int r = describe(request, now, &names, &spec, reterr);
    if (r < 0)
        return r;
    Loaded ca CLEANUP(loaded_done) = {0}, present CLEANUP(loaded_done) = {0};
    r = load_ca(dir, &ca, reterr);
    if (r < 0)
        return r;
    bool good = load_pair(base_of(dir, request).text, &present, NULL) == 0 &&
                good_until_renewal(&present, request, &spec, &ca, now, renew_before_ns);
    if (!good)
        r = issue(dir, request, &spec, &ca, reterr);
    if (r == 0 && ret_issued != NULL)
        *ret_issued = !good;
    return r;
}

int pki_issue(const char *dir, const PkiRequest *request, Wall now, Error *reterr)
{
    Names names;
    PkiSpec spec;
    int r = describe(request, now, &names, &spec, reterr);
    if (r < 0)
        return r;
    Loaded ca CLEANUP(loaded_done) = {0};
    r = load_ca(dir, &ca, reterr);
    return r < 0 ? r : issue(dir, request, &spec, &ca, reterr);
}

int pki_expiry(const char *path, PkiExpiry *ret_expiry, Error *reterr)
{
    char *pem CLEANUP(alloc_freep) = NULL;
    size_t len;
    int r = files_read(path, 65536, &pem, &len, reterr);
    if (r < 0)
        return r;
    X509 *certificate CLEANUP(pki_certificate_freep) = pki_certificate_parse(pem, len);
    PkiExpiry expiry;
    if (certificate == NULL ||
        pki_certificate_validity(certificate, &expiry.not_before, &expiry.not_after) < 0)
        return error_set(reterr, ERROR_FORMAT, "%s: no certificate", path);
    *ret_expiry = expiry;
    return 0;
}
