// SPDX-License-Identifier: MIT
// mesh_lookup: see mesh_lookup.h. One thread a lookup, because getaddrinfo cannot be interrupted:
// whoever waited too long leaves it behind, and the last of both frees what they share. How many
// there may be at once is limited, so that a dead resolver and a daemon that tries every second
// cannot pile them up.
#include "mesh_lookup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libpq-fe.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "alloc.h"
#include "pg_conninfo.h"

#define HOSTS_MAX 16
#define ADDRESSES_MAX 8 // of one name
#define LOOKUPS_MAX 64
#define HOST_BYTES 256

typedef struct Host {
    char name[HOST_BYTES], port[8];
    bool is_name;
    int code; // of getaddrinfo
    unsigned n;
    char addresses[ADDRESSES_MAX][INET6_ADDRSTRLEN + 16]; // with a zone
} Host;

struct MeshLookup {
    atomic_int users; // caller and thread
    int fd;
    char *conninfo, *names;
    unsigned n;
    Host hosts[HOSTS_MAX];
};

static atomic_int running;

static void unuse(MeshLookup *lookup)
{
    if (atomic_fetch_sub(&lookup->users, 1) != 1)
        return;
    if (lookup->fd >= 0)
        (void)close(lookup->fd);
    free(lookup->conninfo);
    free(lookup->names);
    free(lookup);
}

static void add_address(Host *host, const struct addrinfo *info)
{
    char text[sizeof host->addresses[0]];
    if (getnameinfo(info->ai_addr, info->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) !=
        0)
        return;
    for (unsigned i = 0; i < host->n; i++)
        if (strcmp(host->addresses[i], text) == 0)
            return;
    (void)snprintf(host->addresses[host->n++], sizeof text, "%s", text);
}

static void resolve(Host *host)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    host->code = getaddrinfo(host->name, NULL, &hints, &list);
    if (host->code != 0)
        return;
    for (const struct addrinfo *at = list; at != NULL && host->n < ADDRESSES_MAX; at = at->ai_next)
        add_address(host, at);
    freeaddrinfo(list);
}

static void *lookup_main(void *context)
{
    MeshLookup *lookup = context;
    for (unsigned i = 0; i < lookup->n; i++)
        if (lookup->hosts[i].is_name)
            resolve(&lookup->hosts[i]);
    (void)eventfd_write(lookup->fd, 1);
    unuse(lookup);
    (void)atomic_fetch_sub(&running, 1);
    return NULL;
}

static bool is_name(const char *host)
{
    struct in6_addr address;
    return host[0] != '\0' && host[0] != '/' && host[0] != '@' && strchr(host, '%') == NULL &&
           inet_pton(AF_INET, host, &address) != 1 && inet_pton(AF_INET6, host, &address) != 1;
}

// The next part of a list with commas; false: there is none.
static bool take_part(const char **at, char *part, size_t size)
{
    if (*at == NULL)
        return false;
    size_t len = strcspn(*at, ",");
    (void)snprintf(part, size, "%.*s", (int)(len < size ? len : size - 1), *at);
    *at = (*at)[len] == ',' ? *at + len + 1 : NULL;
    return len < size;
}

// Hosts and ports as libpq pairs them. False: not for us; libpq itself says what is wrong with it.
static bool read_hosts(MeshLookup *lookup, const PQconninfoOption *options)
{
    const char *hosts = NULL, *ports = NULL;
    bool any = false;
    for (const PQconninfoOption *o = options; o->keyword != NULL; o++) {
        if (o->val == NULL || o->val[0] == '\0')
            continue;
        if (strcmp(o->keyword, "hostaddr") == 0)
            return false;
        if (strcmp(o->keyword, "host") == 0)
            hosts = o->val;
        if (strcmp(o->keyword, "port") == 0)
            ports = o->val;
    }
    bool one_port = ports == NULL || strchr(ports, ',') == NULL;
    const char *port = ports;
    while (hosts != NULL) {
        if (lookup->n == HOSTS_MAX)
            return false;
        Host *host = &lookup->hosts[lookup->n++];
        if (one_port)
            port = ports;
        if (!take_part(&hosts, host->name, sizeof host->name) ||
            (ports != NULL && !take_part(&port, host->port, sizeof host->port)))
            return false;
        host->is_name = is_name(host->name);
        any = any || host->is_name;
    }
    return any && (one_port || port == NULL);
}

static char *join_names(const MeshLookup *lookup)
{
    Buf text = BUF_INIT(HOSTS_MAX * (HOST_BYTES + 2));
    for (unsigned i = 0; i < lookup->n; i++)
        if (lookup->hosts[i].is_name)
            buf_printf(&text, "%s%s", text.len > 0 ? ", " : "", lookup->hosts[i].name);
    return buf_take(&text);
}

