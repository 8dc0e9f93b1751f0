// SPDX-License-Identifier: MIT
// test_pki: certificates are judged here by libcrypto's own verification (chain, purpose, names),
// the way nginx, curl and libpq judge them, not by comparing our own fields.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "layout.h"
#include "pki.h"

#define DAY_NS (86400 * NS_PER_S)
static const Wall NOW = {INT64_C(1795000000) * NS_PER_S};
static char dir[64];

static const PkiRequest EDGE = {.kind = PKI_KIND_EDGE,
                                .region = "us-west-2",
                                .domain = "wildcam.org",
                                .address = "127.1.1.1",
                                .lifetime_ns = DAY_NS};

static int setup(void **state)
{
    (void)snprintf(dir, sizeof dir, "/tmp/test_pki.XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    bool made = false;
    return pki_ensure_ca(dir, NOW, &made, NULL) == 0 && made ? 0 : -1;
}

static int teardown(void **state)
{
    return files_remove_tree(dir, NULL);
}

static X509 *load(const char *name)
{
    FILE *file = fopen(layout_dir(dir, name).text, "r");
    assert_non_null(file);
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    assert_int_equal(fclose(file), 0);
    assert_non_null(certificate);
    return certificate;
}

// X509_V_OK, or why libcrypto refuses the certificate for this purpose at this time.
static int verify(const char *name, int purpose, Wall at)
{
    X509 *ca = load("pki/ca.pem"), *certificate = load(name);
    X509_STORE *store = X509_STORE_new();
    assert_int_equal(X509_STORE_add_cert(store, ca), 1);
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    assert_int_equal(X509_STORE_CTX_init(context, store, certificate, NULL), 1);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(param, (time_t)(at.ns / NS_PER_S));
    X509_VERIFY_PARAM_set_depth(param, 1);
    assert_int_equal(X509_VERIFY_PARAM_set_purpose(param, purpose), 1);
    (void)X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    int code = X509_verify_cert(context) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    X509_free(certificate);
    X509_free(ca);
    return code;
}

static void assert_private(const char *name)
{
    struct stat st;
    assert_int_equal(stat(layout_dir(dir, name).text, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void an_edge_certificate_serves_its_names_and_address(void **state)
{
    assert_int_equal(pki_issue(dir, &EDGE, NOW, NULL), 0);
    assert_int_equal(verify("pki/us-west-2/edge.pem", X509_PURPOSE_SSL_SERVER, NOW), X509_V_OK);
    assert_int_not_equal(verify("pki/us-west-2/edge.pem", X509_PURPOSE_SSL_CLIENT, NOW), X509_V_OK);
    X509 *certificate = load("pki/us-west-2/edge.pem");
    static const char *const NAMES[] = {"api.wildcam.org", "backup.api.wildcam.org",
                                        "us-west-2.gateway.wildcam.org"};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(X509_check_host(certificate, NAMES[i], 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(certificate, "eastus.gateway.wildcam.org", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(certificate, "127.1.1.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(certificate, "127.1.2.1", 0), 0);
    X509_free(certificate);
    assert_private("pki/us-west-2/edge.key");
    assert_private("pki/ca.key");
}

static void a_peer_is_a_client_with_an_exact_subject(void **state)
{
    PkiRequest peer = EDGE;
    peer.kind = PKI_KIND_PEER;
    assert_int_equal(pki_issue(dir, &peer, NOW, NULL), 0);
    assert_int_equal(verify("pki/us-west-2/peer.pem", X509_PURPOSE_SSL_CLIENT, NOW), X509_V_OK);
    assert_int_not_equal(verify("pki/us-west-2/peer.pem", X509_PURPOSE_SSL_SERVER, NOW), X509_V_OK);
    X509 *certificate = load("pki/us-west-2/peer.pem");
    BIO *bio = BIO_new(BIO_s_mem());
    (void)X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
    char *text;
    long len = BIO_get_mem_data(bio, &text);
    const char *want = "CN=us-west-2,OU=gateway,O=wildcam";
    assert_int_equal(len, (long)strlen(want));
    assert_memory_equal(text, want, (size_t)len);
    BIO_free(bio);
    X509_free(certificate);
}

static void an_operators_name_cannot_smuggle_a_role(void **state)
{
    const PkiRequest operator= {.kind = PKI_KIND_OPERATOR,
                                .domain = "wildcam.org",
                                .user = "eve,OU=gateway",
                                .lifetime_ns = DAY_NS};
    assert_int_equal(pki_issue(dir, &operator, NOW, NULL), 0);
    assert_int_equal(verify("pki/operator.pem", X509_PURPOSE_SSL_CLIENT, NOW), X509_V_OK);
    X509 *certificate = load("pki/operator.pem");
    char name[64];
    (void)X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                                    sizeof name);
    assert_string_equal(name, "eve_OU_gateway");
    X509_free(certificate);
}

static void a_good_pair_is_kept_and_a_late_one_renewed(void **state)
{
    bool issued = false;
    assert_int_equal(pki_ensure(dir, &EDGE, NOW, DAY_NS / 3, &issued, NULL), 0);
    assert_true(issued);
    assert_int_equal(pki_ensure(dir, &EDGE, NOW, DAY_NS / 3, &issued, NULL), 0);
    assert_false(issued);
    Wall late = wall_add(NOW, DAY_NS * 2 / 3 + NS_PER_S);
    assert_int_equal(pki_ensure(dir, &EDGE, late, DAY_NS / 3, &issued, NULL), 0);
    assert_true(issued);
    PkiExpiry expiry;
    assert_int_equal(pki_expiry(layout_pki(dir, "us-west-2", "edge.pem").text, &expiry, NULL), 0);
    assert_int_equal(expiry.not_after.ns, wall_add(late, DAY_NS).ns);
    assert_true(expiry.not_before.ns < late.ns);
    // One folder of the pair is left, the current one.
    assert_int_equal(verify("pki/us-west-2/edge.pem", X509_PURPOSE_SSL_SERVER, late), X509_V_OK);
}

static void an_expired_certificate_is_refused(void **state)
{
    assert_int_equal(pki_issue(dir, &EDGE, NOW, NULL), 0);
    assert_int_equal(
        verify("pki/us-west-2/edge.pem", X509_PURPOSE_SSL_SERVER, wall_add(NOW, 2 * DAY_NS)),
        X509_V_ERR_CERT_HAS_EXPIRED);
}

static void other_names_another_ca_or_damage_lead_to_a_new_pair(void **state)
{
    bool issued = false;
    assert_int_equal(pki_ensure(dir, &EDGE, NOW, 0, &issued, NULL), 0);
    PkiRequest moved = EDGE;
    moved.address = "127.9.9.9";
    assert_int_equal(pki_ensure(dir, &moved, NOW, 0, &issued, NULL), 0);
    assert_true(issued);
    assert_int_equal(pki_ensure(dir, &moved, NOW, 0, &issued, NULL), 0);
    assert_false(issued);
    LayoutPath key = layout_pki(dir, "us-west-2", "edge.key");
    assert_int_equal(truncate(key.text, 20), 0);
    assert_int_equal(pki_ensure(dir, &moved, NOW, 0, &issued, NULL), 0);
    assert_true(issued);
    bool made = true;
    assert_int_equal(pki_ensure_ca(dir, NOW, &made, NULL), 0);
    assert_false(made);
    assert_int_equal(unlink(layout_dir(dir, "pki/ca.key").text), 0);
    assert_int_equal(pki_ensure_ca(dir, NOW, &made, NULL), 0);
    assert_true(made);
    assert_int_equal(pki_ensure(dir, &moved, NOW, 0, &issued, NULL), 0);
    assert_true(issued);
    assert_int_equal(verify("pki/us-west-2/edge.pem", X509_PURPOSE_SSL_SERVER, NOW), X509_V_OK);
}

static void without_a_ca_nothing_is_issued(void **state)
{
    assert_int_equal(files_remove_tree(layout_dir(dir, "pki").text, NULL), 0);
    Error err = ERROR_INIT;
    assert_true(pki_issue(dir, &EDGE, NOW, &err) < 0);
    assert_non_null(strstr(error_text(&err), "certificate authority"));
    error_done(&err);
    PkiExpiry expiry;
    assert_true(pki_expiry(layout_dir(dir, "pki/ca.pem").text, &expiry, NULL) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_edge_certificate_serves_its_names_and_address, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_peer_is_a_client_with_an_exact_subject, setup, teardown),
        cmocka_unit_test_setup_teardown(an_operators_name_cannot_smuggle_a_role, setup, teardown),
        cmocka_unit_test_setup_teardown(a_good_pair_is_kept_and_a_late_one_renewed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_expired_certificate_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(other_names_another_ca_or_damage_lead_to_a_new_pair, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(without_a_ca_nothing_is_issued, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
