// SPDX-License-Identifier: MIT
// rows: the verbs of `wildcam rows`. One table of verbs gives dispatch and help (rows.c); each verb
// is one function in a file of its own.
#pragma once
#include "cli.h"
#include "context.h"
#include "error.h"
#include "mesh.h"
#include "rowsd.h" // rows_serve: the daemon behind `wildcam-rows serve`

int rows_main(int argc, char **argv, Error *reterr) MUST_CHECK;

int rows_init(const Verb *verb, int argc, char **argv, Error *reterr);     // rows_init.c
int rows_status(const Verb *verb, int argc, char **argv, Error *reterr);   // rows_status.c
int rows_federate(const Verb *verb, int argc, char **argv, Error *reterr); // rows_federate.c
int rows_why(const Verb *verb, int argc, char **argv, Error *reterr);      // rows_why.c
int rows_check(const Verb *verb, int argc, char **argv, Error *reterr);    // rows_check.c
int rows_repair(const Verb *verb, int argc, char **argv, Error *reterr);   // rows_repair.c
int rows_join(const Verb *verb, int argc, char **argv, Error *reterr);     // rows_join.c
int rows_leave(const Verb *verb, int argc, char **argv, Error *reterr);    // rows_leave.c
int rows_recover(const Verb *verb, int argc, char **argv, Error *reterr);  // rows_recover.c
int rows_migrate(const Verb *verb, int argc, char **argv, Error *reterr);  // rows_migrate.c
