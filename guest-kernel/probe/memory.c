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

u64 memory_read(const u64 *args, u64 *results)
{
    u64 address = args[0], width = args[1];
    u64 status = cover_one(address, width);

    if (status)
        return status;
    if (width == 1)
        results[0] = *(volatile u8 *)address;
    else if (width == 2)
        results[0] = *(volatile u16 *)address;
    else if (width == 4)
        results[0] = read32(address);
    else
        results[0] = read64(address);
    return STATUS_OK;
}

u64 memory_write(const u64 *args)
{
    u64 address = args[0], width = args[1], value = args[2];
    u64 status = cover_one(address, width);

    if (status)
        return status;
    if (width == 1)
        *(volatile u8 *)address = value;
    else if (width == 2)
        *(volatile u16 *)address = value;
    else if (width == 4)
        write32(address, value);
    else
        write64(address, value);
    return STATUS_OK;
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
