// SPDX-License-Identifier: MIT
// relay_link: see relay_link.h.
#include "relay_link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "alloc.h"
#include "hold.h"
#include "http_talk.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

#define READ_MAX (64U << 10)
#define PENDING_MAX 16384 // requests behind the one that is under way

typedef struct LinkSide {
    Watch watch;
    bool readable, writable;
} LinkSide;

// Direction i goes from side i to the other one.
typedef struct LinkWay {
    Hold hold;
    bool ended;    // its end or reset is in the hold, or it is given up
    bool finished; // and has been passed on
} LinkWay;

struct RelayLink {
    RelayDoor *door;
    RelayLink *next, *previous;
    Mono opened;
    bool connecting, closed;
    LinkSide side[2];
    LinkWay way[2];
    HttpTalk *talk; // HTTP only
    size_t pending_at, pending_len;
    char *pending;
};

RelayLink *relay_link_next(const RelayLink *link)
{
    return link->next;
}

bool relay_link_idle(const RelayLink *link)
{
    return link->talk != NULL && http_talk_idle(link->talk) && link->pending_len == 0 &&
           link->way[0].hold.first == NULL && link->way[1].hold.first == NULL;
}

void relay_link_close(RelayLink *link, bool reset)
{
    if (link->closed)
        return;
    link->closed = true;
    const struct linger hard = {.l_onoff = 1};
    for (int i = 0; i < 2; i++) {
        if (reset && link->side[i].watch.fd >= 0)
            (void)setsockopt(link->side[i].watch.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        relay_unwatch(&link->side[i].watch);
        hold_done(&link->way[i].hold);
    }
    Relay *relay = link->door->relay;
    if (link->previous != NULL)
        link->previous->next = link->next;
    else
        relay->links = link->next;
    if (link->next != NULL)
        link->next->previous = link->previous;
    link->next = relay->dead;
    relay->dead = link;
    relay->n_links--;
}

void relay_links_free_dead(Relay *relay)
{
    while (relay->dead != NULL) {
        RelayLink *link = relay->dead;
        relay->dead = link->next;
        free(link->talk);
        free(link->pending);
        free(link);
    }
}

static int make_server_socket(const RelayDoor *door, const RelayAddress *client)
{
    int fd = socket(door->to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || door->http)
        return fd;
    const int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    bool good = door->relay->mark == 0 || setsockopt(fd, SOL_SOCKET, SO_MARK, &door->relay->mark,
                                                     sizeof door->relay->mark) == 0;
    struct sockaddr_in from;
    memcpy(&from, client, sizeof from);
    from.sin_port = 0;
    // The port is chosen at connect, for this server only: no shortage of ports.
    good = good && setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) == 0 &&
           bind(fd, (const struct sockaddr *)&from, sizeof from) == 0;
    if (good)
        return fd;
    (void)close(fd);
    return -1;
}

static bool mark_way(LinkWay *way, HoldKind kind, Mono now)
{
    if (way->ended)
        return true;
    way->ended = true;
    return hold_mark(&way->hold, kind, now) == 0;
}

// Nothing can be written to this side any more: what is held for it goes, the other side is told.
static bool side_lost(RelayLink *link, int side, Mono now)
{
    LinkWay *towards = &link->way[1 - side];
    hold_done(&towards->hold);
    towards->ended = towards->finished = true;
    return mark_way(&link->way[side], HOLD_RESET, now);
}

static int connect_server(RelayLink *link, const RelayAddress *client)
{
    const RelayDoor *door = link->door;
    int fd = make_server_socket(door, client);
    link->side[1].watch = (Watch){.kind = WATCH_LINK, .fd = fd, .owner = link};
    if (fd < 0)
        return -1;
    if (connect(fd, &door->to.any, door->to_len) < 0) {
        link->connecting = errno == EINPROGRESS;
        if (!link->connecting)
            return -1;
    }
    return relay_watch(door->relay, &link->side[1].watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                       NULL);
}

static RelayLink *make_link(RelayDoor *door, int client, Mono now)
{
    RelayLink *link = alloc_zeroed(1, sizeof *link);
    if (link == NULL)
        return NULL;
    if (door->http) {
        link->talk = alloc_zeroed(1, sizeof *link->talk);
        link->pending = alloc_zeroed(1, PENDING_MAX);
        if (link->talk == NULL || link->pending == NULL) {
            free(link->talk);
            free(link->pending);
            free(link);
            return NULL;
        }
        http_talk_begin(link->talk, &door->share, &link->way[0].hold, &link->way[1].hold);
    }
    link->door = door;
    link->opened = now;
    link->side[0].watch = (Watch){.kind = WATCH_LINK, .fd = client, .owner = link};
    link->side[1].watch.fd = -1;
    Relay *relay = door->relay;
    link->next = relay->links;
    if (relay->links != NULL)
        relay->links->previous = link;
    relay->links = link;
    relay->n_links++;
    return link;
}

