// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/* What a probe that is alone does to a BAR, one function a step. */
#include "alone.h"

#define STEP 0x01000193u
#define MOST_LENGTH EDU_BUFFER_BYTES
#define EDU_PATIENCE_NS (5 * NS_PER_S)
/* PCI Express: a function is back 100 ms after an FLR, or says so by Configuration Retry. */
#define FLR_NS (100 * NS_PER_MS)
#define FLR_PATIENCE 50 /* times FLR_NS */

static u32 bytes[MOST_LENGTH / 4] __attribute__((aligned(4096)));

static void fill(u64 address, u64 length, u32 pattern)
{
    u64 args[] = { address, length, pattern, STEP };
    memory_fill(args);
}

static int holds(u64 address, u64 length, u32 pattern)
{
    u64 args[] = { address, length, pattern, STEP };
    u64 results[3] = { 0 };

    memory_verify(args, results);
    return !results[0];
}

/* Nobody takes what is written and nobody answers. */
static int is_absent(const struct bench *bench, u32 pattern)
{
    fill(bench->window, bench->length, pattern);
    for (u64 offset = 0; offset < bench->length; offset += 4)
        if (read32(bench->window + offset) != bench->absent)
            return 0;
    return 1;
}

static u32 fresh_pattern(struct bench *bench)
{
    bench->salt += 0x1357;
    return bench->salt * 0x9E3779B1u;
}

const char *step_cpu(struct bench *bench)
{
    u32 pattern = fresh_pattern(bench);

    fill(bench->window, bench->length, pattern);
    return holds(bench->window, bench->length, pattern)
               ? 0
               : "the BAR does not hold what the CPU wrote";
}

static const char *wait(struct bench *bench)
{
    u64 looks = 0;

    switch (edu_wait(bench->edu_bar, EDU_PATIENCE_NS, &looks)) {
    case STATUS_OK:
        return 0;
    case STATUS_GONE:
        return "edu answers all ones";
    default:
        return "edu's DMA did not finish";
    }
}

/* Leaves `pattern` in edu's own buffer. */
static const char *load_edu(struct bench *bench, u32 pattern)
{
    fill((u64)bytes, bench->length, pattern);
    edu_start(bench->edu_bar, (u64)bytes, EDU_BUFFER, bench->length, EDU_FROM_MEMORY);
    return wait(bench);
}

static void aim_at_target(struct bench *bench)
{
    edu_start(bench->edu_bar, EDU_BUFFER, bench->window, bench->length, EDU_TO_MEMORY);
}

const char *step_p2p(struct bench *bench)
{
    u32 pattern = fresh_pattern(bench);
    const char *why;

    if (bench->edu == NO_FUNCTION)
        return "there is no edu device";
    why = load_edu(bench, pattern);
    if (why)
        return why;
    fill(bench->window, bench->length, ~pattern);
    aim_at_target(bench);
    why = wait(bench);
    if (why)
        return why;
    return holds(bench->window, bench->length, pattern) ? 0 : "edu's DMA did not land in the BAR";
}

/* The function must answer config reads again before anything else of it is believed. */
static const char *wait_for_target(struct bench *bench)
{
    for (unsigned i = 0; i < FLR_PATIENCE; i++) {
        sleep_ns(FLR_NS);
        if (pci_read32(bench->target, PCI_ID) != PCI_NOBODY)
            return 0;
    }
    return "the target did not come back from its FLR";
}

static const char *both_back(struct bench *bench)
{
    const char *why = step_cpu(bench);

    if (!why && bench->edu != NO_FUNCTION)
        why = step_p2p(bench);
    return why;
}

const char *step_flr(struct bench *bench)
{
    u32 capability = pci_flr_capability(bench->target);
    struct pci_saved saved = pci_save(bench->target);
    u32 pattern = fresh_pattern(bench), lost = fresh_pattern(bench);
    const char *why = 0;

    if (!capability)
        return "the target has no FLR";
    if (bench->edu != NO_FUNCTION)
        why = load_edu(bench, pattern);
    if (why)
        return why;
    fill(bench->window, bench->length, ~pattern);
    if (bench->edu != NO_FUNCTION)
        aim_at_target(bench);
    pci_flr(bench->target, capability);
    why = wait_for_target(bench);
    if (!why && !is_absent(bench, lost))
        why = "the BAR answers after an FLR, before decode is on";
    /* Before decode is back: a DMA that is still to come must not find the BAR again. */
    if (!why && bench->edu != NO_FUNCTION)
        why = wait(bench);
    pci_restore(bench->target, &saved);
    if (why)
        return why;
    if (holds(bench->window, bench->length, lost))
        return "what was written while the target was away landed";
    if (bench->edu != NO_FUNCTION)
        say("probe: flr: the DMA in flight %s\n",
            holds(bench->window, bench->length, pattern) ? "landed" : "did not land");
    return both_back(bench);
}

const char *step_decode(struct bench *bench)
{
    u32 kept = fresh_pattern(bench), lost = fresh_pattern(bench);
    const char *why = 0;

    fill(bench->window, bench->length, kept);
    pci_disable(bench->target, PCI_COMMAND_MEMORY);
    if (!is_absent(bench, lost))
        why = "the BAR answers with decode off";
    pci_enable(bench->target, PCI_COMMAND_MEMORY);
    if (!why && !holds(bench->window, bench->length, kept))
        why = "the BAR did not keep its content while decode was off";
    return why ? why : both_back(bench);
}
