// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/* From a request to the function that carries it out. mailbox.h says what each one means. */
#include "probe.h"

static u64 start_edu(const u64 *args)
{
    u64 direction = args[4];
    u64 status = paging_cover(args[0], 4096);

    if (status)
        return status;
    if (direction != EDU_FROM_MEMORY && direction != EDU_TO_MEMORY)
        return STATUS_BAD_ARGUMENT;
    edu_start(args[0], args[1], args[2], args[3], direction);
    return STATUS_OK;
}

static u64 look_at_edu(const u64 *args, u64 *results)
{
    u64 status = paging_cover(args[0], 4096);
    return status ? status : edu_busy(args[0], &results[0]);
}

static u64 wait_for_edu(const u64 *args, u64 *results)
{
    u64 status = paging_cover(args[0], 4096);
    return status ? status : edu_wait(args[0], args[1], &results[0]);
}

u64 carry_out(u64 opcode, const u64 *args, u64 *results)
{
    switch (opcode) {
    case OP_ECHO:
        results[0] = args[0];
        return STATUS_OK;
    case OP_CPUS:
        results[0] = smp_up();
        results[1] = this_cpu()->index;
        return STATUS_OK;
    case OP_READ:
        return memory_read(args, results);
    case OP_WRITE:
        return memory_write(args);
    case OP_FILL:
        return memory_fill(args);
    case OP_VERIFY:
        return memory_verify(args, results);
    case OP_COPY:
        return memory_copy(args);
    case OP_EDU_START:
        return start_edu(args);
    case OP_EDU_BUSY:
        return look_at_edu(args, results);
    case OP_EDU_WAIT:
        return wait_for_edu(args, results);
    case OP_SLEEP:
        sleep_ns(args[0]);
        return STATUS_OK;
    case OP_HAMMER:
        return hammer(args, results);
    case OP_WATCH:
        return watch(args, results);
    case OP_SCRIBBLE:
        return scribble(args, results);
    case OP_HALT:
        out_of_order();
    case OP_TRAP:
        __builtin_trap();
    default:
        return STATUS_BAD_OPCODE;
    }
}
