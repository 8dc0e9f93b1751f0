// SPDX-License-Identifier: MIT
// journal: the core's decision records: a log line and a place in a recording segment for each, the
// newest few in memory for people who ask.
#include <stdio.h>
#include <stdlib.h>

#include "agent_state.h"
#include "alloc.h"
#include "clock.h"
#include "log.h"

int journal_init(Journal *journal, Error *reterr)
{
    *journal = (Journal){.items = alloc_zeroed(JOURNAL_RECORDS, sizeof(JournalEntry))};
    return journal->items ? 0 : error_set(reterr, ERROR_MEMORY, "out of memory");
}

void journal_add(Agent *agent, const Record *record)
{
    Journal *journal = &agent->journal;
    JournalEntry *entry = &journal->items[journal->n++ % JOURNAL_RECORDS];
    *entry = (JournalEntry){.kind = record->kind, .at = record->at, .wall = clock_wall()};
    snprintf(entry->subject, sizeof(entry->subject), "%s", record->subject);
    snprintf(entry->facts, sizeof(entry->facts), "%s", record->facts);
    if ((unsigned)record->kind < RECORD_KIND_MAX)
        journal->by_kind[record->kind]++;
    recording_add_record(agent->recording, record, entry->wall);
    log_info(record_kind_text(record->kind), record->subject,
             LOG_TEXT("record", record_kind_name(record->kind)), LOG_TEXT("facts", record->facts));
}

void journal_done(Journal *journal)
{
    free(journal->items);
    journal->items = NULL;
}
