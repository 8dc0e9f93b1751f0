// SPDX-License-Identifier: MIT
// fault_disk_place: the folders of a region whose database is on a small disk for a while. The one
// rule: at every moment exactly one folder holds the truth, which one can be told from what is on
// the disk, and the step from one to the next is one rename. So whoever comes after an
// interruption, of any kind, finds it and puts it back.
//
//   DIR/REGION/pg         what PostgreSQL uses
//             /pg.kept    the folder that changes places with pg
//             /pg.small   the small disk (tmpfs): data/ and ballast
//             /pg.back    a copy on its way back; worth nothing
//             /pg.healed  a complete copy
//             /pg.moving  made before the region is killed, removed when it has been started again:
//                         a region that is down on our account is never forgotten; holds the
//                         machine's boot id
//
//   step                                                   truth after it
//   1 pg.kept made: a placeholder, no database             pg
//   2 the small disk mounted on pg.small, pg copied in     pg
//   3 pg and pg.kept change places (one rename)            pg.small/data
//   4 pg.small/data mounted over pg as the fleet sees it   pg.small/data    (the region runs)
//   5 unmounted from pg; pg.small/data copied to pg.back,  pg.small/data
//     all written to the disk
//   6 pg.back renamed to pg.healed                         pg.healed
//   7 pg and pg.healed change places (one rename)          pg
//   8 the small disk unmounted, the others removed         pg
//
// The placeholder has the file PG_VERSION, so that nobody makes a new database in it, and no
// control file, so that PostgreSQL does not start on it. The small disk is mounted in our own
// namespace too, not only in the fleet's, so that the end of the fleet does not take it away; only
// a restart of the machine does, and then pg.kept is what is left: all that was written before
// step 3, and we say so. Whether there was one the boot id tells: the namespace of a keeper that
// was killed may have gone with it, and then the region runs on the only copy of the newest data.
#pragma once
#include <stdbool.h>

#include "clock.h"
#include "error.h"
#include "fault_owner.h"
#include "fault_pace.h"

typedef enum DiskTruth {
    DISK_TRUTH_PG,     // steps 0 to 2, 7 and 8
    DISK_TRUTH_SMALL,  // 3 to 5
    DISK_TRUTH_HEALED, // 6
    DISK_TRUTH_KEPT,   // 3 to 5 after a restart of the machine
    DISK_TRUTH_NONE,   // no database at all
} DiskTruth;

// Pure. Which folders hold a database (a control file), each on the disk itself but for the small.
DiskTruth disk_truth(bool pg, bool small, bool healed, bool kept);

typedef struct DiskPlace {
    int fd; // DIR/REGION, locked: one keeper at a time; -1: not open
    FaultOwner owner;
    char source[40]; // name of the small disk in mount tables
} DiskPlace;

#define DISK_PLACE_NONE ((DiskPlace){.fd = -1})

// ERROR_CONFLICT while another keeper has it.
int disk_place_open(const char *dir, const char *region, DiskPlace *ret_place,
                    Error *reterr) MUST_CHECK;
void disk_place_close(DiskPlace *place);
// Is there anything but pg?
bool disk_place_left(const DiskPlace *place);
int disk_place_mark(const DiskPlace *place, Error *reterr) MUST_CHECK;
int disk_place_unmark(const DiskPlace *place, Error *reterr) MUST_CHECK;
// Before anything is touched: ERROR_CONFLICT unless the database is in pg, on the disk itself, and
// nowhere else; ERROR_LIMIT when it is too big for this machine's memory or disk.
int disk_place_check(const DiskPlace *place, Error *reterr) MUST_CHECK;
// ERROR_CONFLICT when there is a small disk that cannot be seen from here: nothing may be killed or
// unmounted then.
int disk_place_visible(const DiskPlace *place, Error *reterr) MUST_CHECK;
// Steps 1 to 3; nothing of the region may run. ERROR_CONFLICT, and pg is the truth, when it was
// started meanwhile.
int disk_place_move(const DiskPlace *place, FaultPace *pace, Error *reterr) MUST_CHECK;
// Step 4, for process `pid` of the fleet, which sees pg as base/below.
int disk_place_show(const DiskPlace *place, pid_t pid, const char *base, const char *below,
                    Error *reterr) MUST_CHECK;
// Steps 5 to 8 from wherever it stands; nothing of the region may run. `pid`: the supervisor, or 0.
int disk_place_recover(const DiskPlace *place, pid_t pid, FaultPace *pace,
                       Error *reterr) MUST_CHECK;
// No space left on the small disk; and some again.
int disk_place_fill(const DiskPlace *place, Error *reterr) MUST_CHECK;
// The small disk with the database and its ballast is there.
bool disk_place_full(const DiskPlace *place);
int disk_place_free(const DiskPlace *place, Error *reterr) MUST_CHECK;
