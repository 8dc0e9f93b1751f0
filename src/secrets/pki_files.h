// SPDX-License-Identifier: MIT
// pki_files: a pair of certificate and key on disk, replaced whole.
//   BASE.pem -> NAME.now/cert.pem     BASE.key -> NAME.now/key.pem     NAME.now -> NAME.<serial>/
// where NAME is the last part of BASE. The switch of NAME.now is one rename of a link; both other
// links never change. What a crash leaves (a folder without a link to it) the next replacement
// removes.
#pragma once
#include <stddef.h>

#include "error.h"

typedef struct PkiPair {
    char *certificate, *key; // PEM, malloced
    size_t certificate_len, key_len;
} PkiPair;

// ERROR_NOT_FOUND without them.
int pki_pair_read(const char *base, PkiPair *ret_pair, Error *reterr) MUST_CHECK;
// `tag` is new for every replacement: the certificate's serial number.
int pki_pair_replace(const char *base, const char *tag, const PkiPair *pair,
                     Error *reterr) MUST_CHECK;
void pki_pair_done(PkiPair *pair); // wipes the key
