// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/* Where every CPU arrives in 64-bit mode, on its own stack, interrupts off. */
#include "probe.h"

#define MSR_GS_BASE 0xC0000101
#define PVH_MAGIC 0x336EC578

/* The part of the PVH boot information that is of use here. */
struct hvm_start_info {
    u32 magic, version, flags, modules;
    u64 modules_address;
    u64 command_line;
};

extern u32 start_info;

struct cpu cpus[MAX_CPUS];
int served;

/* Also for the compiler, which turns loops and initialisers into calls of these two. */
void *memset(void *to, int value, u64 length)
{
    void *start = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(length) : "a"(value) : "memory");
    return start;
}

void *memcpy(void *to, const void *from, u64 length)
{
    void *start = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(length) : : "memory");
    return start;
}

void out_of_order(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

static void read_command_line(void)
{
    const struct hvm_start_info *info = (void *)(u64)start_info;

    if (info->magic == PVH_MAGIC)
        cmdline_save((const char *)info->command_line);
    served = cmdline_has("served");
}

static void first_cpu(void)
{
    read_command_line();
    if (served) {
        apic_hz = cmdline_number("apic_hz", apic_hz);
        smp_start(cmdline_number("cpus", 1));
        served_main();
    }
    say("probe: alone\n");
    calibrate();
    smp_start(cmdline_number("cpus", 1));
    alone_main();
}

void cpu_main(u64 index)
{
    struct cpu *self = &cpus[index];

    self->index = index;
    write_msr(MSR_GS_BASE, (u64)self);
    traps_load();
    apic_enable();
    self->up = 1;
    if (index == 0)
        first_cpu();
    else if (served)
        served_main();
    out_of_order();
}
