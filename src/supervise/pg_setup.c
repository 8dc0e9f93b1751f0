// SPDX-License-Identifier: MIT
// pg_setup: see pg_setup.h. initdb does not sync file by file; the whole folder is synced once
// before it gets its name, since PostgreSQL's checkpoints sync only what the server itself has
// written. WAL segments of 1 MB make a folder of 29 MB instead of 39.
#include "pg_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "clock.h"
#include "files.h"
#include "layout.h"
#include "spawn.h"

static LayoutPath join(const char *a, const char *b)
{
    LayoutPath path;
    int n = snprintf(path.text, sizeof path.text, "%s%s", a, b);
    if (n < 0 || (size_t)n >= sizeof path.text)
        path.text[0] = '\0'; // refused by every system call
    return path;
}

static int write_file(const char *path, const Buf *buf, mode_t mode, Error *reterr)
{
    int r = buf_check(buf);
    if (r < 0)
        return error_wrap(reterr, r, "%s", path);
    return files_replace(path, buf->data, buf->len, &(FilesWrite){.mode = mode, .no_sync = true},
                         reterr);
}

static int make_password(const PgSetup *setup, char password[65], Error *reterr)
{
    unsigned char bytes[32];
    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        (void)snprintf(password + 2 * i, 3, "%02x", bytes[i]);
    Buf line CLEANUP(buf_done) = BUF_INIT(256);
    buf_printf(&line, "*:*:*:" PG_OWNER ":%s\n", password);
    return write_file(setup->passfile, &line, 0600, reterr);
}

static int make_database(const char *folder, Error *reterr)
{
    const char *const argv[] = {
        PG_SERVER, "--single", "-F", "-D", folder, "-c", "log_checkpoints=off", "postgres", NULL};
    return spawn_wait(argv, "CREATE DATABASE " PG_DATABASE ";\n", reterr);
}

static int sync_cluster(const char *folder, Error *reterr)
{
    int fd CLEANUP(fd_closep) = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) < 0)
        return error_errno(reterr, errno, "%s", folder);
    return 0;
}

static int make_cluster(const PgSetup *setup, Error *reterr)
{
    LayoutPath folder = join(setup->folder, ".new"), secret = join(setup->folder, ".secret");
    int r = files_remove_tree(folder.text, reterr);
    char password[65];
    if (r == 0)
        r = make_password(setup, password, reterr);
    if (r == 0)
        r = files_replace(secret.text, password, strlen(password),
                          &(FilesWrite){.mode = 0600, .no_sync = true}, reterr);
    if (r < 0)
        return r;
    LayoutPath pwfile = join("--pwfile=", secret.text);
    const char *const argv[] = {PG_INITDB,
                                "-D",
                                folder.text,
                                "-U",
                                PG_OWNER,
                                "--no-sync",
                                "--no-instructions",
                                "--wal-segsize=1",
                                "--auth-local=peer",
                                "--auth-host=scram-sha-256",
                                pwfile.text,
                                "-E",
                                "UTF8",
                                "--locale=C.UTF-8",
                                NULL};
    r = spawn_wait(argv, NULL, reterr);
    (void)unlink(secret.text);
    if (r == 0)
        r = make_database(folder.text, reterr);
    if (r == 0)
        r = sync_cluster(folder.text, reterr);
    if (r == 0 && rename(folder.text, setup->folder) < 0)
        r = error_errno(reterr, errno, "%s", setup->folder);
    return r;
}

static const char SETTINGS[] =
    "# Written by wildcam before every start; put your own lines into postgresql.conf.\n"
    "unix_socket_permissions = 0700\n"
    "shared_buffers = 16MB\n"
    // the owner has the name of the mesh's schema: its tables belong into public
    "search_path = public\n"
    "jit = off\n"
    "max_parallel_workers = 0\n"
    "max_wal_size = 128MB\n"
    "min_wal_size = 8MB\n"
    // rows go between regions by logical replication
    "wal_level = logical\n"
    "wal_retrieve_retry_interval = 1s\n"
    "max_slot_wal_keep_size = 1GB\n"
    "wal_sender_timeout = 5s\n"
    "wal_receiver_timeout = 5s\n"
    "wal_receiver_status_interval = 1s\n"
    // a start after SIGKILL must not stat every file
    "recovery_init_sync_method = syncfs\n"
    "ssl = on\n"
    "ssl_min_protocol_version = 'TLSv1.3'\n"
    "tcp_user_timeout = 5000\n"
    "tcp_keepalives_idle = 5\n"
    "tcp_keepalives_interval = 1\n"
    "tcp_keepalives_count = 4\n"
    "log_line_prefix = '%m [%p] %q%u@%d '\n"
    "log_timezone = 'UTC'\n"
    "timezone = 'UTC'\n";

