// SPDX-License-Identifier: MIT
// srcbind: LD_PRELOAD shim for programs that cannot bind the source of their connections (libpq
// inside PostgreSQL's apply workers): before connect() to 127/8 from an unbound IPv4 socket, bind
// $WILDCAM_SOURCE. Only the local fleet uses it: a partition between regions is a rule about
// addresses, so a connection that leaves from 127.0.0.1 would cross it. A failed bind leaves the
// socket unbound, and connect() goes on: the integration test that forbids such connections then
// says so.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int connect(int fd, const struct sockaddr *address, socklen_t len);

static bool is_loopback(const struct sockaddr *address, socklen_t len)
{
    struct sockaddr_in in;
    if (address == NULL || len < sizeof in || address->sa_family != AF_INET)
        return false;
    memcpy(&in, address, sizeof in);
    return ntohl(in.sin_addr.s_addr) >> 24 == 127;
}

static void bind_source(int fd, const char *source)
{
    struct sockaddr_in own = {0};
    socklen_t len = sizeof own;
    if (getsockname(fd, (struct sockaddr *)&own, &len) < 0 || own.sin_family != AF_INET ||
        own.sin_addr.s_addr != 0)
        return;
    own = (struct sockaddr_in){.sin_family = AF_INET};
    int on = 1; // the port is chosen at connect(), per destination: no exhaustion
    if (inet_pton(AF_INET, source, &own.sin_addr) == 1 &&
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) == 0)
        (void)!bind(fd, (const struct sockaddr *)&own, sizeof own);
}

__attribute__((visibility("default"))) int connect(int fd, const struct sockaddr *address,
                                                   socklen_t len)
{
    static int (*next)(int, const struct sockaddr *, socklen_t);
    if (next == NULL) // POSIX's way to turn dlsym's result into a function
        *(void **)&next = dlsym(RTLD_NEXT, "connect");
    const char *source = getenv("WILDCAM_SOURCE");
    if (source != NULL && is_loopback(address, len))
        bind_source(fd, source);
    return next(fd, address, len);
}