void relay_link_new(RelayDoor *door, int client, Mono now)
{
    RelayAddress peer = {0};
    socklen_t len = sizeof peer;
    RelayLink *link = make_link(door, client, now);
    if (link == NULL) {
        (void)close(client);
        return;
    }
    const int one = 1;
    if (!door->http)
        (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    bool good = getpeername(client, &peer.any, &len) == 0 &&
                relay_watch(door->relay, &link->side[0].watch,
                            EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, NULL) == 0;
    if (good && connect_server(link, &peer) < 0)
        good = side_lost(link, 1, now);
    if (good)
        relay_link_pump(link, now);
    else
        relay_link_close(link, true);
}

static bool take_bytes(RelayLink *link, int from, const char *bytes, size_t len, Mono now)
{
    if (link->talk == NULL)
        return hold_add(&link->way[from].hold, bytes, len, now) == 0;
    if (from == 1)
        return http_talk_answer(link->talk, bytes, len, now) == 0;
    size_t taken;
    if (http_talk_request(link->talk, bytes, len, link->door->relay->errors_ppm, now, &taken) < 0)
        return false;
    if (link->talk->last)
        taken = len; // what comes after a request that closes is nobody's
    memcpy(link->pending, bytes + taken, len - taken);
    link->pending_at = 0;
    link->pending_len = len - taken;
    return true;
}

// Requests that wait for the answer of the one before them. *ret_moved: something went on.
static bool take_pending(RelayLink *link, Mono now, bool *ret_moved)
{
    size_t taken;
    int r = http_talk_request(link->talk, link->pending + link->pending_at, link->pending_len,
                              link->door->relay->errors_ppm, now, &taken);
    if (link->talk->last)
        taken = link->pending_len;
    link->pending_at += taken;
    link->pending_len -= taken;
    *ret_moved = taken > 0;
    return r == 0;
}

static bool read_end(RelayLink *link, int from, HoldKind kind, Mono now)
{
    if (kind == HOLD_RESET)
        return side_lost(link, from, now);
    if (link->talk != NULL && from == 0 && http_talk_end(link->talk, now) < 0)
        return false;
    return mark_way(&link->way[from], HOLD_END, now);
}

// False: the link cannot go on (no memory).
static bool read_side(RelayLink *link, int from, Mono now, bool *ret_moved)
{
    static char bytes[READ_MAX];
    LinkSide *side = &link->side[from];
    LinkWay *way = &link->way[from];
    *ret_moved = false;
    bool requests = link->talk != NULL && from == 0;
    size_t room = hold_room(&way->hold);
    if (requests && hold_room(&link->way[1].hold) == 0)
        room = 0; // each request may become an answer
    if (way->ended || room == 0)
        return true;
    if (requests && link->pending_len > 0)
        return take_pending(link, now, ret_moved);
    if (!side->readable || (from == 1 && link->connecting))
        return true;
    size_t most = requests ? PENDING_MAX : READ_MAX;
    ssize_t n = recv(side->watch.fd, bytes, room < most ? room : most, 0);
    if (n < 0 && errno == EINTR)
        return *ret_moved = true;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        side->readable = false;
        return true;
    }
    *ret_moved = true;
    if (n <= 0)
        return read_end(link, from, n == 0 ? HOLD_END : HOLD_RESET, now);
    return take_bytes(link, from, bytes, (size_t)n, now);
}

static Mono due(const RelayLink *link, int way, const HoldPiece *piece)
{
    int64_t delay = link->door->relay->delay_ns;
    if (link->talk != NULL)
        return way == 0 ? piece->since : mono_add(piece->since, delay);
    Mono since = way == 0 ? mono_max(piece->since, mono_add(link->opened, delay)) : piece->since;
    return mono_add(since, way == 0 ? delay / 2 : delay - delay / 2);
}

// Passes on the first piece of a way when it is due. *ret_moved: something went on.
static bool write_side(RelayLink *link, int from, Mono now, bool *ret_moved)
{
    LinkWay *way = &link->way[from];
    LinkSide *to = &link->side[1 - from];
    HoldPiece *piece = way->hold.first;
    *ret_moved = false;
    if (piece == NULL || (from == 0 && link->connecting))
        return true;
    Mono when = due(link, from, piece);
    if (when.ns > now.ns) {
        link->door->relay->next_due = mono_min(link->door->relay->next_due, when);
        return true;
    }
    if (piece->kind == HOLD_RESET) {
        relay_link_close(link, true);
        return true;
    }
    if (piece->kind == HOLD_END) {
        hold_drop(&way->hold, 0);
        way->finished = *ret_moved = true;
        // An answer made here that closes leaves the other direction unfinished.
        if (link->talk != NULL && link->talk->last && from == 1)
            relay_link_close(link, false);
        else
            (void)shutdown(to->watch.fd, SHUT_WR);
        return true;
    }
    if (!to->writable)
        return true;
    ssize_t n = send(to->watch.fd, piece->bytes + piece->at, piece->len - piece->at, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        to->writable = false;
        return true;
    }
    *ret_moved = true;
    if (n < 0)
        return errno == EINTR || side_lost(link, 1 - from, now);
    hold_drop(&way->hold, (size_t)n);
    return true;
}

void relay_link_pump(RelayLink *link, Mono now)
{
    bool moved = true, good = true;
    while (moved && good && !link->closed) {
        moved = false;
        for (int i = 0; i < 2 && good && !link->closed; i++) {
            bool read_moved = false, write_moved = false;
            good = read_side(link, i, now, &read_moved);
            if (good)
                good = write_side(link, i, now, &write_moved);
            moved = moved || read_moved || write_moved;
        }
        if (!link->closed && link->way[0].finished && link->way[1].finished)
            relay_link_close(link, false);
    }
    if (!good)
        relay_link_close(link, true);
}

void relay_link_event(RelayLink *link, const Watch *watch, uint32_t events, Mono now)
{
    if (link->closed)
        return;
    int side = watch == &link->side[0].watch ? 0 : 1;
    if (side == 1 && link->connecting && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
        int problem = 0;
        socklen_t len = sizeof problem;
        (void)getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &problem, &len);
        link->connecting = false;
        if (problem != 0 && !side_lost(link, 1, now)) {
            relay_link_close(link, true);
            return;
        }
    }
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) != 0)
        link->side[side].readable = true;
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
        link->side[side].writable = true;
    relay_link_pump(link, now);
}
