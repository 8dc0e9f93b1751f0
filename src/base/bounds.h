// SPDX-License-Identifier: MIT
// bounds: every limit on what an outsider can grow, each with its reason. Input beyond a bound is
// refused with a text that names the bound.
#pragma once

#define BOUND_NAME 63               // a DNS label (RFC 1035 2.3.4): region names become labels
#define BOUND_PATH 107              // sun_path of a UNIX socket without its NUL
#define BOUND_CONF_BYTES (4U << 20) // fleet.yaml: 1,000 regions are 300 KiB
#define BOUND_CLOUDS 16             // bitmask of clouds in the quorum; three exist
#define BOUND_REGIONS 1024          // plans are computed for up to 1,000 gateways (bench/)
#define BOUND_SERVICES 64
#define BOUND_GROUPS 1024              // client groups: continents to metropolitan areas
#define BOUND_PREFIXES (1U << 20)      // one million prefixes, the DNS server's target
#define BOUND_REPLICAS 64              // backend processes of one region
#define BOUND_ROUTES 64                // routes of one service
#define BOUND_INTENTS 256              // operators' wishes in force; they travel in every report
#define BOUND_TEXT 256                 // reason of an intent, message of a record
#define BOUND_REPORT_BYTES (64U << 10) // contracts section 4
#define BOUND_PLAN_BYTES (64U << 20)
#define BOUND_ORDER 16               // gateways in one order: nobody tries a 17th
#define BOUND_BODY_BYTES (64U << 10) // JSON bodies of our APIs
#define BOUND_WORKERS 64             // counter files of one edge (nginx workers, old ones included)
