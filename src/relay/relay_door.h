// SPDX-License-Identifier: MIT
// relay_door: a listener of the relay and where its connections go.
//
// A door in the place of a program's socket (socket_place.h) must not look alive when the program
// is dead: clients would be accepted, and the program itself could not start again ("another
// program accepts connections"). So one idle connection to the program, the guard, shows that it
// lives; when it cannot be made again the door is shut, and opened when the program has made a new
// socket.
#pragma once
#include "relay_state.h"

// "127.1.1.1:8443"; port 0 is chosen by the kernel.
int relay_door_tcp(Relay *relay, const char *listen, const char *to, Error *reterr) MUST_CHECK;
int relay_door_http(Relay *relay, const char *listen, const char *to, Error *reterr) MUST_CHECK;
int relay_door_in_place(Relay *relay, const char *path, Error *reterr) MUST_CHECK;
// Starts listening.
int relay_door_open(RelayDoor *door, Error *reterr) MUST_CHECK;
// Stops listening and gives the place back.
void relay_door_shut(RelayDoor *door);
unsigned relay_door_port(const RelayDoor *door); // 0: not TCP
// Accepts what waits, up to the limit of links.
void relay_door_event(RelayDoor *door, Mono now);
void relay_door_guard_event(RelayDoor *door, Mono now);
void relay_door_place_event(RelayDoor *door, Mono now);
// What is due by time; lowers the relay's next_due.
void relay_door_timer(RelayDoor *door, Mono now);
