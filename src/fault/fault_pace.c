// SPDX-License-Identifier: MIT
// fault_pace: see fault_pace.h.
#include "fault_pace.h"

#include <sys/socket.h>

#include "clock.h"
#include "fault_message.h"

#define TELL_NS NS_PER_S

FaultPace fault_pace_new(int64_t stall_ns, int socket, uint32_t number)
{
    Mono now = clock_mono();
    return (FaultPace){.deadline = mono_add(now, stall_ns),
                       .stall_ns = stall_ns,
                       .socket = socket,
                       .number = number,
                       .told = now};
}

void fault_pace_moved(FaultPace *pace)
{
    Mono now = clock_mono();
    pace->deadline = mono_add(now, pace->stall_ns);
    if (pace->socket < 0 || mono_since(now, pace->told) < TELL_NS)
        return;
    pace->told = now;
    unsigned char bytes[FAULT_MESSAGE_MAX];
    size_t len = fault_answer_encode(
        &(FaultAnswer){.number = pace->number, .code = FAULT_ANSWER_AT_IT}, bytes);
    (void)send(pace->socket, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT); // it is only a comfort
}

bool fault_pace_stalled(const FaultPace *pace)
{
    return clock_mono().ns > pace->deadline.ns;
}
