// SPDX-License-Identifier: MIT
// pki: the fleet's own certificate authority in DIR/pki (docs/contracts/processes.md). `up` makes
// what is missing, agents renew what is about to expire; both call pki_ensure, which is idempotent.
// Every pair is replaced whole: certificate and key are written to a folder of their own and one
// link is switched, so that a reader of NAME.pem and NAME.key after the switch sees two that match.
// Times come in as values. Nothing here logs; a private key is never in an error text.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "instant.h"

typedef enum PkiKind {
    PKI_KIND_EDGE,     // DIR/pki/REGION/edge: gateway's server certificate
    PKI_KIND_PEER,     // DIR/pki/REGION/peer: client certificate towards other regions
    PKI_KIND_PG,       // DIR/pki/REGION/pg: PostgreSQL's server certificate
    PKI_KIND_OPERATOR, // DIR/pki/operator: client certificate of the operator on this machine
    PKI_KIND_MAX,
} PkiKind;

typedef struct PkiRequest {
    PkiKind kind;
    const char *region;  // not for the operator
    const char *domain;  // "wildcam.org"
    const char *address; // of the gateway and the database: edge and pg only
    const char *user;    // operator only; characters outside [A-Za-z0-9._-] become '_'
    int64_t lifetime_ns; // at least 1 s
} PkiRequest;

typedef struct PkiExpiry {
    Wall not_before, not_after;
} PkiExpiry;

// Makes DIR/pki (0700) with ca.pem and ca.key unless a CA is there that is still valid at `now` and
// fits its key. *ret_made (may be NULL) says whether it was made: everything else is then foreign
// to it and is issued anew by pki_ensure.
int pki_ensure_ca(const char *dir, Wall now, bool *ret_made, Error *reterr) MUST_CHECK;
// Issues the pair unless one is there that this CA signed, with the same names, whose key fits, and
// that is still valid `renew_before_ns` after `now` (or for half of its lifetime, if that is less).
// *ret_issued may be NULL.
int pki_ensure(const char *dir, const PkiRequest *request, Wall now, int64_t renew_before_ns,
               bool *ret_issued, Error *reterr) MUST_CHECK;
// Issues it in any case.
int pki_issue(const char *dir, const PkiRequest *request, Wall now, Error *reterr) MUST_CHECK;
// Validity of the first certificate in a PEM file.
int pki_expiry(const char *path, PkiExpiry *ret_expiry, Error *reterr) MUST_CHECK;
