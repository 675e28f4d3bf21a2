/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the steps of a probe that is alone work on. */
#ifndef PROBE_ALONE_H
#define PROBE_ALONE_H

#include "pci.h"

#define NO_FUNCTION 0xFFFFFFFFu

struct bench {
    u32 target;
    unsigned bar_index;
    struct bar bar;
    u64 window; /* the part of the BAR that is written and read */
    u64 length;
    u32 absent; /* what a read gives where nobody decodes */
    u32 edu; /* NO_FUNCTION: there is none */
    u64 edu_bar;
    u32 salt; /* changes with each pattern: yesterday's bytes prove nothing today */
};

/* Each returns 0, or why it failed. */
const char *step_cpu(struct bench *bench);
const char *step_p2p(struct bench *bench);
const char *step_flr(struct bench *bench);
const char *step_decode(struct bench *bench);

#endif
