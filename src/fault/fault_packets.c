// SPDX-License-Identifier: MIT
// fault_packets: CUT and LOSS. An `nft -i` child waits from prepare on, so that begin and end are
// one transaction each and act at once. It owns the table: when it dies, with the keeper or alone,
// the kernel removes the rules. nft prints errors and nothing else; a question with a known answer
// behind each line says that the line is done.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "fault_child.h"
#include "fault_find.h"
#include "fault_kind.h"
#include "fault_rules.h"
#include "files.h"

#define QUESTION "describe ip ttl\n" // answered by nft itself, from its own tables
#define ANSWER "payload expression"
#define OUTPUT_MAX 16384

typedef struct Packets {
    FaultChild nft;
    char table[64];
    bool there; // the table
} Packets;

// Our network namespace, unless the fleet's supervisor is in another one.
static int fleet_network(const FaultHeld *held, int *ret_fd, Error *reterr)
{
    json_t *status = NULL;
    int r = fault_status(held, &status, reterr);
    if (r < 0)
        return r;
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%lld/ns/net",
                   (long long)json_integer_value(json_object_get(status, "pid")));
    json_decref(status);
    int fd CLEANUP(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
    struct stat theirs, ours;
    if (fd < 0 || fstat(fd, &theirs) < 0 || stat("/proc/self/ns/net", &ours) < 0)
        return error_errno(reterr, errno, "network namespace of the supervisor");
    *ret_fd = -1;
    if (theirs.st_ino != ours.st_ino) {
        *ret_fd = fd;
        fd = -1;
    }
    return 0;
}

// Reads until the answer to the question; what came before it is an error's text.
static int read_result(const FaultHeld *held, Packets *packets, Buf *text, Error *reterr)
{
    const char *answer = NULL;
    while (answer == NULL || strchr(answer, '\n') == NULL) {
        int64_t left_ns = mono_since(held->deadline, clock_mono());
        struct pollfd readable = {.fd = packets->nft.out, .events = POLLIN};
        char bytes[4096];
        if (left_ns <= 0)
            return error_set(reterr, ERROR_TIMEOUT, "nft does not answer");
        if (poll(&readable, 1, (int)(left_ns / NS_PER_MS) + 1) < 0 && errno != EINTR)
            return error_errno(reterr, errno, "nft");
        ssize_t n = read(packets->nft.out, bytes, sizeof bytes);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0)
            return error_set(reterr, ERROR_UNAVAILABLE, "nft has ended: %s", buf_text(text));
        buf_add(text, bytes, (size_t)n);
        int r = buf_check(text);
        if (r < 0)
            return error_set(reterr, r, "nft says too much");
        answer = strstr(buf_text(text), ANSWER);
    }
    text->len = (size_t)(answer - text->data);
    text->data[text->len] = '\0';
    return 0;
}

static int run_line(const FaultHeld *held, const char *line, Error *reterr)
{
    Packets *packets = held->own;
    Buf input CLEANUP(buf_done) = BUF_INIT(0), text CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
    buf_printf(&input, "%s\n" QUESTION, line);
    int r = buf_check(&input);
    if (r == 0)
        r = files_write_all(packets->nft.in, input.data, input.len, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "tell nft");
    if ((r = read_result(held, packets, &text, reterr)) < 0)
        return r;
    if (text.len == 0)
        return 0;
    text.data[strcspn(text.data, "\n")] = '\0'; // the rest repeats the line
    return error_set(reterr, ERROR_UNAVAILABLE, "nft: %s", text.data);
}

static int packets_prepare(FaultHeld *held, Error *reterr)
{
    LayoutPath nft;
    int net = -1, r = fault_find_nft(&nft);
    if (r < 0)
        return error_set(reterr, r, "the program nft is not here");
    Packets *packets = held->own = alloc_zeroed(1, sizeof *packets);
    if (packets == NULL)
        return error_set(reterr, ERROR_MEMORY, "rules for nft");
    packets->nft = FAULT_CHILD_NONE;
    (void)snprintf(packets->table, sizeof packets->table, "wildcam_fault_%ld_%u", (long)getpid(),
                   held->id);
    if ((r = fleet_network(held, &net, reterr)) < 0)
        return r;
    const char *const argv[] = {nft.text, "-i", NULL};
    r = fault_child_start(&(FaultChildOptions){.argv = argv, .net = net}, &packets->nft, reterr);
    files_close(net);
    // Made and deleted in one transaction: whoever may not do this learns it here already.
    char line[256];
    (void)snprintf(line, sizeof line, "add table inet %s { flags owner; }; delete table inet %s",
                   packets->table, packets->table);
    return r < 0 ? r : run_line(held, line, reterr);
}

static int packets_begin(FaultHeld *held, Error *reterr)
{
    Packets *packets = held->own;
    Buf line CLEANUP(buf_done) = BUF_INIT(1U << 20);
    int r = fault_rules_table(&held->fault, held->options->conf, packets->table, &line, reterr);
    packets->there = true; // also when the answer gets lost
    return r < 0 ? r : run_line(held, buf_text(&line), reterr);
}

static int packets_change(FaultHeld *held, Error *reterr)
{
    const Packets *packets = held->own;
    Buf line CLEANUP(buf_done) = BUF_INIT(1U << 20);
    int r = fault_rules_replace(&held->fault, held->options->conf, packets->table, &line, reterr);
    return r < 0 ? r : run_line(held, buf_text(&line), reterr);
}

// When nft does not delete the table its death does.
static int packets_end(FaultHeld *held, Error *reterr)
{
    Packets *packets = held->own;
    char line[128];
    if (!packets->there)
        return 0;
    (void)snprintf(line, sizeof line, "delete table inet %s", packets->table);
    if (run_line(held, line, NULL) < 0)
        fault_child_kill(&packets->nft);
    packets->there = false;
    return 0;
}

static int packets_undo(FaultHeld *held, Error *reterr)
{
    Packets *packets = held->own;
    if (packets != NULL)
        fault_child_kill(&packets->nft);
    free(packets);
    held->own = NULL;
    return 0;
}

const FaultKindActions FAULT_KIND_PACKETS = {
    .prepare = packets_prepare,
    .begin = packets_begin,
    .change = packets_change,
    .end = packets_end,
    .undo = packets_undo,
};
