// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Identity mappings above 4 GiB, on demand: BARs may lie anywhere, and a table for all of it
 * would take longer to write than the probe takes to boot. boot.S maps what lies below.
 */
#include "probe.h"

#define PRESENT_WRITABLE 0x03UL
#define UNCACHED 0x18UL
#define LARGE 0x80UL
#define LARGE_PAGE 0x200000UL
#define ENTRIES 512
#define BOOT_MAPPED (4UL << 30)
/* Above this, addresses are no longer their own canonical form. */
#define HIGHEST (1UL << 47)
/* A GiB needs one; so does each new 512 GiB. */
#define POOL_PAGES 32

typedef u64 table[ENTRIES];

extern table page_root;

static table pool[POOL_PAGES] __attribute__((aligned(4096), section(".noinit,\"aw\",@nobits#")));
static unsigned pool_used;
static spinlock guard;

static u64 *next_level(u64 *entry)
{
    if (!*entry) {
        if (pool_used == POOL_PAGES)
            return 0;
        u64 *fresh = pool[pool_used++];
        for (unsigned i = 0; i < ENTRIES; i++)
            ((volatile u64 *)fresh)[i] = 0;
        *(volatile u64 *)entry = (u64)fresh | PRESENT_WRITABLE;
    }
    return (u64 *)(*entry & ~0xFFFUL);
}

static u64 map_large_page(u64 address)
{
    u64 *pointers = next_level(&page_root[address >> 39]);
    u64 *directory = pointers ? next_level(&pointers[(address >> 30) % ENTRIES]) : 0;

    if (!directory)
        return STATUS_NO_PAGE_TABLES;
    /* What was absent is never cached by the CPU: no flush is needed. */
    *(volatile u64 *)&directory[(address >> 21) % ENTRIES] =
        address | LARGE | UNCACHED | PRESENT_WRITABLE;
    return STATUS_OK;
}

u64 paging_cover(u64 address, u64 length)
{
    u64 end = address + length;
    u64 status = STATUS_OK;

    if (end < address || end > HIGHEST)
        return STATUS_BAD_ARGUMENT;
    if (end <= BOOT_MAPPED)
        return STATUS_OK;
    if (address < BOOT_MAPPED)
        address = BOOT_MAPPED;
    lock(&guard);
    for (address &= ~(LARGE_PAGE - 1); address < end && !status; address += LARGE_PAGE)
        status = map_large_page(address);
    unlock(&guard);
    return status;
}
