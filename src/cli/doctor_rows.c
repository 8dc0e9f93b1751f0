// SPDX-License-Identifier: MIT
// doctor_rows: the databases as one mesh. What each region's wildcam-rows says (links, slots,
// clock, parked rows, dead letters), and what the databases themselves must be: the same look that
// 'rows init' takes first, with the very connections that subscriptions use.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "doctor.h"
#include "ensure.h"
#include "mesh_sql.h"

#define ASK_NS NS_PER_S
#define CONNECT_NS (2 * NS_PER_S)
#define STATEMENT_NS (3 * NS_PER_S)
#define AT "REGION" // in a fix: the region's name

typedef struct Rows {
    Doctor *doctor;
    const json_t *said; // of the region that is looked at
    const char *region;
    size_t found;
} Rows;

typedef struct Meaning {
    const char *name; // of an alarm, or of a link's state
    DoctorLevel level;
    const char *fix;
} Meaning;

// What is wrong with a region as a whole; alarms about links are told link by link.
static const Meaning ALARMS[] = {
    {"database", DOCTOR_BAD, "tail -n 20 DIR/" AT "/log/postgres.log"},
    {"not_federated", DOCTOR_BAD, "wildcam rows init"},
    {"restored", DOCTOR_BAD, "wildcam rows recover " AT},
    {"clock", DOCTOR_BAD, "chronyc makestep   # on the machine of its database"},
    {"refused", DOCTOR_BAD, "wildcam psql " AT " -- -c 'SELECT wildcam.allow()'"},
    {"beat", DOCTOR_BAD, "wildcam region restart " AT " rows"},
    {"dead_letters", DOCTOR_BAD,
     "wildcam psql " AT " -- -c 'SELECT * FROM wildcam.retry_dead_letters()'"},
    {"rpo", DOCTOR_WARN, "wildcam rows status"},
    {"slot_limit", DOCTOR_WARN,
     "wildcam psql " AT " -- -c \"ALTER SYSTEM SET max_slot_wal_keep_size = '64GB'\" -c 'SELECT "
     "pg_reload_conf()'   # or bring the region back that does not fetch it"},
    {"slot_overrun", DOCTOR_WARN, "wildcam rows status --watch   # made anew by itself"},
};
static const Meaning LINKS[] = {
    {"absent", DOCTOR_BAD, "wildcam rows init"},
    {"away", DOCTOR_BAD, "wildcam rows status"},
    {"silent", DOCTOR_BAD, "wildcam rows init   # it tries each link and says why not"},
    {"error-loop", DOCTOR_BAD, "tail -n 50 DIR/" AT "/log/postgres.log"},
    {"slot-lost", DOCTOR_WARN, "wildcam rows status --watch   # made anew and filled by itself"},
    {"disabled", DOCTOR_BAD, "wildcam rows init"},
};
// Who refuses writes on purpose, and goes on with what.
static const Meaning REFUSALS[] = {
    {"it is leaving the mesh", DOCTOR_BAD, "wildcam rows leave " AT},
    {"it has left the mesh", DOCTOR_WARN, "wildcam down   # and take it out of fleet.yaml"},
    {"it is joining the mesh", DOCTOR_BAD, "wildcam rows join " AT},
    {"it is being recovered", DOCTOR_BAD, "wildcam rows recover " AT},
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static const Meaning *meaning(const Meaning *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    return NULL;
}

static bool starts(const char **at, const char *word)
{
    size_t len = strlen(word);
    bool is = strncmp(*at, word, len) == 0;
    *at += is ? len : 0;
    return is;
}

// With the region's name and the folder in it.
static void say(Rows *rows, DoctorLevel level, const char *fix, const char *text)
{
    Buf line CLEANUP(buf_done) = BUF_INIT(4096);
    while (*fix != '\0')
        if (starts(&fix, "DIR/"))
            buf_printf(&line, "%s/", rows->doctor->context.dir.text);
        else if (starts(&fix, AT))
            buf_add_text(&line, rows->region);
        else
            buf_add_char(&line, *fix++);
    rows->found++;
    doctor_say(rows->doctor, level, buf_text(&line), "%s: %s", rows->region, text);
}

// What libpq says of a way that is closed.
static const char *way_fix(const char *why)
{
    if (strstr(why, "assword") != NULL) // authentication failed, no password supplied
        return "wildcam rows init   # after the right password stands in DIR/" AT "/pg.pass";
    if (strstr(why, "certificate") != NULL || strstr(why, "SSL") != NULL)
        return "wildcam down && wildcam up   # makes the certificates anew";
    if (strstr(why, "pg_hba") != NULL)
        return "wildcam region restart " AT " postgres   # writes its pg_hba.conf anew";
    return NULL;
}

// --- What the daemons say ---

static void look_at_alarms(Rows *rows)
{
    size_t i;
    const json_t *alarm;
    json_array_foreach(json_object_get(rows->said, "alarms"), i, alarm)
    {
        const char *text = text_of(alarm, "text");
        const Meaning *means = meaning(ALARMS, ARRAY_SIZE(ALARMS), text_of(alarm, "name"));
        if (means == NULL)
            continue;
        const Meaning *purpose =
            meaning(REFUSALS, ARRAY_SIZE(REFUSALS), text_of(rows->said, "writes_refused"));
        if (strcmp(means->name, "refused") == 0 && purpose != NULL)
            means = purpose;
        say(rows, means->level, means->fix, text);
    }
}

static void look_at_link(Rows *rows, const json_t *link)
{
    char text[512];
    const char *state = text_of(link, "state"), *why = text_of(link, "why");
    const Meaning *means = meaning(LINKS, ARRAY_SIZE(LINKS), state);
    (void)snprintf(text, sizeof text, "from %s: %s%s%s", text_of(link, "from"), state,
                   why[0] != '\0' ? ": " : "", why);
    if (means != NULL) {
        const char *fix = way_fix(why);
        say(rows, means->level, fix != NULL ? fix : means->fix, text);
    } else if (strcmp(state, "filling") == 0 && why[0] != '\0') {
        say(rows, DOCTOR_BAD, "wildcam rows init", text);
    } else if (strcmp(state, "streaming") != 0) {
        say(rows, DOCTOR_WARN, "wildcam rows status --watch", text);
    }
}

static void look_at_rest(Rows *rows)
{
    char text[160];
    long long parked = number_of(rows->said, "parked");
    long long version = number_of(rows->said, "sql_version");
    if (parked > 0) {
        (void)snprintf(text, sizeof text,
                       "%lld rows are parked: a newer row has their unique value", parked);
        say(rows, DOCTOR_WARN,
            "wildcam psql " AT " -- -c \"SELECT number, key, at FROM wildcam.ledger WHERE kind IN "
            "('park', 'evict') ORDER BY at DESC LIMIT 20\"",
            text);
    }
    if (version > 0 && version != MESH_SQL_VERSION) {
        (void)snprintf(text, sizeof text,
                       "its schema wildcam has version %lld, this program makes version %d",
                       version, MESH_SQL_VERSION);
        say(rows, DOCTOR_BAD,
            version < MESH_SQL_VERSION ? "wildcam rows init"
                                       : "make   # all regions need one version of WildCAM",
            text);
    }
}

static size_t look_at_region(Rows *rows, const AgentAnswer *answer)
{
    size_t i;
    const json_t *link;
    if (answer->status != 200 || !json_is_object(answer->body)) {
        char text[256];
        (void)snprintf(text, sizeof text, "wildcam-rows does not answer: %.160s",
                       agents_message(answer));
        say(rows, DOCTOR_BAD, "wildcam region restart " AT " rows", text);
        return 0;
    }
    rows->said = answer->body;
    look_at_alarms(rows);
    json_array_foreach(json_object_get(rows->said, "links"), i, link) look_at_link(rows, link);
    look_at_rest(rows);
    return json_array_size(json_object_get(rows->said, "links"));
}

void doctor_rows(Doctor *doctor)
{
    const Conf *conf = doctor->context.conf;
    const uint32_t n = conf->model.n_regions;
    const AgentRequest request = {.path = "/v1/rows", .timeout_ns = ASK_NS, .socket = "rows.sock"};
    AgentAnswer *answers = calloc(n, sizeof *answers);
    size_t found = 0, links = 0;
    if (answers == NULL || agents_ask(&doctor->context, -1, &request, answers, NULL) < 0) {
        free(answers);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        Rows rows = {.doctor = doctor, .region = conf->model.regions[i].name};
        links += look_at_region(&rows, &answers[i]);
        found += rows.found;
    }
    agents_done(answers, n);
    free(answers);
    if (found == 0)
        doctor_say(doctor, DOCTOR_OK, NULL, "%zu links stream, nothing parked or refused", links);
}

// --- What the databases must be ---

// "put NAME = VALUE into postgresql.conf ..." as a command for a server of ours.
static bool setting_fix(const char *fix, bool local, char *out, size_t size)
{
    char name[64], value[64];
    if (!local || sscanf(fix, "put %63[a-z_] = %63[a-z0-9] into", name, value) != 2)
        return false;
    (void)snprintf(out, size,
                   "wildcam psql " AT " -- -c 'ALTER SYSTEM SET %s = %s' && wildcam region restart "
                   "" AT " postgres",
                   name, value);
    return true;
}

// A problem of the preflight is "what it is: how to mend it"; ways in end with libpq's own words.
static void say_problem(Rows *rows, const char *problem, bool local)
{
    char fix[512];
    const char *colon = NULL;
    const char *way = strstr(problem, " cannot come in: ");
    for (const char *at = strstr(problem, ": "); at != NULL; at = strstr(at + 2, ": "))
        colon = at;
    if (way != NULL) {
        const char *of_way = way_fix(way);
        (void)snprintf(fix, sizeof fix, "%s", of_way != NULL ? of_way : "wildcam rows status");
    } else if (strstr(problem, "its clock is ") == problem) {
        (void)snprintf(fix, sizeof fix, "chronyc makestep   # on the machine of its database");
    } else if (colon == NULL) {
        (void)snprintf(fix, sizeof fix, "wildcam rows init");
    } else if (strncmp(colon + 2, "GRANT ", 6) == 0 || strncmp(colon + 2, "ALTER ROLE ", 11) == 0) {
        (void)snprintf(fix, sizeof fix, "wildcam psql " AT " -- -c '%.300s'", colon + 2);
    } else if (!setting_fix(colon + 2, local, fix, sizeof fix)) {
        (void)snprintf(fix, sizeof fix, "%.400s", colon + 2);
    }
    say(rows, DOCTOR_BAD, fix, problem);
}

static void look_at_database(Rows *rows, Mesh *mesh, MeshNode *node)
{
    Buf problems CLEANUP(buf_done) = BUF_INIT(1U << 20);
    Error err CLEANUP(error_done) = ERROR_INIT;
    bool local = strcmp(mesh->conf->regions[node->index].database, "local") == 0;
    if (mesh_preflight(mesh, node, &problems, &err) < 0) {
        const char *fix = way_fix(error_text(&err));
        say(rows, DOCTOR_BAD,
            fix != NULL ? fix
            : local     ? "tail -n 20 DIR/" AT "/log/postgres.log"
                        : "wildcam psql " AT,
            error_text(&err));
        return;
    }
    char *text = buf_take(&problems), *rest = NULL;
    for (char *line = text != NULL ? strtok_r(text, "\n", &rest) : NULL; line != NULL;
         line = strtok_r(NULL, "\n", &rest))
        say_problem(rows, line, local);
    free(text);
}

void doctor_rows_databases(Doctor *doctor)
{
    const MeshOptions options = {.dir = doctor->context.dir.text,
                                 .as = MESH_AS_OWNER,
                                 .application = "wildcam doctor",
                                 .connect_ns = CONNECT_NS,
                                 .statement_ns = STATEMENT_NS};
    Mesh *mesh = NULL;
    Error err CLEANUP(error_done) = ERROR_INIT;
    size_t found = 0;
    if (mesh_open(doctor->context.conf, &options, &mesh, &err) < 0) {
        doctor_say(doctor, DOCTOR_BAD, NULL, "%s", error_text(&err));
        return;
    }
    for (uint32_t i = 0; i < mesh->n; i++) {
        Rows rows = {.doctor = doctor, .region = mesh->nodes[i].region};
        look_at_database(&rows, mesh, &mesh->nodes[i]);
        found += rows.found;
    }
    if (found == 0)
        doctor_say(doctor, DOCTOR_OK, NULL,
                   "%u databases fit together, every way between them is open", mesh->n);
    mesh_free(mesh);
}
