// SPDX-License-Identifier: MIT
// fault_nft: see fault_nft.h.
#include "fault_nft.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "fault_find.h"
#include "fault_owner.h"
#include "files.h"

#define QUESTION "describe ip ttl\n" // answered by nft itself, from its own tables
#define ANSWER "payload expression"
#define OUTPUT_MAX 16384

int fault_nft_network(const FaultHeld *held, int *ret_fd, Error *reterr)
{
    json_t *status = NULL;
    int r = fault_status(held, &status, reterr);
    if (r < 0)
        return r;
    pid_t pid = control_status_pid(status, "pid");
    json_decref(status);
    FaultOwner owner;
    int process CLEANUP(fd_closep) = -1;
    char path[64];
    if ((r = fault_owner_of_region(held->options->dir, ".", &owner, reterr)) < 0 ||
        (r = fault_owner_process(&owner, pid, &process, reterr)) < 0)
        return error_wrap(reterr, r, "supervisor");
    (void)snprintf(path, sizeof path, "/proc/%ld/ns/net", (long)pid);
    int fd CLEANUP(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
    struct stat theirs, ours;
    // It still lives: the number was not another one's meanwhile.
    if (fd < 0 || fstat(fd, &theirs) < 0 || stat("/proc/self/ns/net", &ours) < 0 ||
        pidfd_send_signal(process, 0, NULL, 0) < 0)
        return error_errno(reterr, errno, "network namespace of the supervisor");
    *ret_fd = theirs.st_ino == ours.st_ino ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (theirs.st_ino != ours.st_ino && *ret_fd < 0)
        return error_errno(reterr, errno, "network namespace of the supervisor");
    return 0;
}

// Reads until the answer to the question; what came before it is an error's text.
static int read_result(const FaultHeld *held, FaultNft *nft, Buf *text, Error *reterr)
{
    const char *answer = NULL;
    while (answer == NULL || strchr(answer, '\n') == NULL) {
        int64_t left_ns = mono_since(held->deadline, clock_mono());
        struct pollfd readable = {.fd = nft->child.out, .events = POLLIN};
        char bytes[4096];
        if (left_ns <= 0)
            return error_set(reterr, ERROR_TIMEOUT, "nft does not answer");
        if (poll(&readable, 1, (int)(left_ns / NS_PER_MS) + 1) < 0 && errno != EINTR)
            return error_errno(reterr, errno, "nft");
        ssize_t n = read(nft->child.out, bytes, sizeof bytes);
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

int fault_nft_run(const FaultHeld *held, FaultNft *nft, const char *line, Error *reterr)
{
    Buf input CLEANUP(buf_done) = BUF_INIT(0), text CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
    buf_printf(&input, "%s\n" QUESTION, line);
    int r = buf_check(&input);
    if (r == 0)
        r = files_write_all(nft->child.in, input.data, input.len, reterr);
    if (r < 0)
        return error_wrap(reterr, r, "tell nft");
    if ((r = read_result(held, nft, &text, reterr)) < 0)
        return r;
    if (text.len == 0)
        return 0;
    text.data[strcspn(text.data, "\n")] = '\0'; // the rest repeats the line
    return error_set(reterr, ERROR_UNAVAILABLE, "nft: %s", text.data);
}

int fault_nft_start(const FaultHeld *held, FaultNft *nft, Error *reterr)
{
    LayoutPath program;
    int net = -1, r = fault_find_nft(&program);
    if (r < 0)
        return error_set(reterr, r, "the program nft is not here");
    *nft = FAULT_NFT_NONE;
    (void)snprintf(nft->table, sizeof nft->table, "wildcam_fault_%ld_%u", (long)getpid(), held->id);
    if ((r = fault_nft_network(held, &net, reterr)) < 0)
        return r;
    const char *const argv[] = {program.text, "-i", NULL};
    r = fault_child_start(&(FaultChildOptions){.argv = argv, .net = net}, &nft->child, reterr);
    files_close(net);
    char line[256];
    (void)snprintf(line, sizeof line, "add table inet %s { flags owner; }; delete table inet %s",
                   nft->table, nft->table);
    return r < 0 ? r : fault_nft_run(held, nft, line, reterr);
}

void fault_nft_kill(FaultNft *nft)
{
    fault_child_kill(&nft->child);
}
