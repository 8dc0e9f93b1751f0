// SPDX-License-Identifier: MIT
// storage: what the API needs from a database, and nothing of how it is done. Everything comes back
// by callback from the loop, exactly once, within about two timeouts; UNAVAILABLE says that the
// caller may try the same request again (a write may have been executed: keys make it the same
// row). It opens by itself: until the schema is there, and whenever the database is away,
// everything is UNAVAILABLE at once, and health says why.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "detection.h"
#include "error.h"

typedef struct Storage Storage;

typedef struct StorageOptions {
    const char *conninfo; // keywords for libpq, without a password
    unsigned connections; // 0: 4
    int64_t timeout_ns;   // of one query; 0: 1 s
    unsigned origin;      // of the rows written here
    // Durability two-clouds: the slots of other clouds' databases, an array's text; NULL: local.
    const char *confirm_slots;
    bool degrade; // when no other cloud confirms: do not wait for it until one does again
} StorageOptions;

typedef struct StorageHealth {
    bool read, write;   // a probe held within the last second
    const char *detail; // why not; ""
    bool confirms;      // durability two-clouds: the newest wait held; true with local
} StorageHealth;

typedef enum StoragePut {
    STORAGE_PUT_CREATED,  // committed and on disk
    STORAGE_PUT_SAME,     // the same row was there
    STORAGE_PUT_CONFLICT, // the key is there with other content
    STORAGE_PUT_UNAVAILABLE,
} StoragePut;

typedef enum StorageDurability {
    STORAGE_DURABILITY_LOCAL,       // on this region's disk, and nothing else was asked for
    STORAGE_DURABILITY_TWO_CLOUDS,  // on a disk in another cloud too
    STORAGE_DURABILITY_UNCONFIRMED, // two were asked for: it stays here, nobody else has it yet
} StorageDurability;

#define STORAGE_LIST_MAX 100

typedef struct StorageList {
    unsigned limit;     // 1..STORAGE_LIST_MAX
    const char *device; // NULL: all
    const Uuid *before; // rows behind this one, newest first; NULL: from the newest
} StorageList;

typedef enum StorageRead {
    STORAGE_READ_OK,
    STORAGE_READ_NOT_FOUND, // the row, or the row of `before`
    STORAGE_READ_UNAVAILABLE,
} StorageRead;

// stored: the row as it is in the database, for CREATED and SAME, which alone have a durability.
typedef void StoragePutDone(void *context, StoragePut outcome, StorageDurability durability,
                            const Detection *stored);
// more: there are rows behind the last one.
typedef void StorageRowsDone(void *context, StorageRead outcome, const Detection *rows, unsigned n,
                             bool more);

int storage_new(uv_loop_t *loop, const StorageOptions *options, Storage **ret_storage,
                Error *reterr) MUST_CHECK;
StorageHealth storage_health(const Storage *storage);
void storage_put_detection(Storage *storage, const Detection *detection, StoragePutDone *done,
                           void *context);
void storage_get_detection(Storage *storage, const Uuid *id, StorageRowsDone *done, void *context);
void storage_list_detections(Storage *storage, const StorageList *list, StorageRowsDone *done,
                             void *context);
// Fails what is under way. Memory goes when the loop has run on; a migration that runs may take
// seconds. Returns NULL.
Storage *storage_free(Storage *storage);
