// SPDX-License-Identifier: MIT
// uuid: see uuid.h.
#include "uuid.h"

#include <openssl/evp.h>
#include <string.h>

static const char HEX[] = "0123456789abcdef";

static bool is_dash(size_t at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

int uuid_v8_of(const void *bytes, size_t len, Uuid *ret_uuid)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_len;
    if (EVP_Digest(bytes, len, digest, &digest_len, EVP_sha256(), NULL) != 1)
        return ERROR_MEMORY;
    digest[6] = (unsigned char)((digest[6] & 0x0fU) | 0x80U);
    digest[8] = (unsigned char)((digest[8] & 0x3fU) | 0x80U);
    size_t at = 0;
    for (unsigned i = 0; i < 16; i++) {
        if (is_dash(at))
            ret_uuid->text[at++] = '-';
        ret_uuid->text[at++] = HEX[digest[i] >> 4];
        ret_uuid->text[at++] = HEX[digest[i] & 15];
    }
    ret_uuid->text[at] = '\0';
    return 0;
}

bool uuid_parse(const char *text, Uuid *ret_uuid)
{
    Uuid uuid;
    if (strlen(text) != UUID_TEXT_MAX - 1)
        return false;
    for (size_t i = 0; i < UUID_TEXT_MAX; i++) {
        char c = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] - 'A' + 'a') : text[i];
        if (i < UUID_TEXT_MAX - 1 && (is_dash(i) ? c != '-' : strchr(HEX, c) == NULL))
            return false;
        uuid.text[i] = c;
    }
    *ret_uuid = uuid;
    return true;
}
