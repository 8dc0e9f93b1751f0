// SPDX-License-Identifier: MIT
// control_parts: what the files of control share.
#pragma once
#include "control.h"

void control_answer(ControlClient *client, Buf *buf); // adds the line feed
// The command was wrong; the command was right, but could not be done.
void control_answer_error(ControlClient *client, const char *error, const char *hint);
void control_answer_failed(ControlClient *client, const char *error, const char *hint);
void control_answer_done(ControlClient *client, int64_t elapsed_ns);
// Answers the failure `code`, with the hint that may be in its text.
void control_answer_code(ControlClient *client, int code, Error *err);
// The region that `name` means; NULL after an answer that names those that there are.
RegionView *control_find_region(Control *control, ControlClient *client, const char *name);
// Ends the waiting for a reply of this region, which will not come soon.
void control_give_up(Control *control, const RegionView *region, const char *why, Mono now);
// "VERB REST" of a line.
void control_execute(Control *control, ControlClient *client, char *line, Mono now);

// "REGION PROGRAM ..." commands: true when `verb` is one of them.
bool control_programs_execute(Control *control, ControlClient *client, const char *verb, char *rest,
                              Mono now);
// Names of the commands, for a hint.
#define CONTROL_PROGRAMS_VERBS                                                                     \
    "restart, signal, halt, resume, environment, added, programs, upgrade"
