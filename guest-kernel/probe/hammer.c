// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Writing and reading back a page of a BAR, on and on, while the VMM revokes it; and judging
 * each answer by what the VMM said of the page just before and just after.
 *
 *   before == after, live:  the value written comes back, and nothing else does.
 *   before == after, out:   all ones come back: the write reached nobody.
 *   otherwise:              either, or what the cell can have held before.
 *
 * The page is walked in cells. Iteration i writes i, and cells are visited in an order that
 * repeats every HAMMER_CELLS iterations, so a cell's number tells which values it can hold:
 * no list of them is needed.
 */
#include "probe.h"

#define ALL_ONES 0xFFFFFFFFu
/* Odd, hence a walk through all cells. */
#define WALK 37

/* What is known of a cell's content. 0 is no iteration: "none". */
struct cell {
    u32 landed;    /* the last iteration known to have written it */
    u32 out_first; /* the latest run of visits known to have been dropped, */
    u32 out_last;
    u32 run_ended; /* and that another visit has followed it */
};

struct hammering {
    struct cell cells[HAMMER_CELLS];
    u32 reset_value;
    u64 *results;
};

/* One iteration: what was written, what came back, what the VMM said around it. */
struct visit {
    u64 before, after;
    u32 written, read;
    u64 offset;
};

static int phase_if_certain(const struct visit *visit)
{
    return visit->before == visit->after ? (int)(visit->before % 4) : -1;
}

static int can_have_held(const struct cell *cell, const struct visit *visit, u32 reset_value)
{
    u32 value = visit->read;

    if (value == reset_value)
        return 1;
    if (value == 0 || value < cell->landed || value > visit->written)
        return 0;
    if ((visit->written - value) % HAMMER_CELLS)
        return 0;
    return !(cell->out_first && value >= cell->out_first && value <= cell->out_last);
}

static void know_landed(struct cell *cell, u32 iteration)
{
    *cell = (struct cell){ .landed = iteration };
}

static void know_dropped(struct cell *cell, u32 iteration)
{
    if (!cell->out_first || cell->run_ended) {
        cell->out_first = iteration;
        cell->run_ended = 0;
    }
    cell->out_last = iteration;
}

static void note_violation(u64 *results, const struct visit *visit)
{
    if (results[HAMMER_VIOLATIONS]++)
        return;
    results[HAMMER_FIRST_BEFORE] = visit->before;
    results[HAMMER_FIRST_AFTER] = visit->after;
    results[HAMMER_FIRST_WRITTEN] = visit->written;
    results[HAMMER_FIRST_READ] = visit->read;
    results[HAMMER_FIRST_OFFSET] = visit->offset;
}

static void judge_ambiguous(struct hammering *state, struct cell *cell, const struct visit *visit)
{
    if (visit->read == visit->written) {
        state->results[HAMMER_AMBIGUOUS_VALUE]++;
        know_landed(cell, visit->written);
        return;
    }
    cell->run_ended = 1;
    if (visit->read == ALL_ONES)
        state->results[HAMMER_AMBIGUOUS_ONES]++;
    else if (can_have_held(cell, visit, state->reset_value))
        state->results[HAMMER_AMBIGUOUS_VALUE]++;
    else if (!cell->landed)
        state->results[HAMMER_AMBIGUOUS_INITIAL]++;
    else
        note_violation(state->results, visit);
}

static void judge(struct hammering *state, struct cell *cell, const struct visit *visit)
{
    int phase = phase_if_certain(visit);

    if (phase == PHASE_LIVE && visit->read == visit->written) {
        state->results[HAMMER_LIVE_OK]++;
        know_landed(cell, visit->written);
    } else if (phase == PHASE_OUT && visit->read == ALL_ONES) {
        state->results[HAMMER_OUT_ONES]++;
        know_dropped(cell, visit->written);
    } else if (phase == PHASE_LIVE || phase == PHASE_OUT) {
        /* The write may have landed or not: one violation must not make others. */
        cell->run_ended = 1;
        note_violation(state->results, visit);
    } else {
        judge_ambiguous(state, cell, visit);
    }
}

static void visit_cell(struct visit *visit, u64 page, u64 outage_word)
{
    u64 address = page + visit->offset;

    visit->before = read64(outage_word);
    barrier();
    write32(address, visit->written);
    /* Past the store buffer first: the value must come from the device. */
    barrier();
    visit->read = read32(address);
    barrier();
    visit->after = read64(outage_word);
}

u64 hammer(const u64 *args, u64 *results)
{
    u64 page = args[0], outage_word = args[1], stop_word = args[2], pause_ns = args[3];
    u64 most = args[4], seed = args[6];
    struct hammering state = { .reset_value = args[5], .results = results };
    u64 status;

    if (page % 4096 || !outage_word || outage_word % 8 || stop_word % 8)
        return STATUS_BAD_ARGUMENT;
    status = paging_cover(page, 4096);
    if (!status)
        status = paging_cover(outage_word, 8);
    if (!status)
        status = paging_cover(stop_word, 8);
    if (status)
        return status;
    if (!most || most > HAMMER_MOST_ITERATIONS)
        most = HAMMER_MOST_ITERATIONS;

    for (u64 i = 1; i <= most; i++) {
        unsigned number = (i * WALK + seed) % HAMMER_CELLS;
        struct visit visit = { .written = i, .offset = number * HAMMER_CELL_STRIDE };

        if (stop_word && read64(stop_word)) {
            results[HAMMER_STOPPED] = 1;
            break;
        }
        visit_cell(&visit, page, outage_word);
        judge(&state, &state.cells[number], &visit);
        results[HAMMER_ITERATIONS] = i;
        sleep_ns(pause_ns);
    }
    return STATUS_OK;
}