// Signals are for the threads that expect them.
static int start_thread(MeshLookup *lookup)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    atomic_store(&lookup->users, 2);
    int failed = pthread_create(&thread, &attributes, lookup_main, lookup);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    if (failed != 0)
        atomic_store(&lookup->users, 1);
    return -failed;
}

static int start(MeshLookup *lookup, const char *conninfo, Error *reterr)
{
    lookup->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    lookup->conninfo = strdup(conninfo);
    lookup->names = join_names(lookup);
    if (lookup->conninfo == NULL || lookup->names == NULL)
        return error_set(reterr, ERROR_MEMORY, "no memory for a connection");
    if (lookup->fd < 0)
        return error_errno(reterr, errno, "look up '%s'", lookup->names);
    if (atomic_fetch_add(&running, 1) >= LOOKUPS_MAX) {
        (void)atomic_fetch_sub(&running, 1);
        return error_set(reterr, ERROR_LIMIT, "host name '%s': %d lookups have not ended yet",
                         lookup->names, LOOKUPS_MAX);
    }
    int r = start_thread(lookup);
    if (r < 0) {
        (void)atomic_fetch_sub(&running, 1);
        return error_errno(reterr, -r, "look up '%s'", lookup->names);
    }
    return 0;
}

int mesh_lookup_begin(const char *conninfo, MeshLookup **ret_lookup, Error *reterr)
{
    *ret_lookup = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    if (options == NULL)
        return 0; // PQconnectStart says why
    MeshLookup *lookup = alloc_zeroed(1, sizeof *lookup);
    if (lookup == NULL) {
        PQconninfoFree(options);
        return error_set(reterr, ERROR_MEMORY, "no memory for a connection");
    }
    lookup->fd = -1;
    atomic_store(&lookup->users, 1);
    bool wanted = read_hosts(lookup, options);
    PQconninfoFree(options);
    int r = wanted ? start(lookup, conninfo, reterr) : 0;
    if (wanted && r == 0)
        *ret_lookup = lookup;
    else
        unuse(lookup);
    return r;
}

int mesh_lookup_fd(const MeshLookup *lookup)
{
    return lookup->fd;
}

const char *mesh_lookup_names(const MeshLookup *lookup)
{
    return lookup->names;
}

// An entry for each address; sockets and addresses stay as they are.
static unsigned add_entries(const MeshLookup *lookup, Buf *hosts, Buf *addresses, Buf *ports)
{
    unsigned n = 0;
    for (unsigned i = 0; i < lookup->n; i++) {
        const Host *host = &lookup->hosts[i];
        unsigned times = host->is_name ? host->n : 1;
        for (unsigned k = 0; k < times; k++) {
            const char *comma = n++ > 0 ? "," : "";
            buf_printf(hosts, "%s%s", comma, host->name);
            buf_printf(addresses, "%s%s", comma, host->is_name ? host->addresses[k] : "");
            buf_printf(ports, "%s%s", comma, host->port);
        }
    }
    return n;
}

static int has_none(const MeshLookup *lookup, Error *reterr)
{
    Buf text CLEANUP(buf_done) = BUF_INIT(65536);
    for (unsigned i = 0; i < lookup->n; i++) {
        const Host *host = &lookup->hosts[i];
        buf_printf(&text, "%shost name '%s' is not resolved: %s", text.len > 0 ? "; " : "",
                   host->name, host->code != 0 ? gai_strerror(host->code) : "it has no address");
    }
    return error_set(reterr, ERROR_UNAVAILABLE, "%s", buf_text(&text));
}

int mesh_lookup_take(const MeshLookup *lookup, Buf *out, Error *reterr)
{
    Buf hosts CLEANUP(buf_done) = BUF_INIT(65536), addresses CLEANUP(buf_done) = BUF_INIT(65536),
              ports CLEANUP(buf_done) = BUF_INIT(65536);
    if (add_entries(lookup, &hosts, &addresses, &ports) == 0)
        return has_none(lookup, reterr);
    buf_add_text(out, lookup->conninfo); // of a keyword that comes twice the later one counts
    pg_conninfo_add(out, "host", buf_text(&hosts));
    pg_conninfo_add(out, "hostaddr", buf_text(&addresses));
    pg_conninfo_add(out, "port", buf_text(&ports));
    return buf_check(&hosts) < 0 || buf_check(&addresses) < 0 || buf_check(&ports) < 0 ||
                   buf_check(out) < 0
               ? error_set(reterr, ERROR_MEMORY, "no memory for a connection")
               : 0;
}

MeshLookup *mesh_lookup_free(MeshLookup *lookup)
{
    if (lookup != NULL)
        unuse(lookup);
    return NULL;
}
