// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/* Commands that touch memory: guest RAM, BARs and ECAM alike. */
#include "probe.h"

/* Is this something to be walked in u32 words? Maps it if so. */
static u64 cover_words(u64 address, u64 length)
{
    if (address % 4 || length % 4)
        return STATUS_BAD_ARGUMENT;
    return paging_cover(address, length);
}

static u64 cover_one(u64 address, u64 width)
{
    if ((width != 1 && width != 2 && width != 4 && width != 8) || address % width)
        return STATUS_BAD_ARGUMENT;
    return paging_cover(address, width);
}

u64 read_any(u64 address, u64 width)
{
    u64 value = 0;

    if (width == 1)
        __asm__ volatile("movzbl (%1), %k0" : "=r"(value) : "r"(address) : "memory");
    else if (width == 2)
        __asm__ volatile("movzwl (%1), %k0" : "=r"(value) : "r"(address) : "memory");
    else if (width == 4)
        value = read32(address);
    else
        value = read64(address);
    return value;
}

void write_any(u64 address, u64 width, u64 value)
{
    if (width == 1)
        __asm__ volatile("movb %b0, (%1)" : : "q"(value), "r"(address) : "memory");
    else if (width == 2)
        __asm__ volatile("movw %w0, (%1)" : : "r"(value), "r"(address) : "memory");
    else if (width == 4)
        write32(address, value);
    else
        write64(address, value);
}

u64 memory_read(const u64 *args, u64 *results)
{
    u64 status = cover_one(args[0], args[1]);

    if (!status)
        results[0] = read_any(args[0], args[1]);
    return status;
}

u64 memory_write(const u64 *args)
{
    u64 status = cover_one(args[0], args[1]);

    if (!status)
        write_any(args[0], args[1], args[2]);
    return status;
}

u64 memory_fill(const u64 *args)
{
    u64 address = args[0], length = args[1];
    u32 value = args[2], step = args[3];
    u64 status = cover_words(address, length);

    if (status)
        return status;
    for (u64 offset = 0; offset < length; offset += 4, value += step)
        write32(address + offset, value);
    return STATUS_OK;
}

u64 memory_verify(const u64 *args, u64 *results)
{
    u64 address = args[0], length = args[1];
    u32 value = args[2], step = args[3];
    u64 status = cover_words(address, length);

    if (status)
        return status;
    for (u64 offset = 0; offset < length; offset += 4, value += step) {
        u32 found = read32(address + offset);
        if (found == value)
            continue;
        if (!results[0]++) {
            results[1] = offset;
            results[2] = found;
        }
    }
    return STATUS_OK;
}

u64 memory_copy(const u64 *args)
{
    u64 from = args[0], to = args[1], length = args[2];
    u64 status = cover_words(from, length);

    if (!status)
        status = cover_words(to, length);
    if (status)
        return status;
    for (u64 offset = 0; offset < length; offset += 4)
        write32(to + offset, read32(from + offset));
    return STATUS_OK;
}
