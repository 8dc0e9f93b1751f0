// SPDX-License-Identifier: MIT
// relay_link: one connection through the relay: two sides, and for each direction the bytes that
// are held (hold.h). The end of one side and its reset travel through the hold like bytes. A
// direction that is full is not read from any more: back pressure.
//
//   client side 0 --read--> hold 0 --write--> side 1 server
//                 <--write-- hold 1 <--read--
//
// TCP: each direction is held for half of the delay. What no relay can hold is the handshake of the
// client's connect; its round trip is added to the first bytes instead. HTTP: answers are held for
// the whole delay.
#pragma once
#include "relay_state.h"

// Takes the accepted client and connects to the door's server; when that fails at once the client
// is reset, as from a server that is not there.
void relay_link_new(RelayDoor *door, int client, Mono now);
void relay_link_event(RelayLink *link, const Watch *side, uint32_t events, Mono now);
// Moves what can be moved now; the relay's next_due takes what must wait for time.
void relay_link_pump(RelayLink *link, Mono now);
RelayLink *relay_link_next(const RelayLink *link);
// Nothing is under way (HTTP between two requests). TCP connections never are.
bool relay_link_idle(const RelayLink *link);
void relay_link_close(RelayLink *link, bool reset);
void relay_links_free_dead(Relay *relay);
