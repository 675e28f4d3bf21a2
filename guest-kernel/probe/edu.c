// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The DMA engine of QEMU's edu device, and of devices simulated after it. It moves at most
 * EDU_BUFFER_BYTES between its own buffer, which the device knows at EDU_BUFFER, and an
 * address on its bus.
 */
#include "probe.h"

#define DMA_SOURCE 0x80
#define DMA_DESTINATION 0x88
#define DMA_COUNT 0x90
#define DMA_COMMAND 0x98

#define COMMAND_START 1
#define COMMAND_DIRECTION_SHIFT 1

/*
 * Pauses between looks grow: edu takes 100 ms, and a hundred sleeps of a halted vCPU are the
 * dearest thing there is to emulate.
 */
#define FIRST_PAUSE_NS NS_PER_MS
#define LONGEST_PAUSE_NS (16 * NS_PER_MS)

void edu_start(u64 bar, u64 source, u64 destination, u64 length, u64 direction)
{
    write64(bar + DMA_SOURCE, source);
    write64(bar + DMA_DESTINATION, destination);
    write64(bar + DMA_COUNT, length);
    write64(bar + DMA_COMMAND, COMMAND_START | (direction << COMMAND_DIRECTION_SHIFT));
}

u64 edu_busy(u64 bar, u64 *busy)
{
    u64 command = read64(bar + DMA_COMMAND);

    if (command == ~0UL)
        return STATUS_GONE;
    *busy = command & COMMAND_START;
    return STATUS_OK;
}

/* Sleeps before the first look, too: whoever looks at once sees a different number each run. */
u64 edu_wait(u64 bar, u64 max_ns, u64 *looks)
{
    u64 waited = 0, pause = FIRST_PAUSE_NS;

    for (;;) {
        u64 busy, status;

        sleep_ns(pause);
        waited += pause;
        status = edu_busy(bar, &busy);
        ++*looks;
        if (status || !busy)
            return status;
        if (waited >= max_ns)
            return STATUS_TIMED_OUT;
        pause = 2 * pause < LONGEST_PAUSE_NS ? 2 * pause : LONGEST_PAUSE_NS;
        if (pause > max_ns - waited)
            pause = max_ns - waited;
    }
}
