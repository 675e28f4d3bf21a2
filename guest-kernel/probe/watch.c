// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Waiting for an outage, to look and to act inside it: what the CPU reads there, and a DMA that is
 * set going while its target is away.
 */
#include "probe.h"

static u64 cover_all(u64 outage_word, u64 address, u64 bell, u64 stop_word)
{
    u64 status;

    if (!outage_word || outage_word % 8 || address % 4 || bell % 4 || stop_word % 8)
        return STATUS_BAD_ARGUMENT;
    status = paging_cover(outage_word, 8);
    if (!status)
        status = paging_cover(address, 4);
    if (!status)
        status = paging_cover(bell, 4);
    if (!status)
        status = paging_cover(stop_word, 8);
    return status;
}

u64 watch(const u64 *args, u64 *results)
{
    u64 outage_word = args[0], address = args[1], bell = args[2], stop_word = args[4];
    u64 pause_ns = args[5], max_ns = args[6], waited = 0;
    u32 bell_value = args[3];
    u64 status = cover_all(outage_word, address, bell, stop_word);

    /* Without a pause it would spin, and time would not go on where it is virtual. */
    if (!status && !pause_ns)
        status = STATUS_BAD_ARGUMENT;
    if (status)
        return status;
    for (;;) {
        u64 before = read64(outage_word);

        results[WATCH_LOOKS]++;
        if (before % 4 == PHASE_OUT) {
            results[WATCH_BEFORE] = before;
            results[WATCH_VALUE] = read32(address);
            barrier();
            if (bell)
                write32(bell, bell_value);
            barrier();
            results[WATCH_AFTER] = read64(outage_word);
            results[WATCH_SEEN] = 1;
            return STATUS_OK;
        }
        if (waited >= max_ns || (stop_word && read64(stop_word)))
            return STATUS_OK;
        sleep_ns(pause_ns);
        waited = pause_ns > max_ns - waited ? max_ns : waited + pause_ns;
    }
}