// What grows with the number of regions: each other one has a sender, a slot and an apply worker
// here, its daemon some connections; twice the senders, since an old one lives on until its timeout
// when a link breaks.
static void add_sizes(const PgSetup *setup, Buf *text)
{
    unsigned peers = setup->n_regions > 0 ? setup->n_regions - 1 : 0;
    unsigned senders = 2 * peers + 10, workers = peers + 7;
    buf_printf(text, "max_connections = %u\n", 60 + 4 * peers);
    buf_printf(text, "max_wal_senders = %u\nmax_replication_slots = %u\n", senders, senders);
    buf_printf(text, "max_logical_replication_workers = %u\nmax_worker_processes = %u\n", workers,
               workers + 8);
}

static int write_settings(const PgSetup *setup, Error *reterr)
{
    Buf text CLEANUP(buf_done) = BUF_INIT(16384);
    buf_add_text(&text, SETTINGS);
    add_sizes(setup, &text);
    buf_printf(&text, "listen_addresses = '%s'\nport = %u\n", setup->address, setup->port);
    buf_printf(&text, "unix_socket_directories = '%s'\n", setup->sockets);
    buf_printf(&text, "ssl_cert_file = '%s'\nssl_key_file = '%s'\n", setup->certificate,
               setup->key);
    buf_printf(&text, "ssl_ca_file = '%s'\n", setup->authority);
    return write_file(join(setup->folder, "/wildcam.conf").text, &text, 0600, reterr);
}

// Includes our file at the end of initdb's, once.
static int include_settings(const PgSetup *setup, Error *reterr)
{
    static const char LINE[] = "\ninclude 'wildcam.conf'\n";
    LayoutPath path = join(setup->folder, "/postgresql.conf");
    char *text CLEANUP(alloc_freep) = NULL;
    size_t len;
    int r = files_read(path.text, 1U << 20, &text, &len, reterr);
    if (r < 0 || strstr(text, LINE) != NULL)
        return r;
    Buf whole CLEANUP(buf_done) = BUF_INIT(0);
    buf_add(&whole, text, len);
    buf_add_text(&whole, LINE);
    return write_file(path.text, &whole, 0600, reterr);
}

// Each region's peer certificate, by its whole subject, for the roles of replication.
static void add_peers(const PgSetup *setup, Buf *ident)
{
    static const char *const ROLES[] = {"wildcam_replication", "wildcam_rows"};
    for (uint32_t i = 0; i < setup->n_regions; i++)
        for (size_t k = 0; k < ARRAY_SIZE(ROLES); k++)
            buf_printf(ident, "peers \"CN=%s,OU=gateway,O=wildcam\" %s\n", setup->regions[i],
                       ROLES[k]);
}

static int write_access(const PgSetup *setup, Error *reterr)
{
    static const char HBA[] =
        "# Written by wildcam before every start.\n"
        "local all all peer map=fleet\n"
        "hostnossl all all all reject\n"
        "hostssl " PG_DATABASE " wildcam_replication,wildcam_rows 127.0.0.0/8 cert clientname=DN "
        "map=peers\n"
        "hostssl all wildcam_replication,wildcam_rows all reject\n"
        "hostssl all,replication all 127.0.0.0/8 scram-sha-256\n";
    Buf hba CLEANUP(buf_done) = BUF_INIT(4096), ident CLEANUP(buf_done) = BUF_INIT(1U << 20);
    buf_add_text(&hba, HBA);
    const char *const users[] = {setup->run_user, "root"}, *const roles[] = {PG_OWNER,
                                                                             PG_ANALYTICS};
    for (size_t i = 0; i < 4; i++)
        buf_printf(&ident, "fleet %s %s\n", users[i / 2], roles[i % 2]);
    add_peers(setup, &ident);
    int r = write_file(join(setup->folder, "/pg_hba.conf").text, &hba, 0600, reterr);
    if (r == 0)
        r = write_file(join(setup->folder, "/pg_ident.conf").text, &ident, 0600, reterr);
    return r;
}

int pg_setup_step(const void *context, Error *reterr)
{
    const PgSetup *setup = context;
    int r = 0;
    if (!files_exist(join(setup->folder, "/PG_VERSION").text))
        r = make_cluster(setup, reterr);
    else if (!files_exist(setup->passfile)) // a new one would never match the database's password
        r = error_set(reterr, ERROR_NOT_FOUND, "%s is missing beside its database: restore it",
                      setup->passfile);
    if (r == 0)
        r = write_settings(setup, reterr);
    if (r == 0)
        r = include_settings(setup, reterr);
    if (r == 0)
        r = write_access(setup, reterr);
    return r;
}
